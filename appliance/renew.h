/*
 * appliance/renew - renewals: what a certificate of this CA may ask for without a challenge (RFC 8894 2.3, 2.5)
 *
 * The front says who signed the message.  Here the old certificate is verified again, and so is its signature over the
 * attributes, in which message type and transactionID have to be those that the front names.  That the attributes'
 * messageDigest belongs to the request inside the envelope is the front's word.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_RENEW_H
#define APPLIANCE_RENEW_H

#include "appliance/state.h"

/*
 * Is a request of this message to be judged by the rules of renewal?  A RenewalReq is; so is a PKCSReq that names this
 * CA as the issuer of its signer, for clients that renew by type 19, unless it could be a first request as well: with
 * a challenge, signed by the key that it is for, and for another name or after the signer's certificate has ended.
 */
bool app_renew_is(const struct app_authority *a, const struct msg_enroll *m, const struct x509 *signer,
		  const struct app_csr *csr);

/*
 * Checks everything but the store, which has to know the certificate and that it is not revoked (APP_STORE_RESERVE):
 * the CA's signature on the old certificate, its own on the message, dates, subject, names, key.  subject is what csr
 * asks for, by the rules of entry; without a subjectAltName it gets the old one, borrowed from signer.  Fails with
 * ERR_VERIFY (the message's signature), ERR_UNKNOWN (no certificate of this CA), ERR_DENIED (a rule); e names it.
 */
MUST_CHECK int
app_renew_check(const struct app_authority *a, const struct msg_enroll *m, const struct app_template_entry *entry,
		const struct x509 *signer, const struct app_csr *csr, struct app_subject *subject, struct err *e);

#endif
