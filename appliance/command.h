/*
 * appliance/command - the commands of an operator, as one table
 *
 * The table gives the parser, the help, and the checks of arguments and options, so that a handler only sees what is
 * allowed.  A handler ends with app_session_end() or app_session_fail(), now or in a callback.
 *
 * Threads:  the authority's loop.
 */
#ifndef APPLIANCE_COMMAND_H
#define APPLIANCE_COMMAND_H

#include "appliance/state.h"

enum app_option_kind { APP_OPTION_NONE, APP_OPTION_FLAG, APP_OPTION_NUMBER, APP_OPTION_TEXT };

struct app_option {
	const char *name; /* without the dashes */
	enum app_option_kind kind;
	const char *value; /* what the help calls it */
	int64_t low;       /* numbers: allowed range, and what holds without the option */
	int64_t high;
	int64_t standard;
};

struct app_command {
	const char *words;    /* "certificate show" */
	const char *argument; /* what the help calls it; NULL: none; "[NAME]": may be left out */
	struct app_option options[APP_OPTION_MAX];
	const char *help;
	void (*run)(struct app_session *session);
};

/* Finds and runs the command; anything wrong with it is answered. */
void app_command_run(struct app_session *session, const struct msg_list *words);

/*
 * Reads a serial number: 32 hexadecimal digits in either case, colons and blanks do not count.  Fails with ERR_FORMAT.
 */
MUST_CHECK int app_command_serial(const char *text, uint8_t ret_serial[APP_SERIAL_SIZE]);

/* Text for a terminal: each octet that is no printable ASCII as "?", cut to size.  Returns out. */
char *app_command_plain(const char *text, char *out, size_t size);

/* "3d 4h", "12m" and the like for a number of seconds.  Returns out. */
char *app_command_span(int64_t seconds, char *out, size_t size);

/* A certificate or CRL as PEM; its SHA-256 in two lines; every field as OpenSSL reads it, printable octets alone. */
void app_command_print_pem(struct app_session *session, const char *label, struct bytes der);
void app_command_print_fingerprint(struct app_session *session, struct bytes der); /* see above */
void app_command_print_fields(struct app_session *session, struct bytes der);      /* see above */

/* The handlers: command_ca.c */
void app_command_ca_show(struct app_session *session);            /* all generations, and the current chain */
void app_command_ca_rollover_ready(struct app_session *session);  /* what the ceremony of a next CA asks */
void app_command_ca_rollover_now(struct app_session *session);    /* the next CA issues from now on */
void app_command_ca_rollover_at(struct app_session *session);     /* or from a date on */
void app_command_ca_rollover_cancel(struct app_session *session); /* or never */

/* The handlers: command_cert.c */
void app_command_certificate_list(struct app_session *session);    /* a page of the inventory, newest first */
void app_command_certificate_show(struct app_session *session);    /* one certificate, readable or as PEM */
void app_command_certificate_revoke(struct app_session *session);  /* revokes and publishes */
void app_command_certificate_hold(struct app_session *session);    /* revokes until it is released, and publishes */
void app_command_certificate_release(struct app_session *session); /* ends a hold, and publishes */
void app_command_crl_show(struct app_session *session);            /* number, dates, size of the CRL */
void app_command_crl_make(struct app_session *session);            /* makes and publishes one now */

/* The handlers: command_request.c */
void app_command_request_list(struct app_session *session);    /* what waits for an operator, and what was denied */
void app_command_request_show(struct app_session *session);    /* one request, with all names and the key */
void app_command_request_approve(struct app_session *session); /* and issues it */
void app_command_request_deny(struct app_session *session);    /* the device is told at its next question */

/* The handlers: command_operator.c */
void app_command_operator_add(struct app_session *session);      /* a new account */
void app_command_operator_list(struct app_session *session);     /* all of them */
void app_command_operator_password(struct app_session *session); /* a new password for one */
void app_command_operator_change(struct app_session *session);   /* groups, certificate, disabled or not */
void app_command_operator_unlock(struct app_session *session);   /* forgets wrong passwords */
void app_command_operator_remove(struct app_session *session);   /* and its name is free again */

/* The handlers: command_challenge.c */
void app_command_challenge_create(struct app_session *session); /* one-time challenges, a line each */
void app_command_challenge_list(struct app_session *session);   /* how many are open, and what some are bound to */
void app_command_challenge_revoke(struct app_session *session); /* one, or all that are open */

/* The handlers: command_template.c */
void app_command_template_list(struct app_session *session);   /* those that the account may read */
void app_command_template_show(struct app_session *session);   /* one, readable or as a file */
void app_command_template_check(struct app_session *session);  /* what a file has, or what is wrong with it */
void app_command_template_import(struct app_session *session); /* all of a file, new or again */
void app_command_template_remove(struct app_session *session); /* one that was imported */
void app_command_template_permit(struct app_session *session); /* what a group or account may do with one */

/* The handlers: command_regpoint.c */
void app_command_point_install(struct app_session *session); /* a registration point, and the root */
void app_command_point_list(struct app_session *session);    /* all, and whom each trusts */
void app_command_point_trust(struct app_session *session);   /* an NDES server and its root */
void app_command_point_untrust(struct app_session *session); /* takes that back */
void app_command_point_export(struct app_session *session);  /* the root as PEM */
void app_command_point_remove(struct app_session *session);  /* and the path is free again */

/* The handlers: command_certprofile.c */
void app_command_certprofile_list(struct app_session *session);      /* certificate profiles */
void app_command_certprofile_show(struct app_session *session);      /* one, as its file */
void app_command_certprofile_check(struct app_session *session);     /* a file, and whether its template agrees */
void app_command_certprofile_import(struct app_session *session);    /* a file, new or anew */
void app_command_certprofile_remove(struct app_session *session);    /* its challenges are refused */
void app_command_certprofile_challenge(struct app_session *session); /* "challenge create" for a profile and device */

/* The handlers: command_unit.c */
void app_command_status(struct app_session *session);       /* one screen; exit status 1 when degraded */
void app_command_audit_list(struct app_session *session);   /* the newest records */
void app_command_audit_verify(struct app_session *session); /* checks the chain */

/* The handlers: command_policy.c */
void app_command_policy_install(struct app_session *session);   /* a module, new or again */
void app_command_policy_uninstall(struct app_session *session); /* one that no setting names */
void app_command_policy_list(struct app_session *session);      /* all, and where they are used */
void app_command_policy_status(struct app_session *session); /* how they did; exit status 1 when one cannot be asked */
void app_command_policy_test(struct app_session *session);   /* is its server there? */

void app_command_policy_request(struct app_session *session);     /* for a certificate of the policy key */
void app_command_policy_certificate(struct app_session *session); /* that another CA made, or the own one again */

/* The line of a module in "status". */
void app_command_policy_print(struct app_session *session, const struct app_policy_module *module);

#endif
