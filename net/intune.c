#include "net/intune.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "board/base/clock.h"
#include "board/base/secret.h"
#include "net/courier.h"
#include "net/policyjson.h"

enum { URL_SIZE = 512, FORM_MAX = 8192, PROVIDERS_MAX = 100, GUID_SIZE = 37 };

/* Before the end that the server names; an hour, commonly. */
enum { TOKEN_MS = 30 * 60 * 1000 };

#define SERVICE     "ScepRequestValidationFEService"
#define API_VERSION "2018-02-20"
/* The application that all tenants have; its endpoints are Intune's. */
#define ENDPOINTS "/v1.0/servicePrincipals/appId=0000000a-0000-0000-c000-000000000000/endpoints"

/* What one call needs of struct net_intune, copied out of it. */
struct session {
	char token[NET_INTUNE_TOKEN_SIZE];
	char service[NET_INTUNE_URL_SIZE];
};

void
net_intune_init(struct net_intune *intune)
{
	memset(intune, 0, sizeof(*intune));
	pthread_mutex_init(&intune->lock, NULL);
}

void
net_intune_fini(struct net_intune *intune)
{
	pthread_mutex_destroy(&intune->lock);
	secret_wipe(intune, sizeof(*intune));
}

/* ---- one HTTPS call ---------------------------------------------------------------------------------------------- */

/* What is left of the module's deadline, which holds for all calls of an errand together. */
static int
left_ms(const struct net_errand *errand, int64_t began_ms)
{
	int64_t left = (int64_t)errand->module->is.deadline_ms - (clock_mono_ms() - began_ms);

	return left > 0 ? (int)left : 1;
}

static int
call(struct net_errand *errand, struct net_https_request *request, int64_t began_ms, struct net_https_answer *answer,
     struct err *e)
{
	const struct msg_list *roots = &errand->module->is.root;
	int code;

	request->root_count = roots->count;
	memcpy(request->roots, roots->item, sizeof(request->roots));
	request->deadline_ms = left_ms(errand, began_ms);
	request->answer_max = NET_COURIER_ANSWER_MAX;
	buf_clear(&answer->body);
	code = net_https_call(errand->https, request, answer, e);
	errand->result.http_status = (uint32_t)answer->status;
	return code;
}

static int
wrong_status(const struct net_https_answer *answer, const char *step, struct err *e)
{
	int code = answer->status == 401 || answer->status == 403 ? ERR_DENIED : ERR_FORMAT;

	return err_set(e, code, (uint32_t)answer->status, "%s: HTTP status %ld", step, answer->status);
}

/* ---- who we are -------------------------------------------------------------------------------------------------- */

/* application/x-www-form-urlencoded */
static void
put_field(struct buf *form, const char *name, struct bytes value)
{
	buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c != '\0' && strchr("-._~", c) != NULL))
			buf_put_u8(form, c);
		else
			buf_printf(form, "%%%02X", c);
	}
}

/* OAuth 2.0 client credentials (RFC 6749 4.4). */
static int
fetch_token(struct net_errand *errand, const char *scope, int64_t began_ms, char token[NET_INTUNE_TOKEN_SIZE],
	    struct err *e)
{
	const struct msg_policy_module *module = &errand->module->is;
	struct net_https_request request = {.method = "POST",
					    .headers = {"Content-Type: application/x-www-form-urlencoded"}};
	struct net_https_answer answer = {.status = 0};
	char url[URL_SIZE];
	AUTO_BUF form;
	int code;

