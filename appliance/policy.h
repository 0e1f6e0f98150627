/*
 * appliance/policy - policy modules: who is asked whether a request may be issued, and told what became of it
 *
 * The contract is that of INDESPolicy (facts, microsoft.md 2): initialise, generate challenge, verify request, notify,
 * uninitialise.  Verify consumes nothing, so that a device may try again after a failure of ours; notify with success
 * releases the challenge.  A renewal brings the certificate that signed it and no challenge; a first request without a
 * challenge never gets here.
 *
 * Every call is answered exactly once, at the latest after the module's deadline, and never before the call returns.
 * A module that cannot be asked (answer.code) is not asked again for a while: after APP_POLICY_FAILURES failures in a
 * row its calls are answered ERR_BUSY at once; then one call at a time goes through until one succeeds.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_POLICY_H
#define APPLIANCE_POLICY_H

#include "board/base/list.h"
#include "board/msg.h"

struct app_authority;
struct app_policy_module;
struct app_policy_row;

enum {
	APP_POLICY_MODULES = 8,
	APP_POLICY_FAILURES = 5,
	APP_POLICY_REST_MS = 1000,          /* the first rest; twice as long after each failure */
	APP_POLICY_REST_MAX_MS = 60 * 1000, /* the longest */
	APP_POLICY_CALLS = 64,              /* open calls of one module; more are answered ERR_BUSY */
	APP_POLICY_GRACE_MS = 1000,         /* what the courier's answer may take beyond the module's deadline */
};

/* What a request is judged by; borrowed until the call returns. */
struct app_policy_request {
	const char *transaction_id;
	struct bytes csr;    /* PKCS#10, DER, with its challengePassword */
	struct bytes signer; /* renewal: the certificate that signed it; else empty */
	const char *template_name;
	const char *profile;
	const char *peer;
};

/* What became of it; borrowed until the call returns. */
struct app_policy_outcome {
	int disposition; /* DISPOSITION_* */
	int64_t hresult; /* failure */
	const char *text;
	const char *transaction_id;
	struct bytes csr;
	struct bytes certificate; /* success */
	struct bytes issuer;
};

struct app_policy_answer {
	int code;           /* 0: the module answered; else why it could not be asked, and text says it */
	bool granted;       /* with code 0: reason is "Success" */
	const char *reason; /* one of the public names of facts microsoft.md 4.3; "" with another code than 0 */
	const char *text;
	struct bytes challenge; /* of generate_challenge; a secret */
};

typedef void (*app_policy_fn)(const struct app_policy_answer *answer, void *arg);

/*
 * The five calls of a kind of module.  Those that ask fail with the ERR_* of what is in the way; then fn is not called.
 */
struct app_policy_calls {
	int (*initialize)(struct app_policy_module *module, struct err *e);
	void (*uninitialize)(struct app_policy_module *module);
	int (*generate_challenge)(struct app_policy_module *module, const char *template_name, const char *params,
				  const char *operator, app_policy_fn fn, void *arg);
	int (*verify_request)(struct app_policy_module *module, const struct app_policy_request *request,
			      app_policy_fn fn, void *arg);
	int (*notify)(struct app_policy_module *module, const struct app_policy_outcome *outcome, app_policy_fn fn,
		      void *arg);
};

/* How a module did, for status. */
struct app_policy_health {
	int failures;         /* in a row */
	int64_t rests_until;  /* clock_mono_ms(); 0: it is asked */
	int64_t rest_ms;      /* the last rest */
	uint64_t granted;     /* since the start */
	uint64_t refused;     /* as granted */
	uint64_t unavailable; /* as granted */
	uint32_t last_ms;     /* what the last answer took */
	char last_error[256]; /* why it could not be asked last; "" */
};

struct app_policy {
	struct ipc *courier; /* NULL while there is none */
	struct app_policy_module *modules[APP_POLICY_MODULES];
	struct buf chain_memory;
	struct msg_list chain; /* the policy key's certificate and those above it; none: modules get none */
	bool chain_is_foreign; /* another CA made it */
};

