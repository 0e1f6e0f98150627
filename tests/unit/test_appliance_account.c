/*
 * Accounts of operators: names and groups, passwords, the table in the store, and the lock-out.
 */
#include <openssl/evp.h>

#include "appliance/account.h"
#include "appliance/operator.h"
#include "tests/lib/sql.h"
#include "tests/lib/storeroom.h"

#define PASSWORD "correct horse battery"

static const struct app_lockout lockout = {.failures = 5, .decay_s = 600};

/* ---- names and groups -------------------------------------------------------------------------------------------- */

TEST(names_and_groups_that_could_mislead_are_refused)
{
	static const char *const bad_names[] = {
		"",        "Alice",  "1st",
		"-alice",  "al ice", "al\nice",
		"alice\"", "al=ice", "\xc3\xa4lice",
		"root",    "a/b",    "a123456789012345678901234567890123456789012345678901234"};
	static const char *const bad_groups[] = {"auditors ra-operators",
						 "ra-operators auditors",
						 "ra-operators ra-operators",
						 "Admins",
						 "a,b",
						 "g1234567890123456789012345678901",
						 "a b c d e f g h i"};
	struct app_account account = {.name = "untouched"};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++)
		CHECK_INT(app_account_set(bad_names[i], "", &account, NULL), ERR_FORMAT);
	for (size_t i = 0; i < ARRAY_SIZE(bad_groups); i++) {
		memset(&e, 0, sizeof(e));
		CHECK_INT(app_account_set("alice", bad_groups[i], &account, &e), ERR_FORMAT);
		CHECK(strlen(e.text) > 10);
	}
	CHECK_TEXT(account.name, "untouched");
}

TEST(an_account_is_in_the_groups_that_it_was_given)
{
	struct app_account account;

	CHECK_INT(app_account_set("a12345678901234567890123456789012345678901234567890123", "", &account, NULL), 0);
	CHECK_INT(account.group_count, 0);
	CHECK_INT(app_account_set("alice.m-1_x", "  ra-operators\twifi ", &account, NULL), 0);
	CHECK_INT(account.group_count, 2);
	CHECK(app_account_in(&account, APP_GROUP_RA));
	CHECK(app_account_in(&account, "wifi"));
	CHECK(!app_account_in(&account, "wif"));
	CHECK(!app_account_in(&account, APP_GROUP_ADMINISTRATORS));
	CHECK_INT(app_account_set("audit", APP_GROUP_AUDITORS, &account, NULL), 0);
	CHECK(app_account_known_group("auditors", 8));
	CHECK(!app_account_known_group("auditor", 7));
}

/* ---- passwords --------------------------------------------------------------------------------------------------- */

static int
check_new(const char *password)
{
	return app_credential_check_new(bytes_of_text(password), NULL);
}

TEST(a_new_password_is_long_enough_and_text)
{
	char longest[2 * 257 + 1];
	struct err e = {0};

	CHECK_INT(app_credential_check_new(bytes_of_text("eleven char"), &e), ERR_FORMAT);
	CHECK(strstr(e.text, "at least 12 characters") != NULL);
	CHECK_INT(check_new(""), ERR_FORMAT);
	CHECK_INT(check_new("twelve chars"), 0);
	/* Characters, not octets. */
	CHECK_INT(check_new("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"), ERR_FORMAT);
	CHECK_INT(check_new("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2"
			    "\x82\xac"
			    "\xf0\x9f\x94\x91 "),
		  0);
	CHECK_INT(check_new("not UTF-8 at all: \xff\xfe"), ERR_FORMAT);
	CHECK_INT(check_new("cut at the end \xe2\x82"), ERR_FORMAT);
	CHECK_INT(check_new("with a\ttab inside"), ERR_FORMAT);
	CHECK_INT(app_credential_check_new((struct bytes){(const uint8_t *)"with\0zero inside", 16}, NULL), ERR_FORMAT);
	for (size_t i = 0; i < 257; i++)
		memcpy(longest + 2 * i, "\xc3\xa4", 3);
	CHECK_INT(check_new(longest), ERR_FORMAT);
	CHECK_INT(check_new(longest + 2), 0);
}