	buf_init(&form, FORM_MAX);
	buf_init(&answer.body, NET_COURIER_ANSWER_MAX);
	snprintf(url, sizeof(url), "%s/%s/oauth2/v2.0/token", module->url, module->tenant);
	put_field(&form, "grant_type", bytes_of_text("client_credentials"));
	put_field(&form, "client_id", bytes_of_text(module->client));
	put_field(&form, "client_secret", module->secret);
	put_field(&form, "scope", bytes_of_text(scope));
	request.url = url;
	request.body = buf_bytes(&form);
	code = buf_status(&form);
	if (code == 0)
		code = call(errand, &request, began_ms, &answer, e);
	if (code == 0 && answer.status != 200)
		code = wrong_status(&answer, "token", e);
	if (code == 0)
		code = net_policyjson_get_text(buf_bytes(&answer.body), "access_token", token, NET_INTUNE_TOKEN_SIZE,
					       e);
	buf_fini(&answer.body);
	return code;
}

/* "Authorization: Bearer …" into out. */
static void
put_bearer(struct buf *out, const char *token)
{
	buf_clear(out);
	buf_printf(out, "Authorization: Bearer %s", token);
	buf_put_u8(out, '\0');
}

/* The address of the service in the directory's answer. */
static int
find_service(struct bytes list, char service[NET_INTUNE_URL_SIZE], struct err *e)
{
	char path[40];
	char name[80];

	for (int i = 0; i < PROVIDERS_MAX; i++) {
		snprintf(path, sizeof(path), "value.%d.uri", i);
		if (net_policyjson_get_text(list, path, service, NET_INTUNE_URL_SIZE, NULL) != 0)
			break;
		snprintf(path, sizeof(path), "value.%d.providerName", i);
		if (net_policyjson_get_text(list, path, name, sizeof(name), NULL) == 0 &&
		    strcasecmp(name, SERVICE) == 0)
			return 0;
		snprintf(path, sizeof(path), "value.%d.serviceName", i);
		if (net_policyjson_get_text(list, path, name, sizeof(name), NULL) == 0 &&
		    strcasecmp(name, SERVICE) == 0)
			return 0;
	}
	return err_set(e, ERR_UNKNOWN, 0, "the directory does not know " SERVICE);
}

static int
fetch_service(struct net_errand *errand, const char *token, int64_t began_ms, char service[NET_INTUNE_URL_SIZE],
	      struct err *e)
{
	struct net_https_answer answer = {.status = 0};
	struct net_https_request request = {.method = "GET"};
	char url[URL_SIZE];
	AUTO_BUF bearer;
	int code;

	buf_init(&bearer, NET_INTUNE_TOKEN_SIZE + 64);
	buf_init(&answer.body, NET_COURIER_ANSWER_MAX);
	put_bearer(&bearer, token);
	snprintf(url, sizeof(url), "%s" ENDPOINTS, errand->module->is.directory);
	request.url = url;
	request.headers[0] = (const char *)bearer.data;
	code = buf_status(&bearer);
	if (code == 0)
		code = call(errand, &request, began_ms, &answer, e);
	if (code == 0 && answer.status != 200)
		code = wrong_status(&answer, "directory", e);
	if (code == 0)
		code = find_service(buf_bytes(&answer.body), service, e);
	buf_fini(&answer.body);
	return code;
}

static bool
recall(struct net_intune *intune, struct session *session)
{
	bool known;

	pthread_mutex_lock(&intune->lock);
	known = intune->service[0] != '\0' && clock_mono_ms() < intune->until_ms;
	if (known) {
		memcpy(session->token, intune->service_token, sizeof(session->token));
		memcpy(session->service, intune->service, sizeof(session->service));
	}
	pthread_mutex_unlock(&intune->lock);
	return known;
}

static void
remember(struct net_intune *intune, const struct session *session)
{
	pthread_mutex_lock(&intune->lock);
	memcpy(intune->service_token, session->token, sizeof(session->token));
	memcpy(intune->service, session->service, sizeof(session->service));
	intune->until_ms = clock_mono_ms() + TOKEN_MS;
	pthread_mutex_unlock(&intune->lock);
}

static void
forget(struct net_intune *intune)
{
	pthread_mutex_lock(&intune->lock);
	intune->until_ms = 0;
	pthread_mutex_unlock(&intune->lock);
}

