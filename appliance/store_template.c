#include "appliance/store_template.h"

#include <string.h>

#include "appliance/store_change.h"
#include "board/base/x509.h"

enum { CACHE_KIB = 256 };

static const char *
text_or_null(struct app_store_query *q, int column)
{
	return app_store_query_get_blob(q, column).data != NULL ? app_store_query_get_text(q, column) : NULL;
}

int
app_store_templates(const char *path, app_store_template_fn fn, void *arg, struct err *e)
{
	AUTO_STRUCT(app_store_db) db = NULL;
	int code = app_store_db_open(path, CACHE_KIB, &db, e);
	struct app_store_query q;

	if (code < 0)
		return code;
	q = app_store_query(db, APP_STMT_TEMPLATES);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		code = fn(app_store_query_get_text(&q, 0), text_or_null(&q, 1), text_or_null(&q, 2), arg, e);
		if (code < 0)
			break;
	}
	app_store_query_end(&q);
	return code < 0 ? code : 0;
}

static int
is_there(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_TEMPLATE_GET);

	app_store_query_text(&q, r->template_name);
	return app_store_query_step(&q, e);
}

static int
put(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_TEMPLATE_PUT);
	uint8_t hash[APP_HASH_SIZE];
	int code;

	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, (const char *)r->der.data);
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	x509_sha256(r->der, hash);
	app_audit_put_text(&w->detail, "template", r->template_name);
	app_audit_put_bytes(&w->detail, "sha256", (struct bytes){hash, sizeof(hash)});
	return app_store_change_audit(w, r, APP_AUDIT_TEMPLATE_IMPORTED, (struct bytes){NULL, 0}, "", e);
}

static int
take_away(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	int code = is_there(w, r, e);

	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no template %s", r->template_name);
	q = app_store_query(w->db, APP_STMT_TEMPLATE_REMOVE);
	app_store_query_text(&q, r->template_name);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "template", r->template_name);
	return app_store_change_audit(w, r, APP_AUDIT_TEMPLATE_REMOVED, (struct bytes){NULL, 0}, "", e);
}

static int
permit(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_TEMPLATE_PERMIT);
	int code;

	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, (const char *)r->der.data);
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	app_audit_put_text(&w->detail, "template", r->template_name);
	app_audit_put_text(&w->detail, "permission", r->text);
	return app_store_change_audit(w, r, APP_AUDIT_TEMPLATE_PERMISSIONS, (struct bytes){NULL, 0}, "", e);
}

int
app_store_change_template(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	if (r->op == APP_STORE_TEMPLATE_PUT)
		return put(w, r, e);
	return r->op == APP_STORE_TEMPLATE_REMOVE ? take_away(w, r, e) : permit(w, r, e);
}