static bool
verify(const struct app_credential *credential, const char *password)
{
	bool matches = false;

	CHECK_INT(app_credential_verify(credential, bytes_of_text(password), &matches, NULL), 0);
	return matches;
}

TEST(a_credential_is_scrypt_with_its_own_salt_and_takes_one_password)
{
	struct app_credential one, two, odd;
	uint8_t hash[32];
	bool matches;

	CHECK_INT(app_credential_make(bytes_of_text(PASSWORD), &one, NULL), 0);
	CHECK_INT(app_credential_make(bytes_of_text(PASSWORD), &two, NULL), 0);
	CHECK(memcmp(one.salt, two.salt, sizeof(one.salt)) != 0);
	CHECK(memcmp(one.hash, two.hash, sizeof(one.hash)) != 0);
	CHECK_INT(EVP_PBE_scrypt(PASSWORD, strlen(PASSWORD), one.salt, 16, 16384, 8, 1, 1 << 26, hash, sizeof(hash)),
		  1);
	CHECK(memcmp(hash, one.hash, sizeof(hash)) == 0);
	CHECK(verify(&one, PASSWORD));
	CHECK(!verify(&one, "correct horse batterz"));
	CHECK(!verify(&one, "correct horse batter"));
	CHECK(!verify(&one, ""));
	CHECK(!verify(NULL, PASSWORD));
	CHECK(!verify(NULL, ""));
	/* Made with other parameters, as an older or newer version would. */
	odd = one;
	odd.n = 1024;
	odd.p = 3;
	CHECK_INT(EVP_PBE_scrypt("x", 1, odd.salt, 16, 1024, 8, 3, 1 << 26, odd.hash, 32), 1);
	CHECK(verify(&odd, "x"));
	odd.n = 1 << 24;
	CHECK_INT(app_credential_verify(&odd, bytes_of_text("x"), &matches, NULL), ERR_CRYPTO);
	odd.n = -1;
	CHECK_INT(app_credential_verify(&odd, bytes_of_text("x"), &matches, NULL), ERR_CRYPTO);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

static struct app_store_request
account_request(enum app_store_op op, struct app_operator *who)
{
	struct app_store_request r = {
		.op = op, .now = NOW, .actor = "operator root", .operators = {.who = who, .lockout = lockout}};

	return r;
}

static int
change(struct fixture *f, enum app_store_op op, struct app_operator *who)
{
	struct app_store_request r = account_request(op, who);

	return ask(f, &r);
}

static struct app_operator
named(const char *name, const char *groups)
{
	struct app_operator who = {.has_certificate = false};

	snprintf(who.name, sizeof(who.name), "%s", name);
	snprintf(who.groups, sizeof(who.groups), "%s", groups);
	return who;
}

static struct app_operator
with_certificate(const char *name, int which)
{
	struct app_operator who = named(name, "");

	who.has_certificate = true;
	memset(who.certificate, which, sizeof(who.certificate));
	return who;
}

static void
hash(struct fixture *f, struct app_operator *who, const char *password)
{
	struct app_store_request r = account_request(APP_STORE_ACCOUNT_HASH, who);

	r.operators.password = bytes_of_text(password);
	CHECK_INT(ask(f, &r), 0);
}

static void
add(struct fixture *f, const char *name, const char *groups)
{
	struct app_operator who = named(name, groups);

	hash(f, &who, PASSWORD);
	CHECK_INT(change(f, APP_STORE_ACCOUNT_ADD, &who), 0);
}

/* As appliance/login.c does it: the log-in, and what is noted of one that fails. */
static enum app_login_cause
log_in(struct fixture *f, const char *name, const char *password, int64_t now, struct app_operator *who)
{
	struct app_store_request r = account_request(APP_STORE_ACCOUNT_LOGIN, who);
	int code;

	*who = named(name, "");
	r.operators.password = bytes_of_text(password);
	r.now = now;
	code = ask(f, &r);
	CHECK_INT(code, r.operators.cause == APP_LOGIN_GOOD ? 0 : ERR_DENIED);
	if (r.operators.cause == APP_LOGIN_GOOD)
		return r.operators.cause;
	r.op = APP_STORE_ACCOUNT_FAILED;
	CHECK_INT(ask(f, &r), 0);
	return r.operators.cause;
}

static void
expect(struct fixture *f, const char *name, const char *password, int64_t now, enum app_login_cause cause)
{
	struct app_operator who;

	CHECK_INT(log_in(f, name, password, now, &who), cause);
}

static struct app_operator
look(struct fixture *f, const char *name)
{
	struct app_operator found = {.name = ""};
	struct app_store_request r = account_request(APP_STORE_ACCOUNT_ALL, &found);

	CHECK_INT(ask(f, &r), 0);
	for (size_t i = 0; i < r.operators.count; i++)
		if (strcmp(r.operators.list[i].name, name) == 0)
			found = r.operators.list[i];
	app_store_request_fini(&r);
	return found;
}

static int
count_audit(struct fixture *f, const char *event, const char *has)
{
	struct app_store_request r = {.op = APP_STORE_AUDIT, .limit = 1000};
	char *rest;
	int count = 0;

	CHECK_INT(ask(f, &r), 0);
	buf_put_u8(&r.out, 0);
	rest = (char *)r.out.data;
	CHECK(strstr(rest, PASSWORD) == NULL);
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		count += strstr(line, event) != NULL && strstr(line, has) != NULL;
	app_store_request_fini(&r);
	return count;
}

TEST(what_is_no_account_is_neither_changed_nor_logged_in)
{
	struct app_operator nobody = named("nobody", "administrators");
	struct fixture f;

	set_up(&f);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_REMOVE, &nobody), ERR_UNKNOWN);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_PASSWORD, &nobody), ERR_UNKNOWN);
	nobody.changes = APP_OPERATOR_GROUPS;
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &nobody), ERR_UNKNOWN);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_OF, &nobody), ERR_UNKNOWN);
	expect(&f, "nobody", PASSWORD, NOW, APP_LOGIN_NO_ACCOUNT);
	expect(&f, "", "", NOW, APP_LOGIN_NO_ACCOUNT);
	CHECK_TEXT(look(&f, "nobody").name, "");
	CHECK_INT(count_audit(&f, "event=account", ""), 0);
	tear_down(&f);
}

