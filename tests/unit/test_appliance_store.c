/* appliance/store: what it keeps, finds, and refuses. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/sql.h"
#include "tests/lib/storeroom.h"

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(what_is_no_store_is_refused)
{
	struct fixture f;
	struct err e = {0};

	make_folder(&f);
	write_file(f.path,
		   "This is a letter and not a database; it is long enough to have a header of a hundred bytes, "
		   "though, which SQLite would read.");
	CHECK_INT(open_store(&f, 16, &e), ERR_STORE);
	CHECK(strstr(e.text, "not a database") != NULL && strstr(e.text, f.path) != NULL);
	CHECK_INT(unlink(f.path), 0);
	sql_run(f.path, "CREATE TABLE mail (id)");
	memset(&e, 0, sizeof(e));
	CHECK_INT(open_store(&f, 16, &e), ERR_STORE);
	CHECK(strstr(e.text, "another program") != NULL);
	snprintf(f.path, sizeof(f.path), "%s/none/store.db", f.folder);
	memset(&e, 0, sizeof(e));
	CHECK_INT(open_store(&f, 16, &e), ERR_STORE);
	snprintf(f.path, sizeof(f.path), "%s/store.db", f.folder);
	tear_down(&f);
}

TEST(a_newer_schema_is_refused_and_left_alone)
{
	struct fixture f;
	struct err e = {0};

	set_up(&f);
	close_store(&f);
	sql_run(f.path, "PRAGMA user_version = 99");
	CHECK_INT(open_store(&f, 16, &e), ERR_STORE);
	CHECK(strstr(e.text, "schema 99") != NULL);
	tear_down(&f);
}

TEST(the_files_are_the_owners_alone_and_have_one_user)
{
	static const char *const names[] = {"", "-wal", "-shm", ".lock"};
	struct app_store *second = NULL;
	struct err e = {0};
	struct fixture f;
	struct stat st;
	char path[128];

	set_up(&f);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s%s", f.path, names[i]);
		CHECK_INT(stat(path, &st), 0);
		CHECK_INT(st.st_mode & 0777, 0600);
	}
	CHECK_INT(app_store_open(f.loop, f.path, 4, 16, NULL, NULL, &second, &e), ERR_STORE);
	CHECK(strstr(e.text, "another process") != NULL);
	close_store(&f);
	snprintf(path, sizeof(path), "%s-wal", f.path);
	CHECK(access(path, F_OK) != 0); /* all is in the one file that is backed up */
	tear_down(&f);
}

TEST(a_certificate_is_stored_only_for_an_intent)
{
	struct app_store_request r = about(APP_STORE_SHOW, 1);
	struct fixture f;

	set_up(&f);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), ERR_UNKNOWN);
	CHECK_INT(run(&f, APP_STORE_ABANDON, 1), ERR_UNKNOWN);
	CHECK_INT(run(&f, APP_STORE_SHOW, 1), ERR_UNKNOWN);
	CHECK_INT(run(&f, APP_STORE_RESERVE, 1), 0);
	CHECK_INT(run(&f, APP_STORE_RESERVE, 1), ERR_STAGE);
	CHECK_INT(run(&f, APP_STORE_SHOW, 1), ERR_UNKNOWN);
	CHECK_INT(counts(&f).intents_open, 1);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), ERR_UNKNOWN);
	CHECK_INT(counts(&f).intents_open, 0);
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.record_count, 1);
	CHECK_INT(r.records[0].usage, APP_USAGE_DEVICE);
	CHECK_INT(r.records[0].issued, NOW);
	CHECK_INT(r.records[0].not_before, NOW - 60);
	CHECK_INT(r.records[0].not_after, LATER);
	CHECK_INT(r.records[0].revoked, 0);
	CHECK_INT(r.records[0].reason, APP_REASON_NONE);
	CHECK_TEXT(r.records[0].subject, "CN=device 1");
	CHECK_TEXT(r.records[0].template_name, "device");
	CHECK_TEXT(r.records[0].peer, "192.0.2.7");
	CHECK_BYTES(r.records[0].der, "not really DER", 14);
	app_store_request_fini(&r);
	tear_down(&f);
}

