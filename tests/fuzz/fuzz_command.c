/*
 * The control socket: any words of an operator are answered once, with an exit status of ours and text that steers no
 * terminal.  The words end with NUL; way 1 sends the octets as the body of a COMMAND, way 2 of a LOGIN before it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/office.h"

enum { TURNS = 4000, OUT_MAX = 4096 };

static struct {
	struct office office;
	struct sockaddr_un address;
	int ends;
	bool closed;
} w;

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct msg_output m;

	HOLDS(message->type == MSG_OUTPUT && msg_output_get(message->body, &m) == 0 && w.ends == 0);
	for (size_t i = 0; i < m.text.len; i++)
		HOLDS(m.text.data[i] == '\n' || m.text.data[i] == '\t' ||
		      (m.text.data[i] >= ' ' && m.text.data[i] <= '~'));
	HOLDS(m.exit_status <= APP_EXIT_USAGE);
	w.ends += m.done;
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	w.closed = true;
}

static void
remove_folder(void)
{
	office_close(&w.office);
}

static void
begin(void)
{
	int fd;

	if (w.office.open)
		return;
	clock_set_fake(-1, -1); /* the store's threads and the office's CA live in real time */
	office_open(&w.office, true);
	w.office.authority.operator_uid = geteuid();
	w.address.sun_family = AF_UNIX;
	snprintf(w.address.sun_path, sizeof(w.address.sun_path), "%s/control", w.office.folder);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	HOLDS(bind(fd, (struct sockaddr *)&w.address, sizeof(w.address)) == 0 && listen(fd, 64) == 0);
	HOLDS(app_control_listen(&w.office.authority, fd) == 0);
	atexit(remove_folder);
}

static void
send_words(struct ipc *ipc, struct bytes input)
{
	struct msg_command m = {.words.count = 0};

	while (input.len > 0 && m.words.count < MSG_LIST_MAX) {
		const uint8_t *end = memchr(input.data, 0, input.len);
		size_t len = end == NULL ? input.len : (size_t)(end - input.data);

		m.words.item[m.words.count++] = (struct bytes){input.data, len};
		len += end != NULL;
		input = (struct bytes){input.data + len, input.len - len};
	}
	HOLDS(msg_command_send(ipc, 7, &m) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_closed};
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % 3;
	struct ipc *ipc;
	int fd;

	begin();
	w.ends = 0;
	w.closed = false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	HOLDS(connect(fd, (struct sockaddr *)&w.address, sizeof(w.address)) == 0);
	HOLDS(ipc_new(w.office.loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &ipc) == 0);
	if (way == 2)
		(void)!ipc_send(ipc, MSG_LOGIN, 7, ground_take_part(&input), -1);
	if (way == 0)
		send_words(ipc, input);
	else if (ipc_send(ipc, MSG_COMMAND, 7, input, -1) != 0)
		w.closed = true;
	for (int turn = 0; turn < TURNS && w.ends == 0 && !w.closed; turn++)
		loop_run_once(w.office.loop, 2);
	HOLDS(w.ends == 1 || w.closed);
	ipc_free(ipc);
	while (w.office.authority.control.count > 0)
		loop_run_once(w.office.loop, 2);
	return 0;
}

static void
seed(const char *line)
{
	char copy[200], name[200];
	size_t len = strlen(line);

	memcpy(copy, line, len);
	memcpy(name, line, len + 1);
	for (size_t i = 0; i < len; i++) {
		if (line[i] == ' ')
			copy[i] = '\0';
		if (line[i] == ' ' || line[i] == '/')
			name[i] = '_';
	}
	ground_seed_way(name, 0, (struct bytes){(uint8_t *)copy, len});
}

void
fuzz_seeds(void)
{
	static const char *const lines[] = {
		"help",
		"status",
		"ca show",
		"ca show --pem",
		"crl show --delta",
		"crl make",
		"certificate list --limit 3",
		"certificate show 40414243444546474849404142434445",
		"certificate revoke 40414243444546474849404142434445 --reason keyCompromise",
		"certificate revoke 40414243444546474849404142434445 --invalidity-date 2026-11-22T12:00:00Z",
		"certificate hold 40414243444546474849404142434445",
		"challenge create --count 2 --minutes 5",
		"challenge list",
		"request list",
		"request show 1",
		"request approve 1",
		"request deny 1 --reason no",
		"audit list --limit 5",
		"audit verify",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		seed(lines[i]);
	ground_seed_way("body", 1, (struct bytes){(const uint8_t *)"\0\0\0\1\0\0\0\4help", 12});
	ground_seed_way("login", 2,
			(struct bytes){(const uint8_t *)"\0\x10\0\0\0\4anna\0\0\0\4word\0\0\0\1\0\0\0\4help", 30});
}
