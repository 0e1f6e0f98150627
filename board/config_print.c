/*
 * The printing half of config.h: a complete file, and two sections of chancery.conf(5).
 */
#include <string.h>

#include "board/base/buf.h"
#include "board/config.h"
#include "board/config_profile.h"
#include "board/config_table.h"
#include "board/config_value.h"

/* Comment lines of at most about 100 characters. */
static void
print_comment(const char *text, FILE *out)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (column == 0 || column + len > 100)
			column = (size_t)fprintf(out, "%s\t#", column == 0 ? "" : "\n");
		column += (size_t)fprintf(out, " %.*s", (int)len, text);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

/* What a field may be is said once, before the list, since there may be no profile to say it in. */
static void
print_profile_help(FILE *out)
{
	const struct config_profile_field *f;
	char text[600];
	size_t i;

	fputs("\n# SCEP profiles: clients that need something of their own ask at /scep/NAME.\n", out);
	for (i = 0; i < config_profile_field_count; i++) {
		f = &config_profile_fields[i];
		snprintf(text, sizeof(text), "%s: %s%s%s%s", f->option.key, f->is_own ? "" : "like ",
			 f->is_own ? "" : f->option.check, f->is_own ? "" : ". ", f->option.help);
		print_comment(text, out);
		fputs("\t# (", out);
		config_value_print_range(&f->option, out);
		fputs(")\n", out);
	}
	fputs("# Presets, which chancery.conf(5) explains:", out);
	for (i = 0; i < config_preset_count; i++) {
		if (config_presets[i].key == NULL)
			fprintf(out, " %s", config_presets[i].name);
	}
	fputc('\n', out);
}

static void
print_profiles(const struct config *conf, FILE *out)
{
	size_t i;
	int n;

	print_profile_help(out);
	fputs("profiles: (", out);
	for (n = 0; n < conf->profile_count; n++) {
		fprintf(out, "%s\n\t{\n", n > 0 ? "," : "");
		for (i = 0; i < config_profile_field_count; i++) {
			fprintf(out, "\t\t%s = ", config_profile_fields[i].option.key);
			config_value_print(&config_profile_fields[i].option, &conf->profiles[n], out);
			fputs(";\n", out);
		}
		fputs("\t}", out);
	}
	fputs("\n);\n", out);
}

void
config_print(const struct config *conf, FILE *out)
{
	const struct config_option *o;
	size_t i;

	fputs("# Settings of chanceryd; chancery.conf(5) explains this file, chanceryd --check-config FILE checks "
	      "it.\n",
	      out);
	for (i = 0; i < config_group_count; i++) {
		fprintf(out, "\n# %s\n%s: {\n", config_groups[i].help, config_groups[i].name);
		for (o = config_table; o < config_table + config_table_count; o++) {
			if (strcmp(o->group, config_groups[i].name) != 0)
				continue;
			print_comment(o->help, out);
			fputs("\t# (", out);
			config_value_print_range(o, out);
			fprintf(out, "%s)\n\t%s = ", o->restart ? "; a change needs a restart" : "", o->key);
			config_value_print(o, conf, out);
			fputs(";\n", out);
		}
		fputs("};\n", out);
	}
	print_profiles(conf, out);
}

/* Text for man(7): no line of it may begin with a control character, and '-' is to stay the ASCII one. */
static void
print_roff(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (*text == '-')
			fputs("\\-", out);
		else
			fputc(*text, out);
	}
}

static void
print_man_profiles(FILE *out)
{
	const struct config_profile_field *f;

	fputs(".SH PROFILES\n.nf\nprofiles = ( { name = \"routers\"; preset = \"cisco\\-ios\"; } );\n.fi\n.PP\n"
	      "lists up to 16 profiles for SCEP clients that need something of their own. Such clients are given the "
	      "URL\n"
	      ".IR /scep/NAME ,\n"
	      "all others are served as the settings say. A field that a profile does not write is what its preset "
	      "says,\n"
	      "else what the setting is. A change takes effect at a reload.\n",
	      out);
	for (f = config_profile_fields; f < config_profile_fields + config_profile_field_count; f++) {
		fprintf(out, ".TP\n.B %s\n", f->option.key);
		if (!f->is_own)
			fprintf(out, "Like\n.B %s\nfor this URL. ", f->option.check);
		print_roff(f->option.help, out);
		fputc('\n', out);
	}
}

static void
print_man_presets(FILE *out)
{
	const struct config_preset *p;

	fputs(".SH PRESETS\nWhat each sets, and why.\n", out);
	for (p = config_presets; p < config_presets + config_preset_count; p++) {
		fputs(p->key == NULL ? ".TP\n.B " : ".br\n", out);
		print_roff(p->key == NULL ? p->name : p->key, out);
		if (p->key != NULL) {
			fprintf(out, " = %s: ", p->value);
			print_roff(p->help, out);
			fputs(".\n", out);
			continue;
		}
		fputc('\n', out);
		print_roff(p->help, out);
		fputs(".\n", out);
	}
}

void
config_print_man(FILE *out)
{
	struct config defaults;
	const struct config_option *o;
	size_t i;

	config_default(&defaults);
	fputs(".SH SETTINGS\n", out);
	for (i = 0; i < config_group_count; i++) {
		fprintf(out, ".SS %s: ", config_groups[i].name);
		print_roff(config_groups[i].help, out);
		fputc('\n', out);
		for (o = config_table; o < config_table + config_table_count; o++) {
			if (strcmp(o->group, config_groups[i].name) != 0)
				continue;
			fprintf(out, ".TP\n.B %s.%s\n", o->group, o->key);
			print_roff(o->help, out);
			fputs("\n.br\nAllowed: ", out);
			config_value_print_range(o, out);
			fputs(". Default: ", out);
			config_value_print(o, &defaults, out);
			fprintf(out, ". A change takes effect at a %s.\n", o->restart ? "restart" : "reload");
		}
	}
	print_man_profiles(out);
	print_man_presets(out);
}