TEST(a_transaction_is_answered_by_its_own_certificate)
{
	struct app_store_request again = about(APP_STORE_RESERVE, 2);
	struct app_store_request other = about(APP_STORE_RESERVE, 3);
	struct fixture f;

	set_up(&f);
	strcpy(again.transaction_id, "transaction 1");
	memset(again.key_hash, 1, sizeof(again.key_hash));
	strcpy(other.transaction_id, "transaction 1"); /* with another key: another device */
	CHECK_INT(run(&f, APP_STORE_TRANSACTION, 1), ERR_UNKNOWN);
	CHECK_INT(run(&f, APP_STORE_RESERVE, 1), 0);
	CHECK_INT(ask(&f, &again), ERR_BUSY);
	memset(&again.e, 0, sizeof(again.e));
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(ask(&f, &again), ERR_EXISTS);
	CHECK_INT(again.record_count, 1);
	CHECK_INT(again.records[0].serial[APP_SERIAL_SIZE - 1], 1);
	app_store_request_fini(&again);
	CHECK_INT(ask(&f, &other), 0);
	again.op = APP_STORE_TRANSACTION;
	memset(&again.e, 0, sizeof(again.e));
	CHECK_INT(ask(&f, &again), 0);
	CHECK_INT(again.records[0].serial[APP_SERIAL_SIZE - 1], 1);
	app_store_request_fini(&again);
	again.op = APP_STORE_RESERVE;
	again.now = LATER; /* its certificate is of no use any more */
	CHECK_INT(ask(&f, &again), 0);
	app_store_request_fini(&again);
	tear_down(&f);
}

TEST(no_transaction_never_matches_another)
{
	struct app_store_request a = about(APP_STORE_RESERVE, 1);
	struct app_store_request b = about(APP_STORE_RESERVE, 2);
	struct fixture f;

	set_up(&f);
	a.transaction_id[0] = b.transaction_id[0] = '\0';
	memcpy(b.key_hash, a.key_hash, sizeof(a.key_hash));
	CHECK_INT(ask(&f, &a), 0);
	CHECK_INT(ask(&f, &b), 0);
	a.op = APP_STORE_TRANSACTION;
	CHECK_INT(ask(&f, &a), ERR_UNKNOWN);
	tear_down(&f);
}

