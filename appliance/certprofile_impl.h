/*
 * appliance/certprofile_impl - formats of a certificate profile, for certprofile.c, which reads them, and
 * certprofile_names.c, which fills them in
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_CERTPROFILE_IMPL_H
#define APPLIANCE_CERTPROFILE_IMPL_H

#include "appliance/certprofile.h"

/*
 * Can this be a subject's format (whole: the whole of a custom subjectAltName)?  It is filled in with values such as
 * the variables may have.  Fails with ERR_CONFIG; e says what is wrong.
 */
MUST_CHECK int app_certprofile_check_subject(const char *format, struct err *e);
MUST_CHECK int app_certprofile_check_san(const char *format, struct err *e); /* as app_certprofile_check_subject() */

#endif
