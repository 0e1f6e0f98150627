/*
 * The certificate of the policy key, of policy.h and internal.h: our own CA's, which app_internal_check() renews, or one
 * that another CA made.
 */
#include <string.h>

#include "appliance/state.h"
#include "appliance/store_policy.h"
#include "board/base/log.h"

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