TEST(a_challenge_is_good_once_and_in_time)
{
	enum app_challenge_verdict verdict;
	struct fixture f;

	set_up(&f);
	CHECK_INT(reserve_with(&f, 1, 11, NOW, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_NOT_KNOWN);
	CHECK_INT(create_challenge(&f, 11, NOW, 10), 0);
	CHECK_INT(create_challenge(&f, 11, NOW, 10), ERR_EXISTS);
	CHECK_INT(reserve_with(&f, 1, 11, NOW + 3600, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_EXPIRED);
	CHECK_INT(reserve_with(&f, 1, 11, NOW + 3599, &verdict), 0);
	CHECK_INT(verdict, APP_CHALLENGE_OK);
	CHECK_INT(reserve_with(&f, 2, 11, NOW, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_RESERVED);
	CHECK_INT(run(&f, APP_STORE_ABANDON, 1), 0);
	CHECK_INT(reserve_with(&f, 2, 11, NOW, &verdict), 0);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 2), 0);
	CHECK_INT(reserve_with(&f, 3, 11, NOW, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_USED);
	CHECK_INT(reserve_with(&f, 3, 11, NOW + DAY + 3599, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_USED); /* remembered for a day behind its expiry */
	CHECK_INT(reserve_with(&f, 3, 11, NOW + DAY + 3600, &verdict), ERR_DENIED);
	CHECK_INT(reserve_with(&f, 3, 11, NOW + DAY + 3601, &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_NOT_KNOWN);
	tear_down(&f);
}

TEST(only_so_many_challenges_are_open)
{
	enum app_challenge_verdict verdict;
	struct fixture f;

	set_up(&f);
	CHECK_INT(create_challenge(&f, 1, NOW, 3), 0);
	CHECK_INT(create_challenge(&f, 2, NOW, 3), 0);
	CHECK_INT(create_challenge(&f, 3, NOW + 10, 3), 0);
	CHECK_INT(create_challenge(&f, 4, NOW + 10, 3), ERR_LIMIT);
	CHECK_INT(counts(&f).challenges_open, 3);
	CHECK_INT(reserve_with(&f, 1, 1, NOW + 10, &verdict), 0);
	CHECK_INT(create_challenge(&f, 4, NOW + 10, 3), ERR_LIMIT); /* held is still open */
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(create_challenge(&f, 4, NOW + 10, 3), 0);
	CHECK_INT(create_challenge(&f, 5, NOW + 10, 3), ERR_LIMIT);
	CHECK_INT(create_challenge(&f, 5, NOW + 3600, 3), 0); /* number 2 expired */
	CHECK_INT(create_challenge(&f, 6, NOW + 3600, 3), ERR_LIMIT);
	close_store(&f);
	CHECK_INT(open_store(&f, 256, NULL), 0);
	CHECK_INT(create_challenge(&f, 6, NOW + 3600, 3), ERR_LIMIT);
	CHECK_INT(create_challenge(&f, 6, NOW + 3610, 3), 0);
	tear_down(&f);
}

TEST(of_two_requests_with_one_challenge_exactly_one_wins)
{
	struct app_store_request r[20];
	struct fixture f;
	int done = 0;
	int won = 0;

	set_up(&f);
	CHECK_INT(create_challenge(&f, 11, NOW, 10), 0);
	for (int i = 0; i < 20; i++) {
		r[i] = about(APP_STORE_RESERVE, i);
		memset(r[i].challenge_hash, 11, sizeof(r[i].challenge_hash));
		r[i].has_challenge = true;
		r[i].done = on_done;
		r[i].arg = &done;
		CHECK_INT(app_store_submit(f.store, &r[i]), 0);
	}
	wait_for(&f, &done, 20);
	for (int i = 0; i < 20; i++) {
		won += r[i].code == 0;
		CHECK(r[i].code == 0 || (r[i].code == ERR_DENIED && r[i].verdict == APP_CHALLENGE_RESERVED));
	}
	CHECK_INT(won, 1);
	tear_down(&f);
}

static void
count_revoked(const struct app_revoked *entry, void *arg)
{
	CHECK_INT(entry->revoked, NOW);
	CHECK_INT(entry->reason, APP_REASON_KEY_COMPROMISE);
	CHECK_INT(entry->invalidity, NOW - 60);
	*(int *)arg += entry->serial[APP_SERIAL_SIZE - 1];
}

TEST(revoked_certificates_are_told_until_they_expired)
{
	struct app_store_request r = about(APP_STORE_REVOKED, 0);
	struct app_store_request revoke = about(APP_STORE_REVOKE, 2);
	struct fixture f;
	int sum = 0;

	set_up(&f);
	for (int i = 1; i <= 3; i++) {
		CHECK_INT(run(&f, APP_STORE_RESERVE, i), 0);
		CHECK_INT(run(&f, APP_STORE_ISSUE, i), 0);
	}
	revoke.reason = 8; /* removeFromCRL: nothing to revoke with */
	CHECK_INT(ask(&f, &revoke), ERR_FORMAT);
	memset(&revoke.e, 0, sizeof(revoke.e));
	revoke.reason = APP_REASON_KEY_COMPROMISE;
	revoke.invalidity = NOW - 60;
	CHECK_INT(ask(&f, &revoke), 0);
	CHECK_INT(ask(&f, &revoke), ERR_EXISTS);
	CHECK_INT(run(&f, APP_STORE_REVOKE, 9), ERR_UNKNOWN);
	r.each = count_revoked;
	r.each_arg = &sum;
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(sum, 2);
	r.now = LATER;
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(sum, 2); /* not told again */
	r.grace = 1;
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(sum, 4);
	CHECK_INT(counts(&f).issued, 3);
	CHECK_INT(counts(&f).valid, 2);
	CHECK_INT(counts(&f).revoked, 1);
	tear_down(&f);
}

TEST(a_crl_number_never_goes_back)
{
	struct app_store_request put = about(APP_STORE_CRL_PUT, 0);
	struct app_store_request get = about(APP_STORE_CRL_GET, 0);
	struct fixture f;

	set_up(&f);
	get.der = (struct bytes){NULL, 0};
	CHECK_INT(ask(&f, &get), ERR_UNKNOWN);
	put.number = 0;
	CHECK_INT(ask(&f, &put), ERR_FORMAT);
	memset(&put.e, 0, sizeof(put.e));
	put.number = 5;
	put.this_update = NOW;
	put.next_update = NOW + DAY;
	CHECK_INT(ask(&f, &put), 0);
	CHECK_INT(ask(&f, &put), ERR_EXISTS);
	memset(&put.e, 0, sizeof(put.e));
	put.number = 4;
	CHECK_INT(ask(&f, &put), ERR_EXISTS);
	memset(&put.e, 0, sizeof(put.e));
	put.number = 6;
	put.der = bytes_of_text("the sixth");
	CHECK_INT(ask(&f, &put), 0);
	memset(&get.e, 0, sizeof(get.e));
	CHECK_INT(ask(&f, &get), 0);
	CHECK_INT(get.number, 6);
	CHECK_INT(get.this_update, NOW);
	CHECK_INT(get.next_update, NOW + DAY);
	CHECK_BYTES(get.der, "the sixth", 9);
	app_store_request_fini(&get);
	tear_down(&f);
}

/* Imports an own certificate with serial n. */
static int
import(struct fixture *f, int n, enum app_usage usage, int64_t not_after)
{
	struct app_store_request r = about(APP_STORE_CA_PUT, n);

	r.usage = usage;
	r.not_after = not_after;
	return ask(f, &r);
}

TEST(the_certificates_in_use_are_found_latest_first)
{
	struct app_store_request r = about(APP_STORE_CURRENT, 0);
	struct fixture f;

	set_up(&f);
	CHECK_INT(ask(&f, &r), ERR_FORMAT);
	memset(&r.e, 0, sizeof(r.e));
	CHECK_INT(import(&f, 1, APP_USAGE_TLS, LATER), 0);
	CHECK_INT(import(&f, 2, APP_USAGE_TLS, LATER + 1), 0);
	CHECK_INT(import(&f, 3, APP_USAGE_TLS, LATER + 2), 0);
	CHECK_INT(import(&f, 4, APP_USAGE_TLS, NOW), 0);
	CHECK_INT(import(&f, 5, APP_USAGE_CA, LATER), 0);
	CHECK_INT(run(&f, APP_STORE_REVOKE, 3), 0);
	r.usage = APP_USAGE_TLS;
	CHECK_INT(ask(&f, &r), 0);
	CHECK_INT(r.record_count, 2);
	CHECK_INT(r.records[0].serial[APP_SERIAL_SIZE - 1], 2);
	CHECK_INT(r.records[1].serial[APP_SERIAL_SIZE - 1], 1);
	app_store_request_fini(&r);
	CHECK_INT(counts(&f).issued, 0);
	CHECK_INT(counts(&f).revoked, 0);
	tear_down(&f);
}

TEST(importing_a_ca_certificate_twice_changes_nothing)
{
	struct app_store_request other = about(APP_STORE_CA_PUT, 1);
	struct fixture f;
	int64_t records;

	set_up(&f);
	other.der = bytes_of_text("a different one");
	CHECK_INT(import(&f, 1, APP_USAGE_CA, LATER), 0);
	records = counts(&f).audit_records;
	CHECK_INT(import(&f, 1, APP_USAGE_CA, LATER), 0);
	CHECK_INT(counts(&f).audit_records, records);
	CHECK_INT(ask(&f, &other), ERR_EXISTS);
	tear_down(&f);
}

/* The last bytes of the serials that a list gives, as text. */
static const char *
list_serials(struct fixture *f, int64_t limit, int64_t offset, const char *text, int usage)
{
	static char out[64];
	struct app_store_request r = about(APP_STORE_LIST, 0);

	r.limit = limit;
	r.offset = offset;
	r.usage = usage;
	strcpy(r.text, text);
	CHECK_INT(ask(f, &r), 0);
	out[0] = '\0';
	for (size_t i = 0; i < r.record_count; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%d ", r.records[i].serial[APP_SERIAL_SIZE - 1]);
	app_store_request_fini(&r);
	return out;
}

TEST(lists_are_newest_first_and_searched)
{
	struct fixture f;

	set_up(&f);
	CHECK_TEXT(list_serials(&f, 10, 0, "", -1), "");
	for (int i = 1; i <= 5; i++) {
		CHECK_INT(run(&f, APP_STORE_RESERVE, i), 0);
		CHECK_INT(run(&f, APP_STORE_ISSUE, i), 0);
	}
	CHECK_INT(import(&f, 14, APP_USAGE_TLS, LATER), 0);
	CHECK_INT(import(&f, 15, APP_USAGE_CA, LATER), 0);
	CHECK_TEXT(list_serials(&f, 0, 0, "", -1), "15 14 5 4 3 2 1 ");
	CHECK_TEXT(list_serials(&f, 2, 3, "", -1), "4 3 ");
	CHECK_TEXT(list_serials(&f, 9, 0, "DEVICE 4", -1), "4 ");
	CHECK_TEXT(list_serials(&f, 9, 0, "%", -1), "");
	CHECK_TEXT(list_serials(&f, 9, 1, "device 1", -1), "14 1 ");
	CHECK_TEXT(list_serials(&f, 9, 0, "", APP_USAGE_DEVICE), "5 4 3 2 1 ");
	CHECK_TEXT(list_serials(&f, 9, 0, "", APP_USAGE_TLS), "14 ");
	CHECK_TEXT(list_serials(&f, 9, 0, "15", APP_USAGE_TLS), "");
	tear_down(&f);
}

TEST(the_audit_trail_tells_each_change_and_no_secret)
{
	struct app_store_request refuse = about(APP_STORE_REFUSE, 1);
	struct app_store_request page = about(APP_STORE_AUDIT, 0);
	enum app_challenge_verdict verdict;
	struct fixture f;
	const char *text;
	int64_t number;

	set_up(&f);
	CHECK_INT(create_challenge(&f, 0xab, NOW, 10), 0);
	CHECK_INT(reserve_with(&f, 1, 0xab, NOW, &verdict), 0);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(run(&f, APP_STORE_REVOKE, 1), 0);
	strcpy(refuse.text, "key too small");
	strcpy(refuse.transaction_id, "\"\nseq=1 event=issue");
	CHECK_INT(ask(&f, &refuse), 0);
	CHECK_INT(ask(&f, &page), 0);
	buf_put_u8(&page.out, 0);
	text = (const char *)page.out.data;
	CHECK(strstr(text,
		     "seq=6 time=2027-01-15T08:00:00Z event=refuse actor=\"peer 192.0.2.7\" subject=\"CN=device 1\" "
		     "why=\"key too small\" transaction=\"\\x22\\x0aseq=1 event=issue\" hash=") == text);
	CHECK(strstr(text,
		     "\nseq=5 time=2027-01-15T08:00:00Z event=revoke actor=\"peer 192.0.2.7\" "
		     "serial=40404040404040404040404040400001 subject=\"CN=device 1\" reason=\"unspecified\"") != NULL);
	CHECK(strstr(text, "\nseq=4 ") != NULL && strstr(text, " event=issue ") != NULL);
	CHECK(strstr(text, "\nseq=3 ") != NULL && strstr(text, " event=intent ") != NULL);
	CHECK(strstr(text, "\nseq=2 ") != NULL && strstr(text, " event=challenge-created ") != NULL);
	CHECK(strstr(text, "\nseq=1 ") != NULL && strstr(text, " event=store-opened actor=\"system\" ") != NULL);
	CHECK(strstr(text, "challenge=abababab ") != NULL && strstr(text, "ababababab") == NULL);
	app_store_request_fini(&page);
	CHECK_INT(check_audit(&f, &number), 0);
	CHECK_INT(number, 6);
	tear_down(&f);
}

/* Does something to a trail of six records; the check must name the first bad one. */
static void
check_tampered(const char *sql, int64_t bad)
{
	struct fixture f;
	int64_t number;

	set_up(&f);
	for (int i = 1; i <= 5; i++)
		CHECK_INT(run(&f, APP_STORE_REFUSE, i), 0);
	CHECK_INT(check_audit(&f, &number), 0);
	sql_run(f.path, sql);
	CHECK_INT(check_audit(&f, &number), ERR_VERIFY);
	CHECK_INT(number, bad);
	tear_down(&f);
}

TEST(a_changed_audit_trail_is_found)
{
	check_tampered("UPDATE audit SET subject = 'CN=device 8' WHERE seq = 3", 3);
	check_tampered("UPDATE audit SET time = time + 1 WHERE seq = 3", 3);
	check_tampered("UPDATE audit SET serial = x'00' WHERE seq = 3", 3);
	check_tampered("UPDATE audit SET hash = x'00' WHERE seq = 2", 2);
	/* Found by tests/fuzz/fuzz_audit. */
	check_tampered("UPDATE audit SET subject = subject || char(0) || 'CN=device 8' WHERE seq = 3", 3);
	check_tampered("DELETE FROM audit WHERE seq = 4", 4);
	check_tampered("UPDATE audit SET seq = 77 WHERE seq = 6", 6);
	check_tampered("DELETE FROM audit WHERE seq >= 5", 5);
	check_tampered("DELETE FROM audit", 1);
}

TEST(names_are_found_back)
{
	for (int i = 0; i < APP_USAGE_COUNT; i++)
		CHECK_INT(app_usage_parse(app_usage_name((enum app_usage)i)), i);
	CHECK_INT(app_usage_parse("Device"), -1);
	CHECK_INT(app_reason_parse("keyCompromise"), APP_REASON_KEY_COMPROMISE);
	CHECK_INT(app_reason_parse("privilegeWithdrawn"), APP_REASON_PRIVILEGE_WITHDRAWN);
	CHECK_INT(app_reason_parse("removeFromCRL"), -2);
	CHECK_INT(app_reason_parse(""), -2);
	CHECK(app_reason_name(APP_REASON_NONE) == NULL);
}

TEST_MAIN(RUN(what_is_no_store_is_refused), RUN(a_newer_schema_is_refused_and_left_alone),
	  RUN(the_files_are_the_owners_alone_and_have_one_user), RUN(a_certificate_is_stored_only_for_an_intent),
	  RUN(a_transaction_is_answered_by_its_own_certificate), RUN(no_transaction_never_matches_another),
	  RUN(a_challenge_is_good_once_and_in_time), RUN(only_so_many_challenges_are_open),
	  RUN(of_two_requests_with_one_challenge_exactly_one_wins),
	  RUN(revoked_certificates_are_told_until_they_expired), RUN(a_crl_number_never_goes_back),
	  RUN(the_certificates_in_use_are_found_latest_first), RUN(importing_a_ca_certificate_twice_changes_nothing),
	  RUN(lists_are_newest_first_and_searched), RUN(the_audit_trail_tells_each_change_and_no_secret),
	  RUN(a_changed_audit_trail_is_found), RUN(names_are_found_back))
