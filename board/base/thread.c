/*
 * board/base/thread - see thread.h
 */
#include "board/base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct thread_start {
	char name[16];
	void *(*fn)(void *);
	void *arg;
};

static void *
thread_main(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;

	free(arg);
	(void)pthread_setname_np(pthread_self(), start.name);
	return start.fn(start.arg);
}

/* All that come from outside; a thread's own faults must still reach it. */
static void
thread_signals(sigset_t *set)
{
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

	sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(set, faults[i]);
}

int
thread_start(const char *name, void *(*fn)(void *), void *arg, pthread_t *ret_thread)
{
	struct thread_start *start = calloc(1, sizeof(*start));
	sigset_t block, before;
	pthread_t thread;
	int failed;

	if (start == NULL)
		return ERR_NOMEM;
	(void)snprintf(start->name, sizeof(start->name), "%.15s", name);
	start->fn = fn;
	start->arg = arg;
	/* A thread inherits the mask, so there is no moment in which it could take a signal. */
	thread_signals(&block);
	pthread_sigmask(SIG_SETMASK, &block, &before);
	failed = pthread_create(&thread, NULL, thread_main, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0) {
		free(start);
		return ERR_NOMEM;
	}
	*ret_thread = thread;
	return 0;
}
