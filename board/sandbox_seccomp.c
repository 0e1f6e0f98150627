#include "board/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A call that is allowed with any arguments. */
#define ANY(name)                                                                                                      \
	{                                                                                                              \
		SCMP_SYS(name), 0,                                                                                     \
		{                                                                                                      \
			{                                                                                              \
				0                                                                                      \
			}                                                                                              \
		}                                                                                                      \
	}
/* One that is allowed when argument number n, seen through mask, equals value. */
#define WHEN(name, n, mask, value)                                                                                     \
	{                                                                                                              \
		SCMP_SYS(name), 1,                                                                                     \
		{                                                                                                      \
			{                                                                                              \
				(n), SCMP_CMP_MASKED_EQ, (mask), (value)                                               \
			}                                                                                              \
		}                                                                                                      \
	}
#define IS(name, n, value) WHEN(name, n, ~(scmp_datum_t)0, value)

struct allowed {
	int call;
	unsigned conditions;
	struct scmp_arg_cmp condition[1];
};

/*
 * Every role.
 *
 * Missing on purpose: open, exec, fork, kill of others, ptrace, socket, connect, bind, listen, mount, bpf, io_uring,
 * keyctl, userfaultfd, and everything about namespaces and modules.
 */
static const struct allowed common[] = {
	/* Threads and locks of glibc; the flags make sure that clone() makes threads only. */
	ANY(futex),
	ANY(set_robust_list),
	ANY(rseq),
	ANY(sched_yield),
	ANY(sched_getaffinity),
	ANY(membarrier),
	ANY(gettid),
	ANY(getpid),
	IS(prctl, 0, PR_SET_NAME),
	WHEN(clone, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND),
	/* Memory; secrets are locked and left out of dumps.  What maps it comes below. */
	ANY(brk),
	ANY(munmap),
	ANY(mremap),
	ANY(madvise),
	ANY(mlock),
	ANY(mlock2),
	ANY(munlock),
	/* The event loop. */
	ANY(epoll_create1),
	ANY(epoll_ctl),
	ANY(epoll_wait),
	ANY(epoll_pwait),
	ANY(eventfd2),
	ANY(timerfd_create),
	ANY(timerfd_settime),
	ANY(poll),
	ANY(ppoll),
	/* Descriptors that are open: channels to other roles (with descriptors riding along), the log, connections. */
	ANY(read),
	ANY(readv),
	ANY(write),
	ANY(writev),
	ANY(close),
	ANY(sendmsg),
	ANY(recvmsg),
	ANY(sendto),
	ANY(recvfrom),
	ANY(shutdown),
	ANY(getsockopt),
	ANY(getsockname),
	ANY(getpeername),
	ANY(fstat),
	ANY(newfstatat),
	IS(fcntl, 1, F_GETFL),
	IS(fcntl, 1, F_SETFL),
	IS(fcntl, 1, F_GETFD),
	IS(fcntl, 1, F_SETFD),
	IS(fcntl, 1, F_DUPFD_CLOEXEC),
	/* How libevent asks for the number of bytes that wait, and how it makes a socket non-blocking. */
	IS(ioctl, 1, FIONREAD),
	IS(ioctl, 1, FIONBIO),
	/* Time and randomness; the first two are vDSO calls that become real ones on odd clock sources. */
	ANY(clock_gettime),
	ANY(gettimeofday),
	ANY(clock_getres),
	ANY(clock_nanosleep),
	ANY(nanosleep),
	ANY(time),
	ANY(getrandom),
	/* Signals: returning from a handler, blocking them in threads; sending them is in add_signals(). */
	ANY(rt_sigreturn),
	ANY(rt_sigprocmask),
	ANY(rt_sigaction),
	ANY(sigaltstack),
	ANY(restart_syscall),
	/* Measuring ourselves for status. */
	ANY(getrusage),
	ANY(sysinfo),
	/* The end. */
	ANY(exit),
	ANY(exit_group),
};

/* The front takes connections from listeners that the parent bound, and touches no file at all. */
static const struct allowed front[] = {
	ANY(accept4),
	ANY(accept),
	ANY(setsockopt),
	/* OpenSSL and evhttp send what belongs together in one call. */
	ANY(sendmmsg),
	ANY(sendfile),
};

/*
 * The authority keeps the store: SQLite opens its journal when it needs one, locks with fcntl(), maps the index of
 * the write-ahead log, syncs, and removes.  It takes console connections from a listener that the parent bound, and
 * asks who is behind them (getsockopt).
 */
static const struct allowed files[] = {
	ANY(openat),
	ANY(open),
	ANY(stat),
	ANY(lstat),
	ANY(access),
	ANY(faccessat2),
	ANY(lseek),
	ANY(pread64),
	ANY(pwrite64),
	ANY(ftruncate),
	ANY(fallocate),
	ANY(fsync),
	ANY(fdatasync),
	ANY(unlink),
	ANY(unlinkat),
	ANY(rename),
	ANY(renameat),
	ANY(renameat2),
	ANY(mkdir),
	ANY(mkdirat),
	ANY(rmdir),
	ANY(fchmod),
	ANY(fchown),
	ANY(umask),
	ANY(readlink),
	ANY(getdents64),
	ANY(getcwd),
	ANY(statfs),
	ANY(fstatfs),
	ANY(fadvise64),
	ANY(flock),
	ANY(geteuid),
	ANY(getuid),
	ANY(getegid),
	ANY(getgid),
	IS(fcntl, 1, F_GETLK),
	IS(fcntl, 1, F_SETLK),
	IS(fcntl, 1, F_SETLKW),
	IS(fcntl, 1, F_OFD_GETLK),
	IS(fcntl, 1, F_OFD_SETLK),
	IS(fcntl, 1, F_OFD_SETLKW),
};