/*
 * Adds or replaces the module of this name (m->name, m->kind; m->index is filled here) and initialises it.  Fails with
 * ERR_LIMIT when there are APP_POLICY_MODULES others, ERR_CONFIG for a kind that is not known, ERR_NOMEM.
 */
MUST_CHECK int app_policy_set(struct app_authority *a, const struct msg_policy_module *m, struct err *e);

/* Removes it; what it was asked is answered ERR_CLOSED.  No such module is fine. */
void app_policy_remove(struct app_authority *a, const char *name);

/* Removes all; at the end. */
void app_policy_fini(struct app_authority *a);

/* The module of this name, or NULL. */
struct app_policy_module *app_policy_find(struct app_authority *a, const char *name);

const char *app_policy_name(const struct app_policy_module *module);                       /* its name */
const struct app_policy_health *app_policy_health(const struct app_policy_module *module); /* how it did */
int app_policy_kind(const struct app_policy_module *module);                               /* POLICY_* */

/* What it was made of; borrowed until it is replaced. */
const struct msg_policy_module *app_policy_is(const struct app_policy_module *module);

/* Are requests refused while it cannot be asked, or to be repeated?  To be repeated, unless it was set. */
bool app_policy_refuses(const struct app_policy_module *module);

/*
 * The policy key's certificate and those above it, for all modules from now on; the courier is told, and calls under
 * way go on.  Fails with ERR_NOMEM, ERR_LIMIT.
 */
MUST_CHECK int app_policy_chain(struct app_authority *a, const struct msg_list *chain, bool is_foreign, struct err *e);

/* policy_cert.c: is there a module that the policy key's certificate is for, and is it our CA that makes it? */
bool app_policy_wants_certificate(const struct app_authority *a);

/* policy_cert.c: our own certificates are known anew; modules get the one of the policy key unless they have it. */
void app_policy_adopt(struct app_authority *a);

/* code 0: der is what was asked for, borrowed; else text may say why. */
typedef void (*app_policy_der_fn)(int code, struct bytes der, const char *text, void *arg);

/*
 * policy_cert.c: the policy key's SubjectPublicKeyInfo, and a PKCS#10 request for it.  fn is called once, not before
 * these return.  Fail with ERR_CLOSED without a signer, ERR_NOMEM; then it is not.
 */
MUST_CHECK int app_policy_key(struct app_authority *a, app_policy_der_fn fn, void *arg);
MUST_CHECK int app_policy_csr(struct app_authority *a, app_policy_der_fn fn, void *arg); /* as app_policy_key() */

/* As app_policy_set(), for what the store has. */
MUST_CHECK int app_policy_use(struct app_authority *a, const struct app_policy_row *row, struct err *e);

/*
 * Sets all modules of the store at path, which is open.  Blocks; before the loop runs.  Fails with ERR_STORE,
 * ERR_NOMEM.
 */
MUST_CHECK int app_policy_load(struct app_authority *a, const char *path, struct err *e);

/* A channel to the courier, replacing the old one; takes fd.  Fails with ERR_NOMEM. */
MUST_CHECK int app_policy_courier(struct app_authority *a, int fd);

/*
 * The calls, through the module's rest and its bound.  Fail with ERR_BUSY while it rests or has APP_POLICY_CALLS open,
 * ERR_CLOSED without a courier, ERR_NOMEM; then fn is not called.
 */
MUST_CHECK int app_policy_verify(struct app_policy_module *module, const struct app_policy_request *request,
				 app_policy_fn fn, void *arg);
/* As app_policy_verify(). */
MUST_CHECK int app_policy_notify(struct app_policy_module *module, const struct app_policy_outcome *outcome,
				 app_policy_fn fn, void *arg);
/* As app_policy_verify(). */
MUST_CHECK int app_policy_generate(struct app_policy_module *module, const char *template_name, const char *params,
				   const char *operator, app_policy_fn fn, void *arg);

/* Is its server there?  As app_policy_verify(), but also while it rests. */
MUST_CHECK int app_policy_probe(struct app_policy_module *module, app_policy_fn fn, void *arg);

#endif
