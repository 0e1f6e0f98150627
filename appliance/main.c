/* chanceryd: options, and what must be there before the roles start.  The rest is appliance/parent.c. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/parent.h"
#include "board/base/file.h"
#include "board/base/log.h"
#include "board/prompt.h"
#include "board/version.h"

enum { EXIT_WRONG_USAGE = 2 };
enum action { ACTION_RUN, ACTION_CHECK, ACTION_PRINT, ACTION_PRINT_MAN, ACTION_VERSION, ACTION_HELP, ACTION_WRONG };

struct options {
	enum action action;
	const char *config;
	const char *check;
};

static const char help[] = "usage: chanceryd [--config FILE]\n"
			   "       chanceryd --check-config FILE | --print-config | --version | --help\n"
			   "\n"
			   "Runs the appliance in the foreground.  The configuration is " CONFIG_PATH "\n"
			   "unless --config names another.  See chanceryd(8), chancery.conf(5).\n";

static struct options
parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{"config", required_argument, NULL, 'c'},
		{"check-config", required_argument, NULL, ACTION_CHECK},
		{"print-config", no_argument, NULL, ACTION_PRINT},
		{"print-config-man", no_argument, NULL, ACTION_PRINT_MAN},
		{"version", no_argument, NULL, ACTION_VERSION},
		{"help", no_argument, NULL, ACTION_HELP},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.action = ACTION_RUN, .config = CONFIG_PATH};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'c')
			options.config = optarg;
		else if (c != '?' && options.action == ACTION_RUN)
			options.action = (enum action)c;
		else
			options.action = ACTION_WRONG;
		if (c == ACTION_CHECK)
			options.check = optarg;
	}
	if (optind < argc)
		options.action = ACTION_WRONG;
	return options;
}

static int
fail(const struct err *e)
{
	fprintf(stderr, "chanceryd: %s\n", e->text);
	return 1;
}

static int
check_config(const char *path)
{
	struct config conf;
	struct err e = {0};

	if (config_load(path, &conf, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	printf("%s: valid\n", path);
	return 0;
}

static int
print_config(const char *path)
{
	struct config conf;
	struct err e = {0};

	if (access(path, F_OK) != 0)
		config_default(&conf);
	else if (config_load(path, &conf, &e) != 0)
		return fail(&e);
	config_print(&conf, stdout);
	return 0;
}

/* ---- before the roles start -------------------------------------------------------------------------------------- */

static int
make_directories(const struct config *conf, struct err *e)
{
	char store[sizeof(conf->paths_state) + 16];
	char registration[sizeof(conf->paths_state) + 16];
	int rc = file_mkdir(conf->paths_state, 0755, 0, e);

	snprintf(store, sizeof(store), "%s/store", conf->paths_state);
	if (rc == 0)
		rc = file_mkdir(store, 0700, CONFIG_ROLE_UID_BASE, e);
	snprintf(registration, sizeof(registration), "%s/registration", conf->paths_state);
	if (rc == 0)
		rc = file_mkdir(registration, 0755, CONFIG_ROLE_UID_BASE, e);
	return rc != 0 ? rc : file_mkdir(conf->paths_run, 0755, 0, e);
}

static int
read_secrets(struct app_parent_setup *setup, struct err *e)
{
	const struct config *conf = &setup->config;
	int rc;

	if (conf->signer_pin_file[0] != '\0')
		rc = secret_read_file(conf->signer_pin_file, APP_PIN_MAX, &setup->pin, e);
	else
		rc = prompt_secret("PIN of the token", APP_PIN_MAX, &setup->pin, e);
	if (rc == 0 && conf->challenge_static_file[0] != '\0')
		rc = secret_read_file(conf->challenge_static_file, APP_CHALLENGE_MAX, &setup->challenge, e);
	return rc;
}

static int
read_chain(struct app_parent_setup *setup, struct err *e)
{
	char folder[sizeof(setup->config.paths_state) + 8];
	char path[sizeof(setup->config.paths_state) + 16];
	char request[sizeof(setup->config.paths_state) + 20];
	int rc;

	snprintf(folder, sizeof(folder), "%s/ca", setup->config.paths_state);
	snprintf(path, sizeof(path), "%s/ca/ca.pem", setup->config.paths_state);
	snprintf(request, sizeof(request), "%s/ca/request.pem", setup->config.paths_state);
	if (access(path, F_OK) != 0 && access(request, F_OK) == 0)
		return err_set(e, ERR_STAGE, 0,
			       "the CA above has to sign %s: then run chancery import-chain CHAIN --config %s", request,
			       setup->config_path);
	if (access(path, F_OK) != 0)
		return err_set(e, ERR_STAGE, 0, "not provisioned: run chancery provision --config %s --file CEREMONY",
			       setup->config_path);
	rc = app_chains_read(folder, &setup->chains, e);
	return rc == 0 ? 0 : err_set(e, rc, 0, "%s: %s", folder, err_name(rc));
}

static int
set_up(struct app_parent_setup *setup, struct err *e)
{
	int rc = config_load(setup->config_path, &setup->config, e);

	if (rc != 0)
		return rc;
	log_init("parent", (enum log_level)log_level_parse(setup->config.log_level));
	rc = make_directories(&setup->config, e);
	if (rc == 0)
		rc = read_chain(setup, e);
	if (rc == 0)
		rc = read_secrets(setup, e);
	return rc != 0 ? rc : app_listen_open(&setup->config, &setup->listeners, e);
}

static int
run(const char *config_path)
{
	static struct app_parent_setup setup;
	struct err e = {0};
	int status = 1;

	if (geteuid() != 0) {
		fputs("chanceryd: must be started as root, to bind ports and to start each role under its own user "
		      "id\n",
		      stderr);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	/* The PIN is in here. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	setup.config_path = config_path;
	app_listen_init(&setup.listeners);
	if (set_up(&setup, &e) == 0)
		status = app_parent_run(&setup, &e);
	if (e.code != 0)
		status = fail(&e);
	app_listen_close(&setup.listeners);
	app_chains_fini(&setup.chains);
	secret_free(setup.pin);
	secret_free(setup.challenge);
	return status;
}

int
main(int argc, char **argv)
{
	struct options options = parse_options(argc, argv);

	switch (options.action) {
	case ACTION_CHECK:
		return check_config(options.check);
	case ACTION_PRINT:
		return print_config(options.config);
	case ACTION_PRINT_MAN:
		config_print_man(stdout);
		return 0;
	case ACTION_VERSION:
		puts("chanceryd " VERSION);
		return 0;
	case ACTION_HELP:
		fputs(help, stdout);
		return 0;
	case ACTION_WRONG:
		fputs(help, stderr);
		return EXIT_WRONG_USAGE;
	case ACTION_RUN:
		break;
	}
	return run(options.config);
}
