#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "appliance/challenge.h"

static char folder[64];
static char path[96];

static void
make_folder(void)
{
	strcpy(folder, "/tmp/test-challenge-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/challenge.key", folder);
}

static void
remove_folder(void)
{
	unlink(path);
	CHECK_INT(rmdir(folder), 0);
}

static void
write_key(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
	CHECK_INT(chmod(path, mode), 0);
}

TEST(a_key_file_that_is_no_key_or_not_private_is_refused)
{
	struct secret *key = NULL;
	char digits[66];

	make_folder();
	memset(digits, 'A', 64);
	strcpy(digits + 64, "\n");
	write_key("short\n", 0600);
	CHECK(app_challenge_key_open(path, &key, NULL) < 0);
	write_key("", 0600);
	CHECK(app_challenge_key_open(path, &key, NULL) < 0);
	write_key(digits, 0644);
	CHECK(app_challenge_key_open(path, &key, NULL) < 0);
	CHECK(key == NULL);
	write_key(digits, 0600);
	CHECK_INT(app_challenge_key_open(path, &key, NULL), 0);
	secret_free(key);
	remove_folder();
}

TEST(a_key_cannot_be_made_where_no_folder_is)
{
	struct secret *key = NULL;
	struct err e = {0};

	CHECK(app_challenge_key_open("/tmp/test-challenge-none/challenge.key", &key, &e) < 0);
	CHECK(key == NULL && e.text[0] != '\0');
}

TEST(a_key_is_made_once_and_kept)
{
	struct secret *first = NULL;
	struct secret *second = NULL;
	struct stat st;

	make_folder();
	CHECK_INT(app_challenge_key_open(path, &first, NULL), 0);
	CHECK_INT(stat(path, &st), 0);
	CHECK_INT(st.st_mode & 0777, 0600);
	CHECK_INT(app_challenge_key_open(path, &second, NULL), 0);
	CHECK(bytes_equal(secret_bytes(first), secret_bytes(second)));
	secret_free(first);
	secret_free(second);
	remove_folder();
}

TEST(challenges_differ_and_are_upper_case_digits)
{
	static const int sizes[] = {16, 17, 32, 64};
	struct secret *a = NULL;
	struct secret *b = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		CHECK_INT(app_challenge_new(sizes[i], &a), 0);
		CHECK_INT(app_challenge_new(sizes[i], &b), 0);
		CHECK_INT(secret_bytes(a).len, sizes[i]);
		CHECK_INT(strspn((const char *)secret_bytes(a).data, "0123456789ABCDEF"), sizes[i]);
		CHECK(!bytes_equal(secret_bytes(a), secret_bytes(b)));
		secret_free(a);
		secret_free(b);
	}
}

TEST(the_hash_depends_on_key_and_challenge)
{
	/* RFC 4231, test case 2. */
	static const uint8_t want[APP_HASH_SIZE] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24,
						    0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27,
						    0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
	struct secret *key = NULL;
	struct secret *other = NULL;
	uint8_t hash[APP_HASH_SIZE];

	CHECK_INT(secret_new("Jefe", 4, &key), 0);
	CHECK_INT(secret_new("Jeff", 4, &other), 0);
	app_challenge_hash(key, bytes_of_text("what do ya want for nothing?"), hash);
	CHECK(memcmp(hash, want, sizeof(want)) == 0);
	app_challenge_hash(other, bytes_of_text("what do ya want for nothing?"), hash);
	CHECK(memcmp(hash, want, sizeof(want)) != 0);
	app_challenge_hash(key, bytes_of_text("What do ya want for nothing?"), hash);
	CHECK(memcmp(hash, want, sizeof(want)) != 0);
	app_challenge_hash(key, bytes_of_text(""), hash);
	CHECK(memcmp(hash, want, sizeof(want)) != 0);
	secret_free(key);
	secret_free(other);
}

TEST_MAIN(RUN(a_key_file_that_is_no_key_or_not_private_is_refused), RUN(a_key_cannot_be_made_where_no_folder_is),
	  RUN(a_key_is_made_once_and_kept), RUN(challenges_differ_and_are_upper_case_digits),
	  RUN(the_hash_depends_on_key_and_challenge))
