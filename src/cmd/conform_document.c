/*
 * neap conform --document DATE: docs/conformance.md.
 *
 * The document is generated, so that it cannot say more than the command found: the
 * rule, the two numbers, a line per job, the counters that disagree most, the worst
 * jobs with the evidence of both sides, and what is not modelled. The last is text
 * kept here, beside the code that prints it: it changes with the engine.
 *
 * What must never happen: a date taken from a clock. It is passed in, so that the same
 * build and the same recordings give the same bytes.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "cmd/conform.h"

#define WORST_JOBS 5u
#define WORST_ROWS 8u

static const char not_modelled[] =
	"## What is not modelled\n"
	"\n"
	"Known differences between these jobs on a real kernel and here.\n"
	"\n"
	"- *The host.* Recorded guests were emulated on a shared machine whose load differed\n"
	"  from job to job and from run to run. That decides who is first, kswapd or the program:\n"
	"  each page that kswapd writes out waits until the program's CPU has forgotten it\n"
	"  (`src/core/tlb.c`), and while the host runs both virtual CPUs in turn on one processor\n"
	"  (`rt/sim/host.c`) that is a page a turn: 250 ms for 32 pages in the trace of\n"
	"  anon-seq-swap60, while the program writes as fast as ever. The logs tell how busy the\n"
	"  host was: all anon-* jobs begin with the same fill of memory, and how long it took is\n"
	"  how much of the host the guest had. In the 11 recorded fills of less than 2.7 s\n"
	"  kswapd's share is 28 to 92 %, in the 29 longer ones 7 to 36 %, 14 in the median; all\n"
	"  ten runs of anon-zipf-swap100 and anon-zipf-swap60 are among the former, which is what\n"
	"  sets their shares apart, not their accesses or swappiness. Three took 1.46 to 1.54 s,\n"
	"  as with nothing else on the host, with 83 to 92 %. More than a third of that time is\n"
	"  the host's own: it finds memory for what the guest touches first, 2 MiB at a time\n"
	"  (`src/core/fresh.c`), and its emulator copies what is swapped, 2.4 ms for each 254\n"
	"  pages, in place of one of the guest's CPUs. So each run is played beside as many other\n"
	"  threads as its log tells (`src/cmd/conform_host.c`, `neap sim --host-others`), which\n"
	"  looks at times alone; `--host table` gives all jobs the number of the cost table. How\n"
	"  the others come and go, and how long two virtual CPUs stay on one processor, was\n"
	"  measured once (`costs/emulated-guest.txt`); what they really did beside each recording\n"
	"  is not known, and kswapd's share of one fill depends on it. Nor is it known which\n"
	"  memory the host had at hand: in most recordings all of it was slow to come, in parts\n"
	"  of three traced ones not. What is read into fresh memory takes no longer here.\n"
	"  Below the min mark no memory is left for requests either (`src/core/bio.c`): there\n"
	"  kswapd, the program and kthreadd wait for each other's two.\n"
	"- *Block layer.* The elevator, the limits of its tags and the throttle of write-back are\n"
	"  a queue depth of a modelled disk. What a task gathers before it is sent\n"
	"  (`src/core/io.c`) and memory for requests are modelled.\n"
	"- *Slab caches and kernel memory.* Modelled are nodes of files' indexes and of the swap\n"
	"  cache's trees, buffer heads and requests to the block layer with their vectors and\n"
	"  tables of segments, out of slabs of the kernel's orders (`src/core/slab.c`), and\n"
	"  page tables. What else the kernel holds at boot is there and stays: nothing of it is\n"
	"  given up to shrinkers. (The snapshot before the first command leaves 150 inodes and\n"
	"  names of /proc, and each other one 10: `slabs_scanned` is 165 to 205 in runs that\n"
	"  have it, 18 to 40 in the others, 0 here.) Stacks of kworkers\n"
	"  (16 KiB here and there) are not there. Nor is a process that starts and ends: it takes\n"
	"  46 frames and gives them back, recorded of ten with one frame of slab left; but no\n"
	"  job starts one between two snapshots, and its own ends after the last.\n"
	"- *File system.* No metadata, no journal: only the pages of files themselves. Recorded\n"
	"  (ext4, snapshots of `/proc/diskstats`, slabinfo and vmstat around writes of 80 MiB): a\n"
	"  new file writes 80 KiB besides and dirties 11 pages of the block device at the next\n"
	"  commit, with 581 frames of slab, 525 of them buffer heads; written again, 16 KiB and\n"
	"  6 pages. No row is judged by as little (98 KiB in file-stream-2x and in file-write).\n"
	"- *When kswapd sleeps.* kcompactd's clock lets a node alone while its kswapd runs, and\n"
	"  a request that somebody noted takes that turn. In wsf-1000 the recorded kswapd ended\n"
	"  its first run before the file was read, and 8000 to 12000 frames were looked at; the\n"
	"  job recorded again on a loaded host had one run of 13.6 s and no compaction, as here.\n"
	"  In numa-local kswapd naps 100 ms after the first boost: while that nap lasts the\n"
	"  program takes what zone DMA has, and kswapd goes on; on a loaded host it took longer,\n"
	"  and in three of four recordings kswapd slept until the end.\n"
	"- *What other tasks do*: kworkers, and the recorder's own work during a snapshot.\n"
	"- *Frames.* A booted machine's free lists are rebuilt by order and type; which\n"
	"  frames they hold is not recorded. The kernel's are laid at the bottom of a zone and\n"
	"  programs' at its top, as `/proc/kpageflags` of four booted machines shows them. Not\n"
	"  there: what boot reserves at the end of a zone, and the kernel's pages between parts\n"
	"  of its image. So compaction begins among the same pages and meets the others in\n"
	"  another order.\n"
	"\n";

static int by_inside(const void *a, const void *b)
{
	const struct conform_job *x = *(const struct conform_job *const *)a;
	const struct conform_job *y = *(const struct conform_job *const *)b;
	struct conform_score p = conform_score_job(x), q = conform_score_job(y);
	uint32_t left = conform_inside(&p), right = conform_inside(&q);

	if (left != right)
		return left < right ? -1 : 1;
	return x < y ? -1 : 1;
}

static void print_jobs(const struct conform *conform, FILE *out)
{
	fputs("| job | rows | inside % | near | off | the kernel's own % |"
	      " kswapd's share of pgsteal, ours % | the kernel's % |\n"
	      "|---|---|---|---|---|---|---|---|\n",
	      out);
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];
		struct conform_score score = conform_score_job(job);
		int shares[2] = { record_kswapd_share(&job->ours),
				  record_kswapd_share(&job->kernel) };

		if (score.played == 0)
			continue;
		fprintf(out, "| %s | %" PRIu64 " | %u | %" PRIu64 " | %" PRIu64 " | %u |",
			job->name, score.rows, (conform_inside(&score) + 5) / 10,
			score.ours[RULE_NEAR], score.ours[RULE_OFF],
			(conform_kernel_inside(&score) + 5) / 10);
		for (uint32_t k = 0; k < 2; k++) {
			if (shares[k] < 0)
				fputs(" |", out);
			else
				fprintf(out, " %d |", (shares[k] + 5) / 10);
		}
		fputc('\n', out);
	}
	fputs("\nNot played, because the engine lacks what they need:\n\n", out);
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		const struct conform_job *job = &conform->job[i];

		if (job->refused != NULL)
			fprintf(out, "- %s: %s\n", job->name, job->refused);
		else if (job->failed != NULL)
			fprintf(out, "- %s failed: %s\n", job->name, job->failed);
	}
	fputc('\n', out);
}

static void print_worst_rows(const struct conform_job *job, FILE *out)
{
	const struct record *run = &job->kernel.run[0];
	uint32_t nr = 0;

	fputs("| from | to | counter | ours | kernel's median | least | most |\n"
	      "|---|---|---|---|---|---|---|\n",
	      out);
	for (uint32_t i = 0; i < job->nr_rows && nr < WORST_ROWS; i++) {
		const struct record_row *row = &job->rows[i];
		int64_t least = row->kernel.value[0], most = row->kernel.value[0];

		if (row->verdict != RULE_OFF)
			continue;
		nr++;
		for (uint32_t k = 1; k < row->kernel.nr; k++) {
			int64_t value = row->kernel.value[k];

			least = value < least ? value : least;
			most = value > most ? value : most;
		}
		fprintf(out,
			"| %s | %s | %s | %" PRId64 " | %" PRId64 " | %" PRId64 " | %" PRId64
			" |\n",
			run->label[row->from], run->label[row->to], rule_counter_name(row->counter),
			rule_median(&row->ours), rule_median(&row->kernel), least, most);
	}
}

/* The same rows' events in both traces, then the order of decisions. */
static void print_evidence(const struct conform_job *job, FILE *out)
{
	uint32_t nr = 0;

	if (job->evidence == NULL) {
		fprintf(out, "\nNo traced run of %s was recorded.\n", job->name);
		return;
	}
	fputs("\n```\n", out);
	for (uint32_t i = 0; i < job->nr_rows && nr < WORST_ROWS; i++) {
		const struct record_row *row = &job->rows[i];
		const struct record *run = &job->kernel.run[0];

		if (row->verdict != RULE_OFF)
			continue;
		nr++;
		fprintf(out, "  %s .. %s %s\n", run->label[row->from], run->label[row->to],
			rule_counter_name(row->counter));
		conform_print_evidence(job, i, out);
	}
	fprintf(out, "%s```\n", job->evidence);
}