static const struct allowed console_connections[] = {
	ANY(accept4),
	ANY(accept),
	ANY(setsockopt),
};

/*
 * The courier looks names up and connects.  It reads what that needs (resolv.conf, hosts, the machine's list of
 * roots), and its user owns no file.
 */
static const struct allowed outbound[] = {
	ANY(socket),  ANY(socketpair), ANY(connect),    ANY(bind),   ANY(setsockopt), ANY(sendmmsg), ANY(recvmmsg),
	ANY(select),  ANY(pselect6),   ANY(pipe2),      ANY(uname),  ANY(openat),     ANY(open),     ANY(stat),
	ANY(lstat),   ANY(access),     ANY(faccessat2), ANY(lseek),  ANY(pread64),    ANY(readlink), ANY(getdents64),
	ANY(geteuid), ANY(getuid),     ANY(getegid),    ANY(getgid),
};

/* Modules of tokens in the machine or of SoftHSM need files, which the list above has; their drivers need ioctl(). */
static const struct allowed module[] = {
	ANY(ioctl),
	ANY(uname),
	ANY(select),
	ANY(pselect6),
	ANY(pipe2),
#ifdef CONFIG_HSM_NETWORK
	/* The module speaks to its HSM over the network. */
	ANY(socket),
	ANY(connect),
	ANY(bind),
	ANY(setsockopt),
	ANY(sendmmsg),
	ANY(recvmmsg),
	ANY(uname),
#endif
};

/* Memory that is not executable, for the roles that load nothing after the start. */
static const struct allowed data_memory[] = {
	WHEN(mmap, 2, PROT_EXEC, 0),
	WHEN(mprotect, 2, PROT_EXEC, 0),
	WHEN(pkey_mprotect, 2, PROT_EXEC, 0),
};

/* OpenSSL engines and PKCS#11 modules may load further libraries when they are first used. */
static const struct allowed code_memory[] = {
	ANY(mmap),
	ANY(mprotect),
};

struct group {
	const struct allowed *list;
	size_t count;
};

#define GROUP_OF(list)                                                                                                 \
	{                                                                                                              \
		(list), ARRAY_SIZE(list)                                                                               \
	}

enum { GROUPS_MAX = 5 };

static const struct group lists[ROLE_COUNT][GROUPS_MAX] = {
	[ROLE_FRONT] = {GROUP_OF(common), GROUP_OF(data_memory), GROUP_OF(front)},
	[ROLE_AUTHORITY] = {GROUP_OF(common), GROUP_OF(data_memory), GROUP_OF(files), GROUP_OF(console_connections)},
	[ROLE_SIGNER] = {GROUP_OF(common), GROUP_OF(code_memory), GROUP_OF(files), GROUP_OF(module)},
	/* glibc loads what /etc/nsswitch.conf names when a name is looked up. */
	[ROLE_COURIER] = {GROUP_OF(common), GROUP_OF(code_memory), GROUP_OF(outbound)},
};

static void
free_filter(scmp_filter_ctx *filter)
{
	if (*filter != NULL)
		seccomp_release(*filter);
}

/* A call that this processor does not have (open on arm64) is not an error: nobody can make it. */
static int
add_group(scmp_filter_ctx filter, const struct group *group)
{
	const struct allowed *a;
	int rc;

	for (a = group->list; a < group->list + group->count; a++) {
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, a->call, a->conditions, a->condition);
		if (rc != 0 && rc != -EDOM)
			return rc;
	}
	return 0;
}

/* abort() and the like signal threads of this process; the others of the same user are none of a role's business. */
static int
add_signals(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
}

/*
 * Calls that fail instead of ending the process, because libraries make them and do without.  clone3() hides its
 * flags from a filter, so glibc is to use clone(), and so on.
 */
static int
add_refused(scmp_filter_ctx filter, enum role role)
{
	static const int unknown[] = {SCMP_SYS(clone3), SCMP_SYS(statx), SCMP_SYS(epoll_pwait2)};
	size_t i;
	int rc = 0;

	for (i = 0; i < ARRAY_SIZE(unknown) && rc == 0; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), unknown[i], 0);
	/* glibc looks at /proc/sys/vm/overcommit_memory when a thread's heap shrinks, and at the time zone. */
	if (rc == 0 && role == ROLE_FRONT)
		rc = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_CLOEXEC, O_RDONLY | O_CLOEXEC));
#ifndef CONFIG_HSM_NETWORK
	/* SoftHSM and others write their errors to syslog(3), which opens its socket when there is something to say. */
	if (rc == 0 && role == ROLE_SIGNER)
		rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
#endif
	return rc;
}

int
sandbox_enter(enum role role, struct err *e)
{
	__attribute__((cleanup(free_filter))) scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;
	int rc;

	if (filter == NULL || lists[role][0].list == NULL)
		return err_set(e, ERR_IO, 0, "no list of system calls for %s", ipc_role_name(role));
	/* All threads at once; and a list that could not be put into force for one of them is an error. */
	rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* The 32-bit calls of this processor too. */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* A list in the form of a tree: a hundred comparisons for each call would be felt. */
	if (rc == 0)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (i = 0; i < GROUPS_MAX && rc == 0; i++)
		if (lists[role][i].list != NULL)
			rc = add_group(filter, &lists[role][i]);
	if (rc == 0)
		rc = add_signals(filter);
	if (rc == 0)
		rc = add_refused(filter, role);
	if (rc == 0)
		rc = seccomp_load(filter);
	if (rc != 0)
		return err_set(e, ERR_IO, (uint32_t)-rc, "system call list of %s: %s", ipc_role_name(role),
			       strerror(-rc));
	return 0;
}
