/*
 * Other allocators beside ours, in the same run.
 *
 *   neap bench ──┬─ our repetition, in this process
 *                └─ LD_PRELOAD=libjemalloc.so.2 neap bench --peer jemalloc:INDEX
 *                        the same work with malloc and free ──> one line a value, to us
 *
 * A malloc that is loaded into our own process would serve our own allocations, or
 * could not be loaded at all (jemalloc wants its thread-local data at start). So each
 * repetition of a peer is a process that begins with the peer's library and does
 * nothing else; repetitions of all allocators take turns, so that a disturbance of
 * the machine meets all of them.
 *
 * What must never happen: the C library's malloc measured under another's name. The
 * process looks for a symbol that only the wanted library has, and gives up otherwise.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/bench.h"
#include "cmd/cmd.h"

#define WORDS_BYTES 64u
#define STATUS_ABSENT 77 /* the library is not there */

const struct bench_peer bench_peers[BENCH_PEERS_MAX] = {
	{ "jemalloc", "libjemalloc.so.2", "mallocx", "libjemalloc2" },
	{ "mimalloc", "libmimalloc.so.2.0", "mi_malloc", "libmimalloc2.0" },
	{ "tcmalloc", "libtcmalloc_minimal.so.4", "tc_malloc", "libtcmalloc-minimal4" },
	{ "glibc", NULL, NULL, "libc6" },
};

static const struct bench_peer *find_peer(const char *name, size_t bytes)
{
	for (uint32_t i = 0; i < BENCH_PEERS_MAX; i++)
		if (strlen(bench_peers[i].name) == bytes &&
		    memcmp(bench_peers[i].name, name, bytes) == 0)
			return &bench_peers[i];
	return NULL;
}

static const struct bench *find_bench(uint64_t index)
{
	for (uint64_t i = 0; bench_table[i] != NULL; i++)
		if (i == index)
			return bench_table[i];
	return NULL;
}

int bench_peer_main(const char *words, bool quick)
{
	double value[BENCH_LINES_MAX] = { 0 };
	const char *colon = strchr(words, ':');
	const struct bench_peer *peer = NULL;
	const struct bench *bench = NULL;
	uint64_t index;

	if (colon != NULL && cmd_number(colon + 1, "the bench's number", &index)) {
		peer = find_peer(words, (size_t)(colon - words));
		bench = find_bench(index);
	}
	if (peer == NULL || bench == NULL || bench->run_peer == NULL) {
		cmd_error("bench --peer is for neap's own use");
		return CMD_USAGE;
	}
	if (peer->symbol != NULL && dlsym(RTLD_DEFAULT, peer->symbol) == NULL)
		return STATUS_ABSENT;
	int err = bench->run_peer(quick, value);

	if (err != 0) {
		cmd_error("bench with %s: %s", peer->name, strerror(-err));
		return CMD_WORLD;
	}
	for (uint32_t i = 0; bench->lines[i].name != NULL; i++)
		printf("%a\n", value[i]);
	return CMD_FINE;
}

/* => the values that the process wrote; 0 if it wrote something else */
static uint32_t read_values(int fd, double *value)
{
	FILE *in = fdopen(fd, "r");
	uint32_t nr = 0;

	if (in == NULL) {
		close(fd);
		return 0;
	}
	while (nr < BENCH_LINES_MAX && fscanf(in, "%la", &value[nr]) == 1)
		nr++;
	fclose(in);
	return nr;
}

/* => the child, or negative errno; *out: where its values come from */
static pid_t start(const struct bench_peer *peer, char *const *argv, int *out)
{
	posix_spawn_file_actions_t actions;
	int pipe_fd[2];
	pid_t child;

	if (pipe2(pipe_fd, O_CLOEXEC) != 0)
		return -errno;
	int err = posix_spawn_file_actions_init(&actions);

	if (err == 0) {
		err = posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
		/* A loader that does not find the library says so; our own message is enough. */
		if (err == 0)
			err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null",
							       O_WRONLY, 0);
		if (err == 0 && peer->library != NULL)
			err = setenv("LD_PRELOAD", peer->library, 1) != 0 ? errno : 0;
		if (err == 0)
			err = posix_spawn(&child, "/proc/self/exe", &actions, NULL, argv, environ);
		unsetenv("LD_PRELOAD");
		posix_spawn_file_actions_destroy(&actions);
	}
	close(pipe_fd[1]);
	if (err != 0) {
		close(pipe_fd[0]);
		return -err;
	}
	*out = pipe_fd[0];
	return child;
}

int bench_peer_run(const struct bench_peer *peer, uint32_t index, bool quick, double *value)
{
	char neap[] = "neap";
	char bench[] = "bench";
	char option[] = "--peer";
	char quickly[] = "--quick";
	char words[WORDS_BYTES];
	char *argv[] = { neap, bench, option, words, quick ? quickly : NULL, NULL };
	uint32_t nr_lines = 0;
	int status;
	int fd = -1;

	snprintf(words, sizeof(words), "%s:%u", peer->name, index);
	pid_t child = start(peer, argv, &fd);

	if (child < 0)
		return (int)child;
	uint32_t nr = read_values(fd, value);

	while (waitpid(child, &status, 0) < 0) /* event loop: signals may interrupt it */
		if (errno != EINTR)
			return -errno;
	while (bench_table[index]->lines[nr_lines].name != NULL)
		nr_lines++;
	if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_ABSENT)
		return -ENOPKG;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 && nr == nr_lines ? 0 : -ECHILD;
}
