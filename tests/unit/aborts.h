/*
 * Does a function end the process by a failed check, and with which words?
 */
#ifndef NEAP_TEST_ABORTS_H
#define NEAP_TEST_ABORTS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs fn in a child process; its stderr goes to buf. True when it was aborted. */
static inline bool aborts(void (*fn)(void), char *buf, size_t bytes)
{
	const struct rlimit no_core = { 0, 0 };
	int ends[2];
	size_t used = 0;
	int status;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		dup2(ends[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(ends[1]);
	for (;;) { /* ends: the child closes its end */
		ssize_t got = read(ends[0], buf + used, bytes - 1 - used);

		if (got <= 0)
			break;
		used += (size_t)got;
	}
	buf[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
