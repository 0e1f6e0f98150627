#include "appliance/store_point.h"

#include "appliance/store_change.h"
#include "board/base/x509.h"

enum { CACHE_KIB = 256 };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static int
read_row(const struct app_store_point_fns *fns, enum app_store_stmt id, struct app_store_query *q, struct err *e)
{
	if (id == APP_STMT_POINTS)
		return fns->point(app_store_query_get_text(q, 0), app_store_query_get_text(q, 1), fns->arg, e);
	if (id == APP_STMT_TRUSTS)
		return fns->trust(app_store_query_get_text(q, 0), app_store_query_get_text(q, 1),
				  app_store_query_get_blob(q, 2), app_store_query_get_blob(q, 3), fns->arg, e);
	return fns->root(app_store_query_get_blob(q, 0), fns->arg, e);
}

static int
read_all(struct app_store_db *db, enum app_store_stmt id, const struct app_store_point_fns *fns, struct err *e)
{
	struct app_store_query q = app_store_query(db, id);
	int code;

	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		code = read_row(fns, id, &q, e);
		if (code < 0)
			break;
	}
	app_store_query_end(&q);
	return code < 0 ? code : 0;
}

int
app_store_points(const char *path, const struct app_store_point_fns *fns, struct err *e)
{
	AUTO_STRUCT(app_store_db) db = NULL;
	int code = app_store_db_open(path, CACHE_KIB, &db, e);

	if (code < 0)
		return code;
	code = read_all(db, APP_STMT_POINTS, fns, e);
	if (code == 0)
		code = read_all(db, APP_STMT_TRUSTS, fns, e);
	return code != 0 ? code : read_all(db, APP_STMT_REGISTRATION_ROOT, fns, e);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* Is there a row of these two texts? */
static int
is_there(struct app_store_writer *w, enum app_store_stmt id, const char *first, const char *second, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, id);

	app_store_query_text(&q, first);
	app_store_query_text(&q, second);
	return app_store_query_step(&q, e);
}

static int
audit(struct app_store_writer *w, struct app_store_request *r, enum app_audit_event event, struct err *e)
{
	app_audit_put_text(&w->detail, "point", r->template_name);
	app_audit_put_text(&w->detail, r->op == APP_STORE_POINT_ADD ? "application" : "ndes", r->text);
	if (r->op == APP_STORE_POINT_ADD)
		app_audit_put_text(&w->detail, "setup", "exit code 0");
	return app_store_change_audit(w, r, event, (struct bytes){NULL, 0}, "", e);
}

static int
add_point(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	int code = is_there(w, APP_STMT_POINT_GET, r->template_name, r->text, e);

	if (code != 0)
		return code < 0 ? code : err_set(e, ERR_EXISTS, 0, "a registration point has that name or application");
	q = app_store_query(w->db, APP_STMT_POINT_ADD);
	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, r->text);
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	code = app_store_query_run(&q, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_POINT_INSTALLED, e);
}

static int
remove_point(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	int code = is_there(w, APP_STMT_POINT_GET, r->template_name, "", e);

	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no such registration point");
	q = app_store_query(w->db, APP_STMT_TRUST_REMOVE);
	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, "");
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	q = app_store_query(w->db, APP_STMT_POINT_REMOVE);
	app_store_query_text(&q, r->template_name);
	code = app_store_query_run(&q, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_POINT_REMOVED, e);
}

static int
put_trust(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct bytes thumbprint = {r->has_challenge ? r->tbs_hash : NULL, r->has_challenge ? APP_HASH_SIZE : 0};
	struct app_store_query q;
	uint8_t hash[APP_HASH_SIZE];
	int code = is_there(w, APP_STMT_POINT_GET, r->template_name, "", e);

	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no such registration point");
	q = app_store_query(w->db, APP_STMT_TRUST_PUT);
	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, r->text);
	app_store_query_blob(&q, r->der);
	app_store_query_blob(&q, thumbprint);
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	x509_sha256(r->der, hash);
	app_audit_put_bytes(&w->detail, "root", (struct bytes){hash, sizeof(hash)});
	app_audit_put_bytes(&w->detail, "thumbprint", thumbprint);
	return audit(w, r, APP_AUDIT_POINT_TRUSTS, e);
}

static int
remove_trust(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_store_query q;
	int code = is_there(w, APP_STMT_TRUST_GET, r->template_name, r->text, e);

	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "that point does not trust this NDES");
	q = app_store_query(w->db, APP_STMT_TRUST_REMOVE);
	app_store_query_text(&q, r->template_name);
	app_store_query_text(&q, r->text);
	code = app_store_query_run(&q, e);
	return code < 0 ? code : audit(w, r, APP_AUDIT_POINT_DISTRUSTS, e);
}

int
app_store_change_point(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	if (r->op == APP_STORE_POINT_ADD)
		return add_point(w, r, e);
	if (r->op == APP_STORE_POINT_REMOVE)
		return remove_point(w, r, e);
	return r->op == APP_STORE_TRUST_PUT ? put_trust(w, r, e) : remove_trust(w, r, e);
}
