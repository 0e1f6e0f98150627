/*
 * An intruder in a role: makes a system call inside a running process, as code that broke into it would.
 *
 *	intrude PID ACT [ARGUMENT]      prints "killed by signal N" or "result N"
 *
 * The call is made by ptrace in the process's main thread, so it meets everything that the role's own calls meet: user
 * id, capabilities, list of system calls.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/msg.h"

#ifdef __x86_64__

enum { SCRATCH = 8192, FDS_MAX = 256, DATA_MAX = 4096 };

static pid_t victim;
static unsigned long entry; /* where the code is written: the program's first instruction, which is not run again */
static unsigned long room;  /* below the stack, where arguments are written */
static struct user_regs_struct before;

static void
give_up(const char *what)
{
	perror(what);
	exit(2);
}

static unsigned long
find_entry(void)
{
	char path[40];
	Elf64_auxv_t item;
	unsigned long found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)victim);
	file = fopen(path, "re");
	if (file == NULL)
		give_up(path);
	while (fread(&item, sizeof(item), 1, file) == 1)
		if (item.a_type == AT_ENTRY)
			found = item.a_un.a_val;
	fclose(file);
	return found;
}

static void
poke(unsigned long address, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(long)) {
		long word = 0;

		memcpy(&word, (const char *)data + i, len - i < sizeof(word) ? len - i : sizeof(word));
		if (ptrace(PTRACE_POKEDATA, victim, address + i, word) != 0)
			give_up("POKEDATA");
	}
}

static void
attach(void)
{
	static const uint8_t code[8] = {0x0f, 0x05, 0xcc}; /* syscall; int3 */
	int status;

	if (ptrace(PTRACE_SEIZE, victim, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, victim, 0, 0) != 0 ||
	    waitpid(victim, &status, __WALL) != victim || ptrace(PTRACE_GETREGS, victim, 0, &before) != 0)
		give_up("attaching");
	entry = find_entry();
	room = (before.rsp - SCRATCH) & ~15ul;
	poke(entry, code, sizeof(code));
}

/* One call; ends the program when the process did not survive it. */
static long
call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e)
{
	struct user_regs_struct regs = before;
	int status;

	regs.orig_rax = (unsigned long)-1;
	regs.rip = entry;
	regs.rax = (unsigned long)number;
	regs.rdi = a;
	regs.rsi = b;
	regs.rdx = c;
	regs.r10 = d;
	regs.r8 = e;
	regs.r9 = 0;
	if (ptrace(PTRACE_SETREGS, victim, 0, &regs) != 0 || ptrace(PTRACE_CONT, victim, 0, 0) != 0)
		give_up("continuing");
	while (waitpid(victim, &status, __WALL) == victim) {
		if (WIFSIGNALED(status)) {
			printf("killed by signal %d\n", WTERMSIG(status));
			exit(0);
		}
		if (WIFEXITED(status)) {
			printf("exited with %d\n", WEXITSTATUS(status));
			exit(0);
		}
		if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && status >> 16 == 0)
			break;
		/* Signals that are about to end it pass on. */
		(void)ptrace(PTRACE_CONT, victim, 0, WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status));
	}
	if (ptrace(PTRACE_GETREGS, victim, 0, &regs) != 0)
		give_up("GETREGS");
	return (long)regs.rax;
}

/* Writes a message to every channel that the process has open; the number of them. */
static long
say(struct bytes body)
{
	AUTO_BUF frame;
	long said = 0;

	buf_init(&frame, DATA_MAX);
	buf_put_u32(&frame, (uint32_t)body.len);
	buf_put_u16(&frame, MSG_SIGN);
	buf_put_u16(&frame, 0);
	buf_put_u64(&frame, 77);
	buf_put_raw(&frame, body.data, body.len);
	poke(room, frame.data, frame.len);
	for (int fd = 3; fd < FDS_MAX; fd++) {
		char path[60], link[60] = "";

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)victim, fd);
		if (readlink(path, link, sizeof(link) - 1) > 0 && strncmp(link, "socket:", 7) == 0)
			said += call(SYS_sendto, (unsigned long)fd, room, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT, 0) ==
				(long)frame.len;
	}
	return said;
}

/* Asks for a signature by the key class of this name over what is no certificate. */
static long
ask(const char *class_name)
{
	struct msg_sign m = {.digest = DIGEST_SHA256, .data = {(const uint8_t *)"0", 1}};
	AUTO_BUF body;

	buf_init(&body, DATA_MAX);
	for (int i = 0; i < KEY_CLASS_COUNT; i++)
		if (strcmp(msg_key_name((enum key_class)i), class_name) == 0)
			m.key_class = (uint8_t)i;
	msg_sign_put(&body, &m);
	return say(buf_bytes(&body));
}

static long
act(const char *what, const char *argument)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
	unsigned long number = strtoul(argument, NULL, 10), at = (unsigned long)AT_FDCWD;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (strcmp(what, "sign") == 0)
		return ask(argument);
	if (strcmp(what, "socket") == 0)
		return call(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0);
	if (strcmp(what, "connect") == 0) {
		poke(room, &address, sizeof(address));
		return call(SYS_connect, 0, room, sizeof(address), 0, 0);
	}
	if (strcmp(what, "fork") == 0)
		return call(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (strcmp(what, "ptrace") == 0)
		return call(SYS_ptrace, PTRACE_ATTACH, number, 0, 0, 0);
	if (strcmp(what, "read-memory") == 0)
		return call(SYS_process_vm_readv, number, room, 1, room, 1);
	if (strcmp(what, "kill") == 0)
		return call(SYS_kill, number, SIGKILL, 0, 0, 0);
	if (strcmp(what, "setuid") == 0)
		return call(SYS_setuid, 0, 0, 0, 0, 0);
	if (strcmp(what, "map-code") == 0)
		return call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			    (unsigned long)-1);
	poke(room, argument, strlen(argument) + 1);
	if (strcmp(what, "exec") == 0)
		return call(SYS_execve, room, 0, 0, 0, 0);
	if (strcmp(what, "read") == 0)
		return call(SYS_openat, at, room, O_RDONLY | O_CLOEXEC, 0, 0);
	if (strcmp(what, "write") == 0)
		return call(SYS_openat, at, room, O_WRONLY | O_CREAT | O_CLOEXEC, 0600, 0);
	fprintf(stderr, "no such act: %s\n", what);
	exit(2);
}

int
main(int argc, char **argv)
{
	long result;

	if (argc < 3) {
		fprintf(stderr, "usage: intrude PID ACT [ARGUMENT]\n");
		return 2;
	}
	victim = (pid_t)atoi(argv[1]);
	attach();
	result = act(argv[2], argc > 3 ? argv[3] : "");
	printf("result %ld\n", result);
	/* What was open goes on as if nothing had been. */
	if (ptrace(PTRACE_SETREGS, victim, 0, &before) != 0 || ptrace(PTRACE_DETACH, victim, 0, 0) != 0)
		give_up("detaching");
	return 0;
}

#else

int
main(void)
{
	printf("not on this processor\n");
	return 0;
}

#endif
