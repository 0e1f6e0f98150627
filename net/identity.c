#include "net/identity.h"

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/scep.h"

static bool
is_root(struct bytes der)
{
	struct x509 cert;

	return x509_parse(der, &cert, NULL) == 0 && bytes_equal(cert.tbs.subject, cert.tbs.issuer);
}

/*
 * The chain form holds the RA signing certificate, the RA decryption certificate and the CAs.  Without the root
 * strongSwan's pki writes nothing at all (facts C35); a CA that is its own root is never left out.
 */
static int
make_chain_page(const struct net_identity *identity, bool with_root, struct net_page **ret_page)
{
	const struct msg_identity *is = &identity->is;
	struct bytes certs[2 + MSG_LIST_MAX];
	size_t count = 0;
	AUTO_BUF out;
	int rc;

	buf_init(&out, 1 << 20);
	certs[count++] = is->ra_sign;
	certs[count++] = is->ra_decrypt.item[0];
	for (size_t i = 0; i < is->chain.count; i++) {
		if (i == 0 || with_root || !is_root(is->chain.item[i]))
			certs[count++] = is->chain.item[i];
	}
	rc = net_scep_certs_only(certs, count, &out);
	if (rc != 0)
		return rc;
	return net_page_new("application/x-x509-ca-ra-cert", buf_bytes(&out), 0, 0, ret_page);
}

static int
make_pages(struct net_identity *identity)
{
	const struct msg_identity *is = &identity->is;
	int rc = net_page_new("application/x-x509-ca-cert", is->chain.item[0], 0, 0, &identity->alone);

	for (unsigned g = 0; rc == 0 && g < is->issuers.count && g < CA_GENERATIONS; g++) {
		if (is->issuers.item[g].len > 0)
			rc = net_page_new("application/pkix-cert", is->issuers.item[g], 0, 0, &identity->ca[g]);
	}
	if (rc == 0 && is->announcement.len > 0)
		rc = net_page_new("application/x-x509-next-ca-cert", is->announcement, 0, 0, &identity->next);
	if (rc == 0)
		rc = make_chain_page(identity, false, &identity->rootless);
	return rc != 0 ? rc : make_chain_page(identity, true, &identity->whole);
}

struct net_page *
net_identity_getcacert(const struct net_identity *identity, const struct config_profile *profile)
{
	if (!profile->getcacert_chain)
		return identity->alone;
	return profile->getcacert_root ? identity->whole : identity->rootless;
}

/* An authority that names no generations has one. */
static void
find_shown(struct net_identity *identity)
{
	struct msg_identity *is = &identity->is;

	if (is->issuers.count == 0) {
		is->issuers.count = 1;
		is->issuers.item[0] = is->chain.item[0];
	}
	for (unsigned g = 0; g < is->issuers.count && g < CA_GENERATIONS; g++) {
		if (bytes_equal(is->issuers.item[g], is->chain.item[0]))
			identity->shown = g;
	}
}

static int
fill(struct net_identity *identity, const struct msg_identity *message, struct err *e)
{
	AUTO_BUF copy;
	int rc;

	buf_init(&copy, msg_limit(MSG_IDENTITY));
	msg_identity_put(&copy, message);
	rc = buf_status(&copy);
	identity->memory.data = buf_take(&copy, &identity->memory.len);
	if (rc == 0)
		rc = msg_identity_get(identity->memory, &identity->is);
	if (rc != 0)
		return err_set(e, rc, 0, "keep the identity");
	find_shown(identity);
	rc = make_pages(identity);
	return rc == 0 ? 0 : err_set(e, rc, 0, "keep the identity");
}

static void
destroy(struct net_identity *identity)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++)
		net_page_free(identity->ca[g]);
	net_page_free(identity->next);
	net_page_free(identity->alone);
	net_page_free(identity->rootless);
	net_page_free(identity->whole);
	free((void *)(uintptr_t)identity->memory.data);
	free(identity);
}

