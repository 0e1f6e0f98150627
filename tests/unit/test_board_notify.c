/* Notices reach the service manager's socket, by path and by abstract name, and never hold up who sends them. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/notify.h"
#include "tests/lib/test.h"

static char folder[] = "/tmp/test_board_notify.XXXXXX";

/* The manager's socket at "PATH" or "@NAME". */
static int
manager(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	CHECK_INT(bind(fd, (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] != '@'))),
		  0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static void
receives(int fd, const char *wanted)
{
	char text[600];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	CHECK(n >= 0);
	text[n] = '\0';
	CHECK_TEXT(text, wanted);
}

TEST(without_a_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "", 1);
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	notify_send("READY=1");
}

TEST(a_socket_with_a_path_gets_the_notice)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s/notify", folder);
	fd = manager(path);
	notify_send("READY=1\nSTATUS=front %s", "works");
	receives(fd, "READY=1\nSTATUS=front works");
	close(fd);
	unlink(path);
}

TEST(an_abstract_socket_gets_the_notice)
{
	char name[100];
	char text[200] = "";
	int fd;

	snprintf(name, sizeof(name), "@test_board_notify.%d", (int)getpid());
	fd = manager(name);
	notify_reloading();
	CHECK(recv(fd, text, sizeof(text) - 1, 0) > 0);
	CHECK_INT(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	CHECK(atoll(text + 27) > 0);
	close(fd);
}

TEST(a_manager_that_does_not_read_holds_up_nobody)
{
	char name[100];
	int fd;
	int i;

	snprintf(name, sizeof(name), "@test_board_notify_full.%d", (int)getpid());
	fd = manager(name);
	for (i = 0; i < 10000; i++)
		notify_send("STATUS=%d", i);
	receives(fd, "STATUS=0");
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(without_a_manager_nothing_happens),
		RUN(a_socket_with_a_path_gets_the_notice),
		RUN(an_abstract_socket_gets_the_notice),
		RUN(a_manager_that_does_not_read_holds_up_nobody),
	};
	int failed;

	if (mkdtemp(folder) == NULL)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return test_finish((int)ARRAY_SIZE(tests), failed);
}