TEST(an_account_is_added_once_and_found_by_name_and_certificate)
{
	struct app_operator alice = with_certificate("alice", 7), again = named("alice", ""),
			    bob = with_certificate("bob", 7);
	struct app_operator found = {.name = ""};
	struct fixture f;
	int64_t number;

	set_up(&f);
	strcpy(alice.groups, "ra-operators wifi");
	hash(&f, &alice, PASSWORD);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_ADD, &alice), 0);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_ADD, &again), ERR_EXISTS);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_ADD, &bob), ERR_EXISTS);
	memset(found.certificate, 7, sizeof(found.certificate));
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_OF, &found), 0);
	CHECK_TEXT(found.name, "alice");
	CHECK_TEXT(found.groups, "ra-operators wifi");
	CHECK_INT(found.credential.n, 0);
	CHECK_INT(look(&f, "alice").created, NOW);
	CHECK_INT(look(&f, "alice").credential.n, 0);
	CHECK_INT(log_in(&f, "alice", PASSWORD, NOW, &found), APP_LOGIN_GOOD);
	CHECK_TEXT(found.groups, "ra-operators wifi");
	CHECK_INT(found.credential.n, 0);
	CHECK_INT(count_audit(&f, "event=account-added actor=\"operator root\"", "groups=\"ra-operators wifi\""), 1);
	CHECK_INT(count_audit(&f, "event=account-added", "certificate=0707"), 1);
	CHECK_INT(check_audit(&f, &number), 0);
	tear_down(&f);
}

