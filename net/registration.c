/*
 * A call to a certificate registration point, of courier.h.
 */
#include <stdio.h>
#include <string.h>

#include "net/courier.h"
#include "net/policyjson.h"

enum { URL_SIZE = 512 };

/* What each call is, and the status that a registration point answers it with (facts, microsoft.md 3.3). */
static const struct {
	const char *path;
	long status;
} actions[] = {
	[NET_ERRAND_VERIFY] = {"/Certificate/VerifyRequest", 201},
	[NET_ERRAND_NOTIFY] = {"/Certificate/Notify", 204},
	[NET_ERRAND_GENERATE] = {"/Certificate/GenerateChallenge", 201},
	/* The page that says that it is there, which is an error page (3.2). */
	[NET_ERRAND_PROBE] = {"", 404},
};

static void
fill(struct net_https_request *request, const struct net_errand *errand, const char *url)
{
	const struct msg_policy_module *module = &errand->module->is;

	request->url = url;
	request->method = errand->op == NET_ERRAND_PROBE ? "GET" : "POST";
	request->headers[0] = "Accept: application/json";
	request->headers[1] = "Content-Type: application/json";
	request->headers[2] = "User-Agent: NDES_Plugin";
	request->body = buf_bytes(&errand->body);
	request->root_count = module->root.count;
	memcpy(request->roots, module->root.item, sizeof(request->roots));
	request->chain_count = module->chain.count;
	memcpy(request->chain, module->chain.item, sizeof(request->chain));
	request->key = errand->module->key;
	request->deadline_ms = (int)module->deadline_ms;
	request->answer_max = NET_COURIER_ANSWER_MAX;
}

static int
wrong_status(const struct net_https_answer *answer, struct err *e)
{
	if (answer->status == 403)
		return err_set(e, ERR_DENIED, 403, "HTTP status 403: it does not trust our client certificate");
	return err_set(e, ERR_FORMAT, (uint32_t)answer->status, "HTTP status %ld", answer->status);
}

int
net_registration_run(struct net_errand *errand, struct err *e)
{
	struct net_https_request request = {.url = NULL};
	struct net_https_answer answer = {.status = 0};
	char url[URL_SIZE];
	bool is_no;
	int code;

	_Static_assert(sizeof(request.roots) <= sizeof(errand->module->is.root.item), "as many as fit");
	snprintf(url, sizeof(url), "%s%s", errand->module->is.url, actions[errand->op].path);
	fill(&request, errand, url);
	buf_init(&answer.body, NET_COURIER_ANSWER_MAX);
	code = net_https_call(errand->https, &request, &answer, e);
	errand->result.http_status = (uint32_t)answer.status;
	/* One that does not take our word says why, as with a verification. */
	is_no = code == 0 && errand->op == NET_ERRAND_NOTIFY && answer.status / 100 == 4 && answer.status != 403 &&
		strncmp(answer.type, "application/json", 16) == 0;
	if (code == 0 && !is_no && answer.status != actions[errand->op].status)
		code = wrong_status(&answer, e);
	if (code == 0 && !is_no && (errand->op == NET_ERRAND_NOTIFY || errand->op == NET_ERRAND_PROBE))
		snprintf(errand->result.reason, sizeof(errand->result.reason), "Success");
	else if (code == 0 && strncmp(answer.type, "application/json", 16) != 0)
		code = err_set(e, ERR_FORMAT, 0, "the answer is not JSON");
	else if (code == 0)
		code = net_policyjson_get_result(buf_bytes(&answer.body), &errand->result, &errand->store, e);
	buf_fini(&answer.body);
	return code;
}
