/*
 * The certificate of the policy key, of policy.h and internal.h: our own CA's, which app_internal_check() renews, or
 * one that another CA made.
 */
#include <stdlib.h>
#include <string.h>

#include "appliance/ownname.h"
#include "appliance/state.h"
#include "appliance/store_policy.h"
#include "board/base/der.h"
#include "board/base/log.h"

enum { INFO_LIMIT = 16384 };

/* The certificate, and the CA's own with those above it; the root is left out, whoever trusts it has it. */
static void
make_chain(const struct app_authority *a, const struct app_ra_certificate *own, struct msg_list *ret_chain)
{
	const struct app_generation *generation = &a->generations[own->generation];

	ret_chain->count = 0;
	ret_chain->item[ret_chain->count++] = own->der;
	for (size_t i = 0; i < generation->chain_count && ret_chain->count < APP_CHAIN_MAX; i++)
		if (i == 0 || i + 1 < generation->chain_count)
			ret_chain->item[ret_chain->count++] = generation->chain[i];
}

bool
app_policy_wants_certificate(const struct app_authority *a)
{
	bool is_asked = false;

	for (size_t i = 0; i < APP_POLICY_MODULES; i++) {
		const struct app_policy_module *module = a->policy.modules[i];

		is_asked = is_asked || (module != NULL && app_policy_kind(module) == POLICY_REGISTRATION_POINT);
	}
	return is_asked && !a->policy.chain_is_foreign;
}

void
app_policy_adopt(struct app_authority *a)
{
	const struct app_ra *ra = &a->internal.ra[APP_RA_POLICY];
	const struct msg_list *have = &a->policy.chain;
	struct msg_list chain;
	struct err e = {0};

	if (!app_policy_wants_certificate(a) || ra->count == 0)
		return;
	/* The first is the one to be shown: the current CA's newest, if there is one. */
	if (have->count > 0 && bytes_equal(have->item[0], ra->certificates[0].der))
		return;
	make_chain(a, &ra->certificates[0], &chain);
	if (app_policy_chain(a, &chain, false, &e) != 0)
		log_event(FAILURE, "using the policy key's certificate", err_name(e.code), e.detail, log_text(e.text));
}

/* ---- a request for it, and a certificate from elsewhere ---------------------------------------------------------- */

/* One question about the policy key. */
struct asking {
	struct app_authority *authority;
	app_policy_der_fn fn;
	void *arg;
	struct buf info; /* CertificationRequestInfo */
	struct buf request;
};

static void
asking_end(struct asking *asking, int code, struct bytes der, const char *text)
{
	asking->fn(code, der, text, asking->arg);
	buf_fini(&asking->info);
	buf_fini(&asking->request);
	free(asking);
}

static void
on_request_signed(int code, const struct ipc_message *message, void *arg)
{
	struct asking *asking = arg;
	struct msg_signature m = {.text = ""};

	if (code == 0 && (message->type != MSG_SIGNATURE || msg_signature_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code == 0)
		code = (int)m.code;
	if (code == 0)
		code = app_cert_join(buf_bytes(&asking->info), m.algorithm, m.signature, &asking->request);
	if (code == 0)
		code = buf_status(&asking->request);
	asking_end(asking, code, buf_bytes(&asking->request), m.text[0] != '\0' ? m.text : err_name(code));
}

/* CertificationRequestInfo (RFC 2986 4.1): version 0, a name like the CA's, the key, no attributes. */
static int
put_info(const struct app_authority *a, struct bytes spki, struct buf *out)
{
	AUTO_BUF body;
	AUTO_BUF name;
	int code;

	buf_init(&body, INFO_LIMIT);
	buf_init(&name, INFO_LIMIT);
	code = app_ownname_like(a->issuer.cert.tbs.subject, " policy module", &name, NULL);
	buf_put_raw(&body, "\x02\x01\x00", 3);
	buf_put_raw(&body, name.data, name.len);
	buf_put_raw(&body, spki.data, spki.len);
	buf_put_raw(&body, "\xa0\x00", 2);
	if (code == 0)
		code = buf_status(&body);
	if (code == 0)
		der_put(out, DER_SEQUENCE, buf_bytes(&body));
	return code == 0 ? buf_status(out) : code;
}

static void
on_request_key(int code, struct bytes spki, const char *text, void *arg)
{
	struct asking *asking = arg;
	struct app_authority *a = asking->authority;
	struct msg_sign m = {.key_class = KEY_POLICY, .digest = DIGEST_SHA256};

	if (code == 0)
		code = put_info(a, spki, &asking->info);
	m.data = buf_bytes(&asking->info);
	if (code == 0)
		code = a->links.signer == NULL
			       ? ERR_CLOSED
			       : msg_sign_call(a->links.signer, &m, app_link_timeout(a), on_request_signed, asking);
	if (code != 0)
		asking_end(asking, code, (struct bytes){NULL, 0}, text[0] != '\0' ? text : err_name(code));
}

static void
on_key(int code, const struct ipc_message *message, void *arg)
{
	struct asking *asking = arg;
	struct msg_spki m = {.text = ""};

	if (code == 0 && (message->type != MSG_SPKI || msg_spki_get(message->body, &m) != 0))
		code = ERR_FORMAT;
	if (code == 0)
		code = (int)m.code;
	asking_end(asking, code, m.spki, m.text);
}

static struct asking *
asking_new(struct app_authority *a, app_policy_der_fn fn, void *arg)
{
	struct asking *asking = calloc(1, sizeof(*asking));

	if (asking == NULL)
		return NULL;
	asking->authority = a;
	asking->fn = fn;
	asking->arg = arg;
	buf_init(&asking->info, INFO_LIMIT);
	buf_init(&asking->request, INFO_LIMIT);
	return asking;
}

int
app_policy_key(struct app_authority *a, app_policy_der_fn fn, void *arg)
{
	struct msg_public_key m = {.key_class = KEY_POLICY};
	struct asking *asking = asking_new(a, fn, arg);
	int code = asking == NULL ? ERR_NOMEM : a->links.signer == NULL ? ERR_CLOSED : 0;

	if (code == 0)
		code = msg_public_key_call(a->links.signer, &m, app_link_timeout(a), on_key, asking);
	if (code != 0)
		free(asking);
	return code;
}

int
app_policy_csr(struct app_authority *a, app_policy_der_fn fn, void *arg)
{
	struct asking *asking = asking_new(a, fn, arg);
	int code = asking == NULL ? ERR_NOMEM : app_policy_key(a, on_request_key, asking);

	if (code != 0)
		free(asking);
	return code;
}
