#include "appliance/store_policy.h"

#include <stdio.h>
#include <string.h>

#include "appliance/store_change.h"
#include "board/base/der.h"
#include "board/base/x509.h"

enum { CACHE_KIB = 256, CERTIFICATES_MAX = 8 };

static const char *const kinds[] = {
	[POLICY_NONE] = "",
	[POLICY_REGISTRATION_POINT] = "registration-point",
	[POLICY_INTUNE] = "intune",
};

const char *
app_policy_kind_name(int kind)
{
	return kind > 0 && (size_t)kind < ARRAY_SIZE(kinds) && kinds[kind] != NULL ? kinds[kind] : "";
}

int
app_policy_kind_parse(const char *name)
{
	for (size_t i = POLICY_NONE + 1; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i] != NULL && strcmp(kinds[i], name) == 0)
			return (int)i;
	return POLICY_NONE;
}

int
app_store_policy_split(struct bytes certificates, struct msg_list *ret_list)
{
	struct view v = view_of(certificates);
	struct msg_list list = {.count = 0};
	struct der element;

	while (v.left > 0) {
		if (list.count == CERTIFICATES_MAX || der_expect(&v, DER_SEQUENCE, &element) != 0)
			return ERR_FORMAT;
		list.item[list.count++] = element.whole;
	}
	*ret_list = list;
	return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
read_row(struct app_store_query *query, struct app_policy_row *row, struct err *e)
{
	struct msg_policy_module *m = &row->is;

	memset(row, 0, sizeof(*row));
	snprintf(m->name, sizeof(m->name), "%s", app_store_query_get_text(query, 0));
	m->kind = (uint8_t)app_policy_kind_parse(app_store_query_get_text(query, 1));
	snprintf(m->url, sizeof(m->url), "%s", app_store_query_get_text(query, 2));
	snprintf(m->directory, sizeof(m->directory), "%s", app_store_query_get_text(query, 4));
	snprintf(m->scope, sizeof(m->scope), "%s", app_store_query_get_text(query, 5));
	snprintf(m->tenant, sizeof(m->tenant), "%s", app_store_query_get_text(query, 6));
	snprintf(m->client, sizeof(m->client), "%s", app_store_query_get_text(query, 7));
	m->secret = app_store_query_get_blob(query, 8);
	m->deadline_ms = (uint32_t)app_store_query_get_int(query, 9);
	row->refuse = strcmp(app_store_query_get_text(query, 10), "refuse") == 0;
	if (app_store_policy_split(app_store_query_get_blob(query, 3), &m->root) != 0)
		return err_set(e, ERR_STORE, 0, "policy module %s: its root certificates are malformed", m->name);
	return 0;
}

static int
read_chain(struct app_store_db *db, app_store_chain_fn chain, void *arg, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_POLICY_CHAIN);
	struct msg_list list;
	int code = app_store_query_step(&q, e);

	if (code != 1)
		return code;
	if (app_store_policy_split(app_store_query_get_blob(&q, 0), &list) != 0)
		return err_set(e, ERR_STORE, 0, "the policy key's certificate is malformed");
	return chain(&list, arg, e);
}

int
app_store_policies(const char *path, app_store_chain_fn chain, app_store_policy_fn fn, void *arg, struct err *e)
{
	AUTO_STRUCT(app_store_db) db = NULL;
	int code = app_store_db_open(path, CACHE_KIB, &db, e);
	struct app_policy_row row;
	struct app_store_query q;

	if (code == 0)
		code = read_chain(db, chain, arg, e);
	if (code < 0)
		return code;
	q = app_store_query(db, APP_STMT_POLICY_MODULES);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		code = read_row(&q, &row, e);
		if (code == 0)
			code = fn(&row, arg, e);
		if (code < 0)
			break;
	}
	app_store_query_end(&q);
	return code < 0 ? code : 0;
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static int
run_put(struct app_store_writer *w, const struct app_store_request *r, struct bytes roots, struct err *e)
{
	const struct msg_policy_module *m = &r->policy->is;
	struct app_store_query q = app_store_query(w->db, APP_STMT_POLICY_PUT);

	app_store_query_text(&q, m->name);
	app_store_query_text(&q, app_policy_kind_name(m->kind));
	app_store_query_text(&q, m->url);
	app_store_query_blob(&q, roots);
	app_store_query_text(&q, m->directory);
	app_store_query_text(&q, m->scope);
	app_store_query_text(&q, m->tenant);
	app_store_query_text(&q, m->client);
	app_store_query_blob(&q, m->secret);
	app_store_query_int(&q, m->deadline_ms);
	app_store_query_text(&q, r->policy->refuse ? "refuse" : "retry");
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	return app_store_query_run(&q, e);
}

static int
put(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	const struct msg_policy_module *m = &r->policy->is;
	uint8_t hash[APP_HASH_SIZE];
	AUTO_BUF roots;
	int code;

	buf_init(&roots, 1 << 17);
	buf_put_raw(&roots, "", 0);
	for (size_t i = 0; i < m->root.count; i++)
		buf_put_raw(&roots, m->root.item[i].data, m->root.item[i].len);
	code = buf_status(&roots);
	if (code != 0)
		return err_set(e, code, 0, "policy module %s", m->name);
	code = run_put(w, r, roots.len > 0 ? buf_bytes(&roots) : (struct bytes){(const uint8_t *)"", 0}, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "module", m->name);
	app_audit_put_text(&w->detail, "kind", app_policy_kind_name(m->kind));
	app_audit_put_text(&w->detail, "url", m->url);
	app_audit_put_text(&w->detail, "unavailable", r->policy->refuse ? "refuse" : "retry");
	x509_sha256(buf_bytes(&roots), hash);
	app_audit_put_bytes(&w->detail, "roots_sha256", (struct bytes){hash, sizeof(hash)});
	return app_store_change_audit(w, r, APP_AUDIT_POLICY_INSTALLED, (struct bytes){NULL, 0}, "", e);
}

static int
take_away(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_POLICY_GET);
	int code;

	app_store_query_text(&q, r->template_name);
	code = app_store_query_step(&q, e);
	app_store_query_end(&q);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no policy module %s", r->template_name);
	q = app_store_query(w->db, APP_STMT_POLICY_REMOVE);
	app_store_query_text(&q, r->template_name);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "module", r->template_name);
	return app_store_change_audit(w, r, APP_AUDIT_POLICY_REMOVED, (struct bytes){NULL, 0}, "", e);
}

/* Without a chain our own CA makes the certificate again. */
static int
put_chain(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	bool is_none = r->der.len == 0;
	struct app_store_query q =
		app_store_query(w->db, is_none ? APP_STMT_POLICY_CHAIN_REMOVE : APP_STMT_POLICY_CHAIN_PUT);
	uint8_t hash[APP_HASH_SIZE];
	int code;

	if (!is_none) {
		app_store_query_blob(&q, r->der);
		app_store_query_int(&q, app_store_change_now(r));
		app_store_query_text(&q, r->actor);
	}
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	x509_sha256(r->der, hash);
	if (!is_none)
		app_audit_put_bytes(&w->detail, "sha256", (struct bytes){hash, sizeof(hash)});
	return app_store_change_audit(w, r, APP_AUDIT_POLICY_CERTIFICATE, (struct bytes){NULL, 0}, "", e);
}

int
app_store_change_policy(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	if (r->op == APP_STORE_POLICY_PUT)
		return put(w, r, e);
	return r->op == APP_STORE_POLICY_REMOVE ? take_away(w, r, e) : put_chain(w, r, e);
}