TEST(what_is_changed_is_what_was_named_and_it_is_audited)
{
	struct app_operator alice = with_certificate("alice", 7), bob = named("bob", "");
	struct app_operator seen;
	struct fixture f;

	set_up(&f);
	add(&f, "alice", "administrators");
	add(&f, "bob", "");
	alice.changes = APP_OPERATOR_CERTIFICATE;
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &alice), 0);
	seen = look(&f, "alice");
	CHECK_TEXT(seen.groups, "administrators");
	CHECK(seen.has_certificate && !seen.disabled);
	bob.changes = APP_OPERATOR_CERTIFICATE;
	bob.has_certificate = true;
	memset(bob.certificate, 7, sizeof(bob.certificate));
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &bob), ERR_EXISTS);
	CHECK(!look(&f, "bob").has_certificate);
	/* To the same again is no conflict. */
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &alice), 0);

	strcpy(alice.groups, "auditors");
	alice.has_certificate = false;
	alice.changes = APP_OPERATOR_GROUPS | APP_OPERATOR_CERTIFICATE;
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &alice), 0);
	CHECK_TEXT(look(&f, "alice").groups, "auditors");
	CHECK(!look(&f, "alice").has_certificate);
	CHECK_INT(count_audit(&f, "event=account-changed", "groups_before=administrators groups=auditors") +
			  count_audit(&f, "event=account-changed",
				      "groups_before=\"administrators\" groups=\"auditors\""),
		  1);

	alice.disabled = true;
	alice.changes = APP_OPERATOR_DISABLED;
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &alice), 0);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_DISABLED);
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_REMOVE, &alice), 0);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_NO_ACCOUNT);
	expect(&f, "bob", PASSWORD, NOW, APP_LOGIN_GOOD);
	CHECK_INT(count_audit(&f, "event=account-removed", "operator alice"), 1);
	tear_down(&f);
}

TEST(a_new_password_takes_the_place_of_the_old_one_and_unlocks)
{
	struct app_operator alice = named("alice", "");
	struct fixture f;

	set_up(&f);
	add(&f, "alice", "");
	for (int i = 0; i < 5; i++)
		expect(&f, "alice", "a wrong password", NOW, APP_LOGIN_WRONG_PASSWORD);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_LOCKED);
	hash(&f, &alice, "another password");
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_PASSWORD, &alice), 0);
	expect(&f, "alice", "another password", NOW, APP_LOGIN_GOOD);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_WRONG_PASSWORD);
	CHECK_INT(count_audit(&f, "event=account-password", "operator alice"), 1);
	tear_down(&f);
}

/* ---- the lock-out ------------------------------------------------------------------------------------------------ */

TEST(an_account_is_locked_by_wrong_passwords_and_opens_again_by_itself)
{
	struct fixture f;
	struct err e = {0};

	set_up(&f);
	add(&f, "alice", "");
	add(&f, "bob", "");
	for (int i = 0; i < 4; i++)
		expect(&f, "alice", "a wrong password", NOW, APP_LOGIN_WRONG_PASSWORD);
	/* A good one in between does not give an attacker more guesses. */
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_GOOD);
	CHECK_INT(count_audit(&f, "event=account-locked", ""), 0);
	expect(&f, "alice", "a wrong password", NOW, APP_LOGIN_WRONG_PASSWORD);
	CHECK_INT(count_audit(&f, "event=account-locked", "operator alice"), 1);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_LOCKED);
	expect(&f, "bob", PASSWORD, NOW, APP_LOGIN_GOOD);

	/* A restart forgets nothing, and what is tried meanwhile does not make it longer. */
	close_store(&f);
	CHECK_INT(open_store(&f, 256, &e), 0);
	for (int i = 0; i < 10; i++)
		expect(&f, "alice", i % 2 ? PASSWORD : "a wrong password", NOW + 599, APP_LOGIN_LOCKED);
	CHECK_INT(look(&f, "alice").failed, 5);
	expect(&f, "alice", PASSWORD, NOW + 600, APP_LOGIN_GOOD);

	/* One step forgets one failure; so the next wrong one locks again. */
	expect(&f, "alice", "a wrong password", NOW + 600, APP_LOGIN_WRONG_PASSWORD);
	expect(&f, "alice", PASSWORD, NOW + 601, APP_LOGIN_LOCKED);
	CHECK_INT(count_audit(&f, "event=account-locked", "operator alice"), 2);
	for (int i = 0; i < 5; i++)
		expect(&f, "alice", "a wrong password", NOW + 600 + 5 * 600, APP_LOGIN_WRONG_PASSWORD);
	expect(&f, "alice", PASSWORD, NOW + 600 + 5 * 600, APP_LOGIN_LOCKED);
	tear_down(&f);
}

