#include "net/identity.h"

#include "board/base/x509.h"
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
	struct bytes ca = identity->is.chain.item[0];
	int rc = net_page_new("application/pkix-cert", ca, 0, 0, &identity->ca);

	if (rc == 0)
		rc = net_page_new("application/x-x509-ca-cert", ca, 0, 0, &identity->alone);
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
	if (rc == 0)
		rc = make_pages(identity);
	return rc == 0 ? 0 : err_set(e, rc, 0, "keep the identity");
}

static void
destroy(struct net_identity *identity)
{
	net_page_free(identity->ca);
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
