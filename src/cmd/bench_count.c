/*
 * Instruction counts of the parts of benches that are timed, when they run under callgrind.
 *
 *     valgrind --tool=callgrind --collect-atstart=no build/neap bench --count
 *
 *     bench_count_begin() ... bench_count_end("alloc.round", 640000)
 *                 -> one dump, whose description names the line and its operations
 *
 * Times are never compared by a program: they depend on the machine and on what else it
 * does. How many instructions the same work takes depends on the compiler and on the code
 * only, and that is what tools/check-instructions compares.
 *
 * Without valgrind's header nothing of this is there; with it, and not under callgrind,
 * each call costs a few instructions.
 *
 * What must never happen: a part that begins inside another one. The counts are one set
 * for the process.
 */
#include "cmd/bench.h"

#if __has_include(<valgrind/callgrind.h>)
#include <stdio.h>
#include <valgrind/callgrind.h>

#define WORDS_BYTES 64u

void bench_count_begin(void)
{
	CALLGRIND_ZERO_STATS;
	CALLGRIND_TOGGLE_COLLECT;
}

void bench_count_pause(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

void bench_count_resume(void)
{
	CALLGRIND_TOGGLE_COLLECT;
}

void bench_count_end(const char *line, uint64_t operations)
{
	char words[WORDS_BYTES];

	CALLGRIND_TOGGLE_COLLECT;
	if (RUNNING_ON_VALGRIND == 0)
		return;
	snprintf(words, sizeof(words), "%s %llu", line, (unsigned long long)operations);
	CALLGRIND_DUMP_STATS_AT(words);
}
#else
void bench_count_begin(void)
{
}

void bench_count_pause(void)
{
}

void bench_count_resume(void)
{
}

void bench_count_end(const char *line, uint64_t operations)
{
	(void)line;
	(void)operations;
}
#endif