int
net_identity_new(const struct msg_identity *message, struct net_identity **ret_identity, struct err *e)
{
	struct net_identity *identity;
	int rc;

	if (message->chain.count == 0 || message->ra_decrypt.count == 0 || message->ra_sign.len == 0)
		return err_set(e, ERR_FORMAT, 0, "the authority's identity lacks a certificate");
	identity = calloc(1, sizeof(*identity));
	if (identity == NULL)
		return err_set(e, ERR_NOMEM, 0, "keep the identity");
	rc = fill(identity, message, e);
	if (rc != 0) {
		destroy(identity);
		return rc;
	}
	identity->references = 1;
	*ret_identity = identity;
	return 0;
}

/* ---- generations ------------------------------------------------------------------------------------------------ */

/* Content of the keyIdentifier in authorityKeyIdentifier; empty when there is none. */
static struct bytes
authority_key_id(const struct x509 *cert)
{
	struct x509_extension extension = {.critical = false};
	struct der id;
	struct view v;

	if (x509_extension_find(&cert->tbs, OID_AUTHORITY_KEY_ID, &extension) != 0 ||
	    der_whole(extension.value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_CONTEXT(0), &id) != 0)
		return (struct bytes){NULL, 0};
	return id.content;
}

/* The CA certificate of generation g; false when there is none. */
static bool
read_ca(const struct net_identity *identity, unsigned g, struct x509 *ret_ca)
{
	const struct msg_list *issuers = &identity->is.issuers;

	return g < issuers->count && issuers->item[g].len > 0 && x509_parse(issuers->item[g], ret_ca, NULL) == 0;
}

unsigned
net_identity_issuer(const struct net_identity *identity, struct bytes certificate)
{
	struct bytes wanted, id;
	struct x509 cert, ca;

	if (certificate.len == 0 || x509_parse(certificate, &cert, NULL) != 0)
		return CA_GENERATIONS;
	wanted = authority_key_id(&cert);
	for (unsigned g = CA_GENERATIONS; g-- > 0;) {
		if (!read_ca(identity, g, &ca) || !x509_names_issuer(&cert, ca.tbs.subject))
			continue;
		id = net_cms_key_id(&ca);
		if (wanted.len == 0 || id.len == 0 || bytes_equal(wanted, id))
			return g;
	}
	return CA_GENERATIONS;
}

struct bytes
net_identity_ca(const struct net_identity *identity, struct bytes certificate)
{
	unsigned g = net_identity_issuer(identity, certificate);

	return g < CA_GENERATIONS ? identity->is.issuers.item[g] : identity->is.chain.item[0];
}

unsigned
net_identity_named(const struct net_identity *identity, struct bytes name, unsigned below)
{
	struct x509 ca;

	for (unsigned g = below < CA_GENERATIONS ? below : CA_GENERATIONS; g-- > 0;) {
		if (read_ca(identity, g, &ca) && bytes_equal(name, ca.tbs.subject))
			return g;
	}
	return CA_GENERATIONS;
}

struct bytes
net_identity_signer(const struct net_identity *identity, const struct net_scep_request *request)
{
	const struct msg_identity *is = &identity->is;
	const struct net_scep_recipient *to;
	unsigned g = identity->shown;
	size_t which;

	if (net_scep_recipient(request, is->ra_decrypt.item, is->ra_decrypt.count, &to, &which, NULL) == 0)
		g = net_identity_issuer(identity, is->ra_decrypt.item[which]);
	for (size_t i = 0; g != identity->shown && i < is->ra_signers.count; i++) {
		if (net_identity_issuer(identity, is->ra_signers.item[i]) == g)
			return is->ra_signers.item[i];
	}
	return is->ra_sign;
}

void
net_identity_requester_hash(const struct net_identity *identity, const struct x509 *signer, uint8_t ret_hash[32])
{
	struct x509 ca = {.whole = {NULL, 0}};
	bool found = false;

	for (unsigned g = 0; g < CA_GENERATIONS && !found; g++)
		found = read_ca(identity, g, &ca) && x509_names_issuer(signer, ca.tbs.subject);
	if (!found)
		ca.tbs.subject = (struct bytes){NULL, 0};
	x509_requester_hash(signer, ca.tbs.subject, ret_hash);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

struct net_identity *
net_identity_ref(struct net_identity *identity)
{
	identity->references++;
	return identity;
}

void
net_identity_free(struct net_identity *identity)
{
	if (identity != NULL && --identity->references == 0)
		destroy(identity);
}
