#include <string.h>
#include <strings.h>

#include "appliance/binding.h"
#include "appliance/held.h"
#include "appliance/store.h"

static const char *const usages[] = {
	[APP_USAGE_DEVICE] = "device",
	[APP_USAGE_RA_SIGN] = "ra-sign",
	[APP_USAGE_RA_DECRYPT] = "ra-decrypt",
	[APP_USAGE_TLS] = "tls",
	[APP_USAGE_OCSP] = "ocsp",
	[APP_USAGE_POLICY] = "policy",
	[APP_USAGE_CA] = "ca",
	[APP_USAGE_REGISTRATION] = "registration-tls",
	[APP_USAGE_REGISTRATION_ROOT] = "registration-root",
};

static const char *const reasons[] = {
	[APP_REASON_UNSPECIFIED] = "unspecified",    [APP_REASON_KEY_COMPROMISE] = "keyCompromise",
	[APP_REASON_CA_COMPROMISE] = "cACompromise", [APP_REASON_AFFILIATION_CHANGED] = "affiliationChanged",
	[APP_REASON_SUPERSEDED] = "superseded",      [APP_REASON_CESSATION_OF_OPERATION] = "cessationOfOperation",
	[APP_REASON_HOLD] = "certificateHold",       [APP_REASON_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
};

const char *
app_usage_name(enum app_usage usage)
{
	BUG_ON((size_t)usage >= ARRAY_SIZE(usages));
	return usages[usage];
}

bool
app_usage_is_foreign(enum app_usage usage)
{
	return usage == APP_USAGE_CA || usage == APP_USAGE_REGISTRATION || usage == APP_USAGE_REGISTRATION_ROOT;
}

int
app_usage_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(usages); i++)
		if (strcmp(usages[i], name) == 0)
			return (int)i;
	return -1;
}

const char *
app_reason_name(int reason)
{
	if (reason < 0 || (size_t)reason >= ARRAY_SIZE(reasons))
		return NULL;
	return reasons[reason];
}

int
app_reason_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i] != NULL && strcasecmp(reasons[i], name) == 0)
			return (int)i;
	return -2;
}

void
app_store_request_fini(struct app_store_request *request)
{
	for (size_t i = 0; i < request->record_count; i++)
		free((void *)(uintptr_t)request->records[i].der.data);
	free(request->records);
	request->records = NULL;
	request->record_count = 0;
	for (size_t i = 0; i < request->held_count; i++)
		app_held_fini(&request->held[i]);
	free(request->held);
	request->held = NULL;
	request->held_count = 0;
	for (size_t i = 0; i < request->challenge_count; i++)
		app_binding_fini(&request->challenges[i].bound);
	free(request->challenges);
	request->challenges = NULL;
	request->challenge_count = 0;
	free(request->operators.list);
	request->operators.list = NULL;
	request->operators.count = 0;
	buf_fini(&request->out);
	if (request->op == APP_STORE_CRL_GET) {
		free((void *)(uintptr_t)request->der.data);
		request->der = (struct bytes){NULL, 0};
	}
}
