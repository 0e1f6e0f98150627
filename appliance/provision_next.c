/*
 * The part of provision.h that only a next CA needs: what the running appliance knows of it, and its announcement.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "appliance/announce.h"
#include "appliance/provision.h"
#include "board/base/clock.h"
#include "board/base/file.h"
#include "board/base/loop.h"

enum { ANSWER_MS = 30 * 1000, ANSWER_MAX = 4096, MESSAGE_MAX = 64 * 1024, PATH_SIZE = 300 };

/* ---- what the appliance says ------------------------------------------------------------------------------------- */

struct talk {
	struct buf text;
	bool done;
	int status;
};

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct talk *talk = arg;
	struct msg_output m;

	if (message->type != MSG_OUTPUT || msg_output_get(message->body, &m) != 0)
		return;
	buf_put_raw(&talk->text, m.text.data, m.text.len);
	talk->done = m.done != 0;
	talk->status = m.exit_status;
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	struct talk *talk = arg;

	if (!talk->done)
		talk->status = 1;
	talk->done = true;
}

/* Connects to the control socket; -1 when nobody is there. */
static int
connect_control(const struct app_provision *p)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", p->conf.paths_run) <
		    (int)sizeof(address.sun_path) &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static int
converse(struct loop *loop, int fd, struct talk *talk)
{
	struct ipc_handlers handlers = {on_message, on_closed, talk};
	struct msg_command m = {.words = {.count = 3}};
	int64_t end = clock_mono_ms() + ANSWER_MS;
	struct ipc *ipc;
	int code = ipc_new(loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &ipc);

	if (code != 0) {
		(void)close(fd);
		return code;
	}
	m.words.item[0] = bytes_of_text("ca");
	m.words.item[1] = bytes_of_text("rollover");
	m.words.item[2] = bytes_of_text("ready");
	code = msg_command_send(ipc, 1, &m);
	while (code == 0 && !talk->done && clock_mono_ms() < end)
		loop_run_once(loop, 100);
	ipc_free(ipc);
	if (code == 0 && !talk->done)
		code = ERR_TIMEOUT;
	return code;
}

/* Takes word and the number of a CA behind it. */
static bool
take_number(const char **text, const char *word, unsigned *ret_number)
{
	size_t len = strlen(word);
	unsigned long number;
	char *end;

	if (strncmp(*text, word, len) != 0)
		return false;
	number = strtoul(*text + len, &end, 10);
	if (end == *text + len || number < 1 || number > CA_GENERATIONS)
		return false;
	*ret_number = (unsigned)number;
	*text = end;
	return true;
}

/* "current 1 next 2" */
static int
take_answer(struct app_provision *p, struct talk *talk, struct err *e)
{
	const char *text;
	unsigned current = 0;
	unsigned next = 0;

	buf_put_u8(&talk->text, '\0');
	text = buf_status(&talk->text) == 0 ? (const char *)talk->text.data : "";
	if (talk->status != 0)
		return err_set(e, ERR_STAGE, 0, "the appliance says: %.*s", (int)strcspn(text, "\n"), text);
	if (!take_number(&text, "current ", &current) || !take_number(&text, " next ", &next) || next <= current)
		return err_set(e, ERR_INTERNAL, 0, "the appliance does not say which CA is the current one");
	p->current = current - 1;
	p->generation = next - 1;
	return 0;
}

int
app_provision_ask(struct app_provision *p, struct err *e)
{
	struct talk talk = {.done = false};
	AUTO_STRUCT(loop) loop = NULL;
	int code = loop_new(&loop);
	int fd = code == 0 ? connect_control(p) : -1;

	if (fd < 0)
		return err_set(e, ERR_STAGE, 0,
			       "the appliance has to run, as it knows which CA is the current one (nobody listens at "
			       "%s/control)",
			       p->conf.paths_run);
	buf_init(&talk.text, ANSWER_MAX);
	code = converse(loop, fd, &talk);
	if (code == 0)
		code = take_answer(p, &talk, e);
	else
		(void)err_set(e, code, 0, "asking the appliance");
	buf_fini(&talk.text);
	return code;
}

/* ---- the announcement -------------------------------------------------------------------------------------------- */

/* The certificate of the CA that announces. */
static int
read_current(const struct app_provision *p, struct app_chain *chain, struct app_issuer *ret_issuer, struct err *e)
{
	char name[40], path[PATH_SIZE];
	int code;

	(void)snprintf(path, sizeof(path), "%.250s/%s", p->ca_dir,
		       app_chain_name("ca", p->current, ".pem", name, sizeof(name)));
	code = app_chain_read(path, chain, e);
	return code != 0 ? code : app_issuer_init(chain->certificate[0], ret_issuer, e);
}

/* A next CA that ends before the current one would be none. */
static int
check_next(const struct app_issuer *current, const struct app_chain *next, struct err *e)
{
	struct app_issuer issuer;
	int code = app_issuer_init(next->certificate[0], &issuer, e);

	if (code != 0)
		return code;
	if (issuer.cert.tbs.not_after <= current->cert.tbs.not_after)
		return err_set(e, ERR_CONFIG, 0, "the next CA certificate would not last longer than the current one");
	return 0;
}

static int
sign_announcement(struct app_provision *p, const struct app_issuer *issuer, const struct app_chain *next,
		  struct buf *out, struct err *e)
{
	AUTO_BUF content;
	AUTO_BUF attributes;
	AUTO_BUF algorithm;
	AUTO_BUF signature;
	int code;

	buf_init(&content, MESSAGE_MAX);
	buf_init(&attributes, 1024);
	buf_init(&algorithm, 256);
	buf_init(&signature, 2048);
	code = app_announce_content(next->certificate, next->count, &content);
	if (code == 0)
		code = app_announce_attributes(issuer, buf_bytes(&content), clock_wall(), &attributes);
	if (code != 0)
		return err_set(e, code, 0, "building the announcement");
	code = app_token_sign_ca(p->token, p->current, issuer->digest, buf_bytes(&attributes), &algorithm, &signature,
				 e);
	if (code != 0)
		return code;
	code = app_announce_join(issuer, buf_bytes(&content), buf_bytes(&attributes), buf_bytes(&signature), out);
	return code != 0 ? err_set(e, code, 0, "joining the announcement") : 0;
}

int
app_provision_announce(struct app_provision *p, const struct app_chain *chain, struct err *e)
{
	struct app_chain current = {.count = 0};
	struct app_issuer issuer;
	char name[40], path[PATH_SIZE];
	AUTO_BUF message;
	int code = read_current(p, &current, &issuer, e);

	buf_init(&message, MESSAGE_MAX);
	if (code == 0)
		code = check_next(&issuer, chain, e);
	if (code == 0)
		code = sign_announcement(p, &issuer, chain, &message, e);
	app_chain_fini(&current);
	(void)snprintf(path, sizeof(path), "%.250s/%s", p->ca_dir,
		       app_chain_name("announcement", p->generation, ".der", name, sizeof(name)));
	if (code == 0)
		code = file_replace(path, 0644, buf_bytes(&message), e);
	if (code == 0)
		app_provision_say("announcement", "signed by the current CA");
	return code;
}
