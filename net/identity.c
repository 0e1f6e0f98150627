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

int
net_identity_configure(struct net_identity *identity, const struct config *conf, struct err *e)
{
	struct net_page *page;
	int rc;

	if (conf->scep_getcacert_chain)
		rc = make_chain_page(identity, conf->scep_getcacert_root, &page);
	else
		rc = net_page_new("application/x-x509-ca-cert", identity->is.chain.item[0], 0, 0, &page);
	if (rc != 0)
		return err_set(e, rc, 0, "make the answer to GetCACert");
	net_page_free(identity->getcacert);
	identity->getcacert = page;
	return 0;
}

static int
fill(struct net_identity *identity, const struct msg_identity *message, const struct config *conf, struct err *e)
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
		rc = net_page_new("application/pkix-cert", identity->is.chain.item[0], 0, 0, &identity->ca);
	if (rc != 0)
		return err_set(e, rc, 0, "keep the identity");
	return net_identity_configure(identity, conf, e);
}

static void
destroy(struct net_identity *identity)
{
	net_page_free(identity->ca);
	net_page_free(identity->getcacert);
	free((void *)(uintptr_t)identity->memory.data);
	free(identity);
}

int
net_identity_new(const struct msg_identity *message, const struct config *conf, struct net_identity **ret_identity,
		 struct err *e)
{
	struct net_identity *identity;
	int rc;

	if (message->chain.count == 0 || message->ra_decrypt.count == 0 || message->ra_sign.len == 0)
		return err_set(e, ERR_FORMAT, 0, "the authority's identity lacks a certificate");
	identity = calloc(1, sizeof(*identity));
	if (identity == NULL)
		return err_set(e, ERR_NOMEM, 0, "keep the identity");
	rc = fill(identity, message, conf, e);
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
