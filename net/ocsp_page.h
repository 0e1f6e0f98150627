/*
 * net/ocsp_page - OCSP over HTTP: POST, and GET with the request in the path (RFC 6960 A.1, RFC 5019 5 and 6)
 *
 * Threads:  the loop's thread alone.
 */
#ifndef NET_OCSP_PAGE_H
#define NET_OCSP_PAGE_H

#include "net/http.h"
#include "net/ocspkeep.h"

/*
 * Takes the request over and has it answered.  encoded is what stands behind "/ocsp/" of a GET: base64 of the request,
 * in any of the spellings of net_query_message().
 */
void net_ocsp_page_serve(struct net_ocspkeep *keep, struct net_http_request *request, struct bytes encoded);

#endif
