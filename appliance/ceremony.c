#include "appliance/ceremony.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "appliance/cert.h"

/* Every setting of the file, once.  What is not optional must be there. */
struct setting {
	const char *path;
	int type; /* CONFIG_TYPE_* */
	bool optional;
};

static const struct setting settings[] = {
	{"token.label", CONFIG_TYPE_STRING, false},     {"token.so_pin_file", CONFIG_TYPE_STRING, true},
	{"ca.kind", CONFIG_TYPE_STRING, false},         {"ca.name", CONFIG_TYPE_STRING, false},
	{"ca.key", CONFIG_TYPE_STRING, false},          {"ca.validity_days", CONFIG_TYPE_INT, true},
	{"ca.path_length", CONFIG_TYPE_INT, true},      {"ra.sign_key", CONFIG_TYPE_STRING, false},
	{"ra.decrypt_key", CONFIG_TYPE_STRING, false},  {"audit.key", CONFIG_TYPE_STRING, true},
	{"policy.key", CONFIG_TYPE_STRING, true},       {"ocsp.key", CONFIG_TYPE_STRING, true},
	{"registration.key", CONFIG_TYPE_STRING, true},
};

struct reader {
	const char *path;
	config_t file;
	struct err *e;
};

static int
complain(const struct reader *r, const char *setting, const char *what)
{
	const config_setting_t *at = config_lookup(&r->file, setting);

	if (at == NULL)
		return err_set(r->e, ERR_CONFIG, 0, "%s: %s: %s", r->path, setting, what);
	return err_set(r->e, ERR_CONFIG, 0, "%s:%u: %s: %s", r->path, config_setting_source_line(at), setting, what);
}

static const struct setting *
find_setting(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (strcmp(settings[i].path, path) == 0)
			return &settings[i];
	return NULL;
}

/* Looks at every setting that the file has: known, and of the right type? */
static int
check_group(const struct reader *r, const config_setting_t *group)
{
	char path[80];

	for (unsigned i = 0; i < (unsigned)config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, i);
		const struct setting *known;

		(void)snprintf(path, sizeof(path), "%s.%s", config_setting_name(group), config_setting_name(s));
		known = find_setting(path);
		if (known == NULL)
			return complain(r, path, "no such setting");
		if (config_setting_type(s) != known->type)
			return complain(r, path,
					known->type == CONFIG_TYPE_INT ? "a number is wanted" : "a text is wanted");
	}
	return 0;
}

static int
check_known(const struct reader *r)
{
	const config_setting_t *root = config_root_setting(&r->file);

	for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++) {
		const config_setting_t *group = config_setting_get_elem(root, i);

		if (config_setting_type(group) != CONFIG_TYPE_GROUP)
			return complain(r, config_setting_name(group), "no such setting");
		if (check_group(r, group) != 0)
			return ERR_CONFIG;
	}
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!settings[i].optional && config_lookup(&r->file, settings[i].path) == NULL)
			return complain(r, settings[i].path, "is missing");
	return 0;
}

static int
get_text(const struct reader *r, const char *setting, char *out, size_t size)
{
	const char *text = "";

	(void)config_lookup_string(&r->file, setting, &text);
	if (strlen(text) >= size)
		return complain(r, setting, "too long");
	(void)snprintf(out, size, "%s", text);
	return 0;
}

static int
get_number(const struct reader *r, const char *setting, int low, int high, int *number)
{
	char what[60];

	(void)config_lookup_int(&r->file, setting, number);
	(void)snprintf(what, sizeof(what), "a number from %d to %d is wanted", low, high);
	return *number < low || *number > high ? complain(r, setting, what) : 0;
}