TEST(a_clock_that_goes_back_and_an_unlock_do_what_they_should)
{
	struct app_operator alice = named("alice", "");
	struct app_operator row = {.failed = 5, .failed_at = NOW};
	struct fixture f;

	CHECK_INT(app_operator_failures(&row, NOW - 100000, &lockout), 5);
	CHECK_INT(app_operator_failures(&row, NOW + 1799, &lockout), 3);
	CHECK_INT(app_operator_failures(&row, NOW + 1000 * DAY, &lockout), 0);
	set_up(&f);
	add(&f, "alice", "");
	for (int i = 0; i < 5; i++)
		expect(&f, "alice", "a wrong password", NOW, APP_LOGIN_WRONG_PASSWORD);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_LOCKED);
	alice.changes = APP_OPERATOR_UNLOCK;
	CHECK_INT(change(&f, APP_STORE_ACCOUNT_CHANGE, &alice), 0);
	expect(&f, "alice", PASSWORD, NOW, APP_LOGIN_GOOD);
	tear_down(&f);
}

TEST(a_refused_log_in_costs_a_commit_whether_there_is_an_account_or_not)
{
	struct fixture f;
	sqlite3 *db = NULL;
	sqlite3_stmt *stmt = NULL;

	set_up(&f);
	add(&f, "alice", "");
	expect(&f, "alice", "a wrong password", NOW, APP_LOGIN_WRONG_PASSWORD);
	expect(&f, "mallory", "a wrong password", NOW + 1, APP_LOGIN_NO_ACCOUNT);
	close_store(&f);
	CHECK_INT(sqlite3_open(f.path, &db), SQLITE_OK);
	CHECK_INT(sqlite3_prepare_v2(db,
				     "SELECT count, last, (SELECT n FROM account), (SELECT r FROM account), "
				     "(SELECT p FROM account), (SELECT length(salt) FROM account) FROM refused_login",
				     -1, &stmt, NULL),
		  SQLITE_OK);
	CHECK_INT(sqlite3_step(stmt), SQLITE_ROW);
	CHECK_INT(sqlite3_column_int64(stmt, 0), 2);
	CHECK_INT(sqlite3_column_int64(stmt, 1), NOW + 1);
	CHECK_INT(sqlite3_column_int64(stmt, 2), 16384);
	CHECK_INT(sqlite3_column_int64(stmt, 3), 8);
	CHECK_INT(sqlite3_column_int64(stmt, 4), 1);
	CHECK_INT(sqlite3_column_int64(stmt, 5), 16);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	tear_down(&f);
}

TEST_MAIN(RUN(names_and_groups_that_could_mislead_are_refused), RUN(an_account_is_in_the_groups_that_it_was_given),
	  RUN(a_new_password_is_long_enough_and_text),
	  RUN(a_credential_is_scrypt_with_its_own_salt_and_takes_one_password),
	  RUN(what_is_no_account_is_neither_changed_nor_logged_in),
	  RUN(an_account_is_added_once_and_found_by_name_and_certificate),
	  RUN(what_is_changed_is_what_was_named_and_it_is_audited),
	  RUN(a_new_password_takes_the_place_of_the_old_one_and_unlocks),
	  RUN(an_account_is_locked_by_wrong_passwords_and_opens_again_by_itself),
	  RUN(a_clock_that_goes_back_and_an_unlock_do_what_they_should),
	  RUN(a_refused_log_in_costs_a_commit_whether_there_is_an_account_or_not))
