/*
 * Commands about the CA itself: what it is, and its roll-over to the next one.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliance/command.h"
#include "board/base/clock.h"

/* ---- ca show ----------------------------------------------------------------------------------------------------- */

static void
print_generation(struct app_session *session, unsigned g)
{
	const struct app_authority *a = session->authority;
	const struct x509_tbs *ca = &a->generations[g].issuer.cert.tbs;
	char name[256], plain[64], when[24];

	app_session_print(session, "%2u  %-9s  ends %.10s  %s\n", g + 1, app_issuer_state_name(a->issuers.of[g].state),
			  clock_text(ca->not_after, when, sizeof(when)),
			  app_command_plain(x509_name_text(ca->subject, name, sizeof(name)), plain, sizeof(plain)));
	if (g == app_generation_next(a))
		app_session_print(session, "    roll-over  %s\n",
				  a->issuers.of[g].rollover_at == 0
					  ? "when somebody says so"
					  : clock_text(a->issuers.of[g].rollover_at, when, sizeof(when)));
	if (a->issuers.of[g].state == APP_ISSUER_PREVIOUS && a->generations[g].ends != 0)
		app_session_print(session, "    its last certificate %s %.10s\n",
				  a->generations[g].has_ended ? "ended" : "ends",
				  clock_text(a->generations[g].ends, when, sizeof(when)));
}

/* Of one CA that never rolled over there is nothing to say. */
static void
print_generations(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	unsigned count = 0;

	for (unsigned g = 0; g < CA_GENERATIONS; g++)
		count += a->generations[g].chain_count > 0;
	for (unsigned g = 0; count > 1 && g < CA_GENERATIONS; g++) {
		if (a->generations[g].chain_count > 0)
			print_generation(session, g);
	}
	if (count > 1)
		app_session_print(session, "\n");
}

void
app_command_ca_show(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	unsigned g = session->given[1] ? (unsigned)session->number[1] - 1 : a->current;
	const struct app_generation *generation = &a->generations[g];
	char text[256];

	if (generation->chain_count == 0) {
		app_session_fail(session, APP_EXIT_FAILED, "There is no CA generation %u.", g + 1);
		return;
	}
	for (size_t i = 0; session->given[0] && i < generation->chain_count; i++)
		app_command_print_pem(session, "CERTIFICATE", generation->chain[i]);
	if (!session->given[0]) {
		print_generations(session);
		app_session_print(session, "Subject       %s\n",
				  x509_name_text(generation->issuer.cert.tbs.subject, text, sizeof(text)));
		app_session_print(session, "SHA-256       ");
		app_command_print_fingerprint(session, generation->chain[0]);
		app_command_print_fields(session, generation->chain[0]);
	}
	app_session_end(session, APP_EXIT_OK);
}

/* ---- ca rollover ------------------------------------------------------------------------------------------------- */

void
app_command_ca_rollover_ready(struct app_session *session)
{
	const struct app_authority *a = session->authority;
	unsigned next = app_issuers_find(&a->issuers, APP_ISSUER_NEXT);
	unsigned g = CA_GENERATIONS;

	if (next < CA_GENERATIONS) {
		app_session_fail(session, APP_EXIT_FAILED,
				 "CA %u is prepared already; \"chancery ca rollover cancel\" gives it up.", next + 1);
		return;
	}
	while (g > 0 && a->issuers.of[g - 1].state == APP_ISSUER_NONE)
		g--;
	if (g == CA_GENERATIONS) {
		app_session_fail(session, APP_EXIT_FAILED, "This appliance has had all %d CAs that it can have.",
				 CA_GENERATIONS);
		return;
	}
	app_session_print(session, "current %u next %u\n", a->current + 1, g + 1);
	app_session_end(session, APP_EXIT_OK);
}

static void
on_changed(int code, const struct err *e, void *arg)
{
	struct app_session *session = arg;
	const struct app_authority *a = session->authority;
	unsigned next = app_generation_next(a);
	char when[24];

	if (code != 0)
		app_session_fail(session, APP_EXIT_FAILED, "Nothing was changed: %s.",
				 e->text[0] == '\0' ? err_name(code) : e->text);
	else if (next < CA_GENERATIONS && a->issuers.of[next].rollover_at != 0)
		app_session_print(session, "CA %u issues from %s on.\n", next + 1,
				  clock_text(a->issuers.of[next].rollover_at, when, sizeof(when)));
	else if (next < CA_GENERATIONS)
		app_session_print(session, "CA %u waits for \"chancery ca rollover now\".\n", next + 1);
	else if (session->own != NULL)
		app_session_print(session, "CA %u issues from now on.\n", a->current + 1);
	else
		app_session_print(session, "The next CA is given up.  Its key is still in the token.\n");
	session->own = NULL;
	if (code == 0)
		app_session_end(session, APP_EXIT_OK);
}

void
app_command_ca_rollover_now(struct app_session *session)
{
	if (!session->given[0]) {
		app_session_fail(session, APP_EXIT_USAGE,
				 "There is no way back: say --confirm when GetNextCACert was published long enough.");
		return;
	}
	session->own = session->authority;
	app_rollover_change(session->authority, APP_STORE_ROLLOVER, 0, session->actor, on_changed, session);
}

/* "2027-01-31" or "2027-01-31T12:00:00Z", in the future; "never" is 0.  Fails with ERR_FORMAT. */
static int
date_parse(const char *text, int64_t *ret_wall_s)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
	int64_t wall_s;

	*ret_wall_s = 0;
	if (strcmp(text, "never") == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end == NULL || *end != '\0')
			continue;
		wall_s = (int64_t)timegm(&tm);
		if (wall_s <= clock_wall())
			return ERR_FORMAT;
		*ret_wall_s = wall_s;
		return 0;
	}
	return ERR_FORMAT;
}

void
app_command_ca_rollover_at(struct app_session *session)
{
	int64_t at;

	if (date_parse(session->argument, &at) != 0) {
		app_session_fail(session, APP_EXIT_USAGE,
				 "DATE: a day such as 2027-01-31, or 2027-01-31T12:00:00Z, in the future; or never");
		return;
	}
	app_rollover_change(session->authority, APP_STORE_ROLLOVER_AT, at, session->actor, on_changed, session);
}

void
app_command_ca_rollover_cancel(struct app_session *session)
{
	app_rollover_change(session->authority, APP_STORE_ROLLOVER_CANCEL, 0, session->actor, on_changed, session);
}