static int
get_key(const struct reader *r, const char *setting, enum key_class class_, struct app_ceremony *c)
{
	const char *name = "p256";
	int algorithm;

	(void)config_lookup_string(&r->file, setting, &name);
	algorithm = msg_key_alg_parse(name);
	if (class_ == KEY_RA_DECRYPT && (algorithm == KEY_ALG_P256 || algorithm == KEY_ALG_P384))
		return complain(r, setting, "one of rsa2048, rsa3072, rsa4096 is wanted: SCEP needs RSA to decrypt");
	if (class_ == KEY_POLICY && algorithm != KEY_ALG_P256)
		return complain(r, setting, "p256 is wanted: the courier authenticates with nothing else");
	if (class_ == KEY_REGISTRATION && algorithm != KEY_ALG_P256)
		return complain(r, setting, "p256 is wanted: the registration point's root has nothing else");
	if (algorithm < 0)
		return complain(r, setting, "one of rsa2048, rsa3072, rsa4096, p256, p384 is wanted");
	c->key[class_] = (enum key_alg)algorithm;
	c->wanted[class_] = true;
	return 0;
}

static int
get_kind(const struct reader *r, struct app_ceremony *c)
{
	const char *kind = "";

	(void)config_lookup_string(&r->file, "ca.kind", &kind);
	c->subordinate = strcmp(kind, "subordinate") == 0;
	if (!c->subordinate && strcmp(kind, "root") != 0)
		return complain(r, "ca.kind", "\"root\" or \"subordinate\" is wanted");
	return 0;
}

static int
get_name(const struct reader *r, struct app_ceremony *c)
{
	struct err why = {0};
	AUTO_BUF name;

	if (get_text(r, "ca.name", c->ca_name, sizeof(c->ca_name)) != 0)
		return ERR_CONFIG;
	buf_init(&name, 2048);
	return app_name_parse(c->ca_name, &name, &why) != 0 ? complain(r, "ca.name", why.text) : 0;
}

static int
get_all(const struct reader *r, struct app_ceremony *c)
{
	c->ca_days = 3650;
	c->path_length = 0;
	if (get_text(r, "token.label", c->token_label, sizeof(c->token_label)) != 0 ||
	    get_text(r, "token.so_pin_file", c->so_pin_file, sizeof(c->so_pin_file)) != 0 || get_name(r, c) != 0 ||
	    get_kind(r, c) != 0 || get_number(r, "ca.validity_days", 1, 36500, &c->ca_days) != 0 ||
	    get_number(r, "ca.path_length", -1, 16, &c->path_length) != 0 || get_key(r, "ca.key", KEY_CA, c) != 0 ||
	    get_key(r, "ra.sign_key", KEY_RA_SIGN, c) != 0 || get_key(r, "ra.decrypt_key", KEY_RA_DECRYPT, c) != 0 ||
	    get_key(r, "audit.key", KEY_AUDIT, c) != 0 || get_key(r, "ocsp.key", KEY_OCSP, c) != 0 ||
	    get_key(r, "policy.key", KEY_POLICY, c) != 0 || get_key(r, "registration.key", KEY_REGISTRATION, c) != 0)
		return ERR_CONFIG;
	if (c->token_label[0] == '\0')
		return complain(r, "token.label", "must not be empty");
	return 0;
}

int
app_ceremony_read(const char *path, struct app_ceremony *ret_ceremony, struct err *e)
{
	struct reader r = {.path = path, .e = e};
	struct app_ceremony c = {0};
	int code = 0;

	config_init(&r.file);
	if (config_read_file(&r.file, path) != CONFIG_TRUE) {
		if (config_error_type(&r.file) == CONFIG_ERR_FILE_IO)
			code = err_set(e, ERR_IO, 0, "%s: cannot be read", path);
		else
			code = err_set(e, ERR_CONFIG, 0, "%s:%d: %s", path, config_error_line(&r.file),
				       config_error_text(&r.file));
	}
	if (code == 0)
		code = check_known(&r);
	if (code == 0)
		code = get_all(&r, &c);
	config_destroy(&r.file);
	if (code == 0)
		*ret_ceremony = c;
	return code;
}