static int
sign_in(struct net_errand *errand, int64_t began_ms, struct session *session, struct err *e)
{
	char directory_scope[URL_SIZE];
	char *token = session->token;
	int code;

	if (recall(&errand->module->intune, session))
		return 0;
	snprintf(directory_scope, sizeof(directory_scope), "%s/.default", errand->module->is.directory);
	code = fetch_token(errand, directory_scope, began_ms, token, e);
	if (code == 0)
		code = fetch_service(errand, token, began_ms, session->service, e);
	if (code == 0)
		code = fetch_token(errand, errand->module->is.scope, began_ms, token, e);
	if (code == 0)
		remember(&errand->module->intune, session);
	return code;
}

/* ---- the service ------------------------------------------------------------------------------------------------- */

/* A GUID for client-request-id, by which Intune's people find the call. */
static int
put_request_id(char out[GUID_SIZE])
{
	uint8_t r[16];

	if (RAND_bytes(r, sizeof(r)) != 1)
		return ERR_CRYPTO;
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	snprintf(out, GUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1],
		 r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
	return 0;
}

static const char *
action(const struct net_errand *errand)
{
	if (errand->op == NET_ERRAND_VERIFY)
		return "validateRequest";
	return errand->is_success ? "successNotification" : "failureNotification";
}

static int
act(struct net_errand *errand, const struct session *session, int64_t began_ms, struct err *e)
{
	struct net_https_request request = {.method = "POST"};
	struct net_https_answer answer = {.status = 0};
	char url[URL_SIZE];
	char id[GUID_SIZE + 32] = "client-request-id: ";
	AUTO_BUF bearer;
	int code = put_request_id(id + strlen(id));

	buf_init(&bearer, NET_INTUNE_TOKEN_SIZE + 64);
	buf_init(&answer.body, NET_COURIER_ANSWER_MAX);
	put_bearer(&bearer, session->token);
	snprintf(url, sizeof(url), "%s/ScepActions/%s", session->service, action(errand));
	request.url = url;
	request.headers[0] = (const char *)bearer.data;
	request.headers[1] = "Content-Type: application/json";
	request.headers[2] = "Accept: application/json";
	request.headers[3] = "api-version: " API_VERSION;
	request.headers[4] = "UserAgent: " NET_POLICYJSON_CALLER; /* that is how the field is called there */
	request.headers[5] = id;
	request.body = buf_bytes(&errand->body);
	if (code == 0)
		code = buf_status(&bearer);
	if (code == 0)
		code = call(errand, &request, began_ms, &answer, e);
	if (code == 0 && answer.status != 200)
		code = wrong_status(&answer, action(errand), e);
	if (code == 0)
		code = net_policyjson_get_result(buf_bytes(&answer.body), &errand->result, &errand->store, e);
	buf_fini(&answer.body);
	return code;
}

int
net_intune_run(struct net_errand *errand, struct err *e)
{
	int64_t began_ms = clock_mono_ms();
	struct session session = {.token = ""};
	struct err first = {0};
	int code;

	if (errand->op == NET_ERRAND_GENERATE)
		return err_set(e, ERR_DENIED, 0, "Intune makes the challenges itself");
	code = sign_in(errand, began_ms, &session, &first);
	if (code == 0 && errand->op == NET_ERRAND_PROBE)
		snprintf(errand->result.reason, sizeof(errand->result.reason), "Success");
	else if (code == 0)
		code = act(errand, &session, began_ms, &first);
	/* What was kept may have ended early, or moved: once more with a new token and address. */
	if (code == ERR_DENIED || code == ERR_IO) {
		forget(&errand->module->intune);
		code = sign_in(errand, began_ms, &session, e);
		if (code == 0 && errand->op != NET_ERRAND_PROBE)
			code = act(errand, &session, began_ms, e);
	} else if (code != 0) {
		*e = first;
	}
	secret_wipe(&session, sizeof(session));
	return code;
}