static void print_worst(const struct conform *conform, FILE *out)
{
	const struct conform_job **jobs = calloc(conform->nr_jobs + 1, sizeof(*jobs));
	uint32_t nr = 0;

	if (jobs == NULL)
		return;
	for (uint32_t i = 0; i < conform->nr_jobs; i++)
		if (conform_score_job(&conform->job[i]).rows != 0)
			jobs[nr++] = &conform->job[i];
	qsort(jobs, nr, sizeof(*jobs), by_inside);
	fputs("## The worst cases\n\n", out);
	for (uint32_t i = 0; i < nr && i < WORST_JOBS; i++) {
		fprintf(out, "### %s\n\n", jobs[i]->name);
		print_worst_rows(jobs[i], out);
		print_evidence(jobs[i], out);
		fputc('\n', out);
	}
	free(jobs);
}

void conform_print_document(const struct conform *conform, FILE *out)
{
	struct conform_score total = { 0 };
	uint32_t ours, kernel;

	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_score score = conform_score_job(&conform->job[i]);

		conform_score_add(&total, &score);
	}
	ours = conform_inside(&total);
	kernel = conform_kernel_inside(&total);
	fprintf(out,
		"# Conformance\n"
		"\n"
		"State of %s, generated by `neap conform --document DATE DIR`; do not edit.\n"
		"\n"
		"**%u.%u %%** of %" PRIu64 " rows of %" PRIu64
		" recorded jobs are inside what a real Linux 6.1 kernel does;\n"
		"that kernel, judged by the same rule against itself, reaches **%u.%u %%**."
		" %" PRIu64 " rows are near, %" PRIu64 " off.\n"
		"%" PRIu64 " jobs are not played yet.\n"
		"\n"
		"## The rule\n"
		"\n"
		"```\n%s```\n"
		"\n"
		"Median of %" PRIu64 " seeds from each recorded boot: a run begins in the state in"
		" which a recorded\n"
		"machine was before the first command.\n"
		"\n"
		"## Every job\n"
		"\n",
		conform->options->document, ours / 10, ours % 10, total.rows, total.played,
		kernel / 10, kernel % 10, total.ours[RULE_NEAR], total.ours[RULE_OFF],
		total.refused + total.failed, rule_text, conform->options->nr_seeds);
	print_jobs(conform, out);
	print_worst(conform, out);
	fputs(not_modelled, out);
}
