/*
 * Which secret files are refused, and that the others arrive as they are.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "board/base/secret.h"

static char folder[64];
static char path[96];

static int
make_folder(void **state)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/chancery-secret-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/pin", folder);
	return 0;
}

static int
drop_folder(void **state)
{
	(void)unlink(path);
	return rmdir(folder);
}

static void
write_file(const char *data, size_t len, mode_t mode)
{
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0);
	CHECK_INT(write(fd, data, len), (ssize_t)len);
	CHECK_INT(fchmod(fd, mode), 0);
	close(fd);
}

static void
must_refuse(int code, const char *why)
{
	struct secret *secret = NULL;
	struct err e = {0};

	CHECK_INT(secret_read_file(path, 8, &secret, &e), code);
	CHECK(secret == NULL);
	CHECK_INT(e.code, code);
	if (strstr(e.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", e.text, why);
}

TEST(a_file_that_others_may_use_is_refused)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601};

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		write_file("1234\n", 5, modes[i]);
		must_refuse(ERR_CONFIG, "group or others");
	}
}

TEST(a_file_of_another_user_is_refused)
{
	write_file("1234\n", 5, 0600);
	if (geteuid() != 0 || chown(path, 65534, 65534) != 0)
		SKIP("only root can give a file away");
	must_refuse(ERR_CONFIG, "uid 65534");
}

TEST(what_is_no_regular_file_is_refused)
{
	char target[128];

	write_file("1234\n", 5, 0600);
	(void)snprintf(target, sizeof(target), "%s/real", folder);
	CHECK_INT(rename(path, target), 0);
	CHECK_INT(symlink(target, path), 0);
	must_refuse(ERR_CONFIG, "symbolic link");
	CHECK_INT(unlink(target), 0);
	CHECK_INT(unlink(path), 0);
	must_refuse(ERR_IO, "No such file");
	CHECK_INT(mkfifo(path, 0600), 0);
	must_refuse(ERR_CONFIG, "regular");
	CHECK_INT(unlink(path), 0);
	CHECK_INT(mkdir(path, 0700), 0);
	must_refuse(ERR_CONFIG, "regular");
	CHECK_INT(rmdir(path), 0);
}

TEST(content_that_is_not_one_short_line_is_refused)
{
	write_file("", 0, 0600);
	must_refuse(ERR_CONFIG, "empty");
	write_file("\n", 1, 0600);
	must_refuse(ERR_CONFIG, "empty");
	write_file("\r\n", 2, 0600);
	must_refuse(ERR_CONFIG, "empty");
	write_file("123456789", 9, 0600);
	must_refuse(ERR_CONFIG, "longer");
	write_file("123456789\n", 10, 0600);
	must_refuse(ERR_CONFIG, "longer");
	write_file("1234567890123456789", 19, 0600);
	must_refuse(ERR_CONFIG, "longer");
	write_file("12\n34\n", 6, 0600);
	must_refuse(ERR_CONFIG, "one line");
	write_file("1234\n\n", 6, 0600);
	must_refuse(ERR_CONFIG, "one line");
	write_file("12\00034\n", 6, 0600);
	must_refuse(ERR_CONFIG, "zero byte");
}

static void
must_read(const char *data, const char *want)
{
	AUTO_STRUCT(secret) secret = NULL;
	struct err e = {0};

	write_file(data, strlen(data), 0600);
	CHECK_INT(secret_read_file(path, 8, &secret, &e), 0);
	CHECK_TEXT((const char *)secret_bytes(secret).data, want);
	CHECK_INT(secret_bytes(secret).len, strlen(want));
	CHECK_INT(e.code, 0);
}

TEST(a_line_arrives_without_its_end)
{
	must_read("1", "1");
	must_read("1234\n", "1234");
	must_read("1234\r\n", "1234");
	must_read("12345678", "12345678");
	must_read("12345678\r\n", "12345678");
	must_read(" 1 2 \n", " 1 2 ");
}

TEST(an_error_never_quotes_the_content)
{
	struct secret *secret = NULL;
	struct err e = {0};

	write_file("hunter2hunter2\n", 15, 0600);
	CHECK_INT(secret_read_file(path, 8, &secret, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "hunter") == NULL);
}

TEST(memory_is_zero_or_a_copy_and_can_be_written)
{
	AUTO_STRUCT(secret) zero = NULL;
	AUTO_STRUCT(secret) copy = NULL;
	AUTO_STRUCT(secret) empty = NULL;

	CHECK_INT(secret_new(NULL, 100000, &zero), 0);
	for (size_t i = 0; i <= 100000; i++)
		CHECK(secret_bytes(zero).data[i] == 0);
	secret_data(zero)[99999] = 1;
	CHECK_INT(secret_bytes(zero).data[99999], 1);
	CHECK_INT(secret_new("abc", 3, &copy), 0);
	CHECK_TEXT((const char *)secret_bytes(copy).data, "abc");
	CHECK_INT(secret_new(NULL, 0, &empty), 0);
	CHECK_INT(secret_bytes(empty).len, 0);
	CHECK_INT(secret_bytes(NULL).len, 0);
	secret_free(NULL);
}

TEST(a_size_beyond_memory_fails)
{
	struct secret *secret = NULL;

	CHECK_INT(secret_new(NULL, SIZE_MAX, &secret), ERR_NOMEM);
	CHECK_INT(secret_new(NULL, SIZE_MAX / 4, &secret), ERR_NOMEM);
	CHECK(secret == NULL);
}

TEST(wiping_wipes)
{
	char data[8] = "1234567";

	secret_wipe(data, 4);
	CHECK(memcmp(data,
		     "\0\0\0\0"
		     "567",
		     8) == 0);
	secret_wipe(NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(a_file_that_others_may_use_is_refused),
		RUN(a_file_of_another_user_is_refused),
		RUN(what_is_no_regular_file_is_refused),
		RUN(content_that_is_not_one_short_line_is_refused),
		RUN(a_line_arrives_without_its_end),
		RUN(an_error_never_quotes_the_content),
		RUN(memory_is_zero_or_a_copy_and_can_be_written),
		RUN(a_size_beyond_memory_fails),
		RUN(wiping_wipes),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, make_folder, drop_folder));
}
