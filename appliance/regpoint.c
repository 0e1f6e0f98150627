#include "appliance/regpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "appliance/state.h"
#include "appliance/store_point.h"

static struct app_regtrust *
trust_find(struct app_regpoint *point, const char *url)
{
	for (size_t i = 0; i < point->trust_count; i++)
		if (strcmp(point->trusts[i].url, url) == 0)
			return &point->trusts[i];
	return NULL;
}

static void
point_free(struct app_regpoint *point)
{
	for (size_t i = 0; i < point->trust_count; i++)
		free((void *)point->trusts[i].root.data);
	free(point);
}

struct app_regpoint *
app_regpoint_find(const struct app_authority *a, const char *name)
{
	for (size_t i = 0; i < a->points.count; i++)
		if (strcmp(a->points.points[i]->name, name) == 0)
			return a->points.points[i];
	return NULL;
}

struct app_regpoint *
app_regpoint_at(const struct app_authority *a, const char *application)
{
	for (size_t i = 0; i < a->points.count; i++)
		if (strcasecmp(a->points.points[i]->application, application) == 0)
			return a->points.points[i];
	return NULL;
}

bool
app_regpoint_is_name(const char *text, size_t size)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL)
			return false;
	return len > 0 && len < size && text[0] != '.';
}

int
app_regpoints_add(struct app_authority *a, const char *name, const char *application, struct err *e)
{
	struct app_regpoint *point;

	if (a->points.count == APP_REGPOINTS_MAX)
		return err_set(e, ERR_LIMIT, 0, "more than %d registration points", APP_REGPOINTS_MAX);
	point = calloc(1, sizeof(*point));
	if (point == NULL)
		return err_set(e, ERR_NOMEM, 0, "registration point");
	snprintf(point->name, sizeof(point->name), "%s", name);
	snprintf(point->application, sizeof(point->application), "%s", application);
	a->points.points[a->points.count++] = point;
	return 0;
}

void
app_regpoints_remove(struct app_authority *a, const char *name)
{
	for (size_t i = 0; i < a->points.count; i++) {
		if (strcmp(a->points.points[i]->name, name) != 0)
			continue;
		point_free(a->points.points[i]);
		a->points.points[i] = a->points.points[--a->points.count];
		return;
	}
}

int
app_regpoints_trust(struct app_authority *a, const char *name, const char *url, struct bytes root,
		    struct bytes thumbprint, struct err *e)
{
	struct app_regpoint *point = app_regpoint_find(a, name);
	struct app_regtrust *trust = point != NULL ? trust_find(point, url) : NULL;
	struct bytes copy;

	if (point == NULL)
		return err_set(e, ERR_UNKNOWN, 0, "there is no such registration point");
	if (trust == NULL && point->trust_count == APP_REGPOINT_TRUSTS_MAX)
		return err_set(e, ERR_LIMIT, 0, "more than %d NDES servers", APP_REGPOINT_TRUSTS_MAX);
	copy = bytes_dup(root);
	if (copy.data == NULL)
		return err_set(e, ERR_NOMEM, 0, "root of an NDES server");
	if (trust == NULL)
		trust = &point->trusts[point->trust_count++];
	free((void *)trust->root.data);
	snprintf(trust->url, sizeof(trust->url), "%s", url);
	trust->root = copy;
	trust->pinned = thumbprint.len == sizeof(trust->thumbprint);
	if (trust->pinned)
		memcpy(trust->thumbprint, thumbprint.data, thumbprint.len);
	return 0;
}

void
app_regpoints_distrust(struct app_authority *a, const char *name, const char *url)
{
	struct app_regpoint *point = app_regpoint_find(a, name);
	struct app_regtrust *trust = point != NULL ? trust_find(point, url) : NULL;

	if (trust == NULL)
		return;
	free((void *)trust->root.data);
	*trust = point->trusts[--point->trust_count];
	memset(&point->trusts[point->trust_count], 0, sizeof(*trust));
}

int
app_regpoints_set_root(struct app_authority *a, struct bytes der, struct err *e)
{
	struct bytes copy = bytes_dup(der);
	struct app_issuer issuer;
	int code;

	if (copy.data == NULL)
		return err_set(e, ERR_NOMEM, 0, "root of the registration point");
	code = app_issuer_init(copy, &issuer, e);
	if (code != 0) {
		free((void *)copy.data);
		return code;
	}
	free((void *)a->points.root.data);
	a->points.root = copy;
	a->points.issuer = issuer;
	return 0;
}

static int
load_point(const char *name, const char *application, void *arg, struct err *e)
{
	return app_regpoints_add(arg, name, application, e);
}

static int
load_trust(const char *point, const char *url, struct bytes root, struct bytes thumbprint, void *arg, struct err *e)
{
	return app_regpoints_trust(arg, point, url, root, thumbprint, e);
}

static int
load_root(struct bytes der, void *arg, struct err *e)
{
	return app_regpoints_set_root(arg, der, e);
}

int
app_regpoints_load(struct app_authority *a, const char *path, struct err *e)
{
	const struct app_store_point_fns fns = {load_point, load_trust, load_root, a};

	return app_store_points(path, &fns, e);
}

void
app_regpoints_fini(struct app_authority *a)
{
	while (a->points.count > 0)
		point_free(a->points.points[--a->points.count]);
	free((void *)a->points.root.data);
	a->points.root = (struct bytes){NULL, 0};
}
