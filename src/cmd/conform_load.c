/*
 * neap conform: finding the jobs and reading what the kernel did.
 *
 *     DIR/                          or a directory of such directories
 *        NAME.job                   the script
 *        run1.tar.xz ...            the kernel's runs: DIR/LABEL/vmstat of each snapshot
 *             boot/                 in some of them: the machine before the first command
 *        trace-reclaim.txt.xz       perhaps: the order of things in one run more
 *
 * All runs of a job are read whole; the parts below boot/ are written to temporary
 * directories, so that the simulator can be told to begin there. No two boots are the
 * same (the kernel's address is random, and with two nodes it decides how much room
 * the first one has), so a job is played from each.
 *
 * What must never happen: a job left out silently. A directory without a job, or a run
 * that cannot be read, is an error; a job that cannot be played is counted by name.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/conform.h"
#include "cmd/conform_host.h"

static int out_of_memory(void)
{
	cmd_error("memory is out");
	return CMD_WORLD;
}

/* A path below a directory. => NULL when memory is out */
static char *path_of(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int select_entry(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* => the path of the only file *.job of a directory, or NULL */
static char *find_job(const char *dir)
{
	struct dirent **entries;
	int nr = scandir(dir, &entries, select_entry, alphasort);
	char *path = NULL;

	for (int i = 0; i < nr; i++) {
		size_t bytes = strlen(entries[i]->d_name);

		if (path == NULL && bytes > 4 &&
		    strcmp(entries[i]->d_name + bytes - 4, ".job") == 0)
			path = path_of(dir, entries[i]->d_name);
		free(entries[i]);
	}
	if (nr >= 0)
		free(entries);
	return path;
}

static int add_job(struct conform *conform, const char *dir, char *job_path)
{
	struct conform_job *jobs =
		realloc(conform->job, (conform->nr_jobs + 1) * sizeof(*conform->job));
	char *resolved = realpath(dir, NULL);
	struct conform_job *job;

	if (jobs != NULL)
		conform->job = jobs;
	if (jobs == NULL || resolved == NULL) {
		free(resolved);
		free(job_path);
		return out_of_memory();
	}
	job = &jobs[conform->nr_jobs++];
	*job = (struct conform_job){ .dir = resolved,
				     .job_path = job_path,
				     .costs = conform->options->costs };
	job->name = strdup(strrchr(resolved, '/') + 1);
	return job->name == NULL ? out_of_memory() : CMD_FINE;
}

/* A directory of a job, or of directories of jobs. */
static int add_directory(struct conform *conform, const char *dir)
{
	struct dirent **entries;
	char *job = find_job(dir);
	uint32_t before = conform->nr_jobs;
	int status = CMD_FINE;
	int nr;

	if (job != NULL)
		return add_job(conform, dir, job);
	nr = scandir(dir, &entries, select_entry, alphasort);
	if (nr < 0 && errno == ENOTDIR) {
		/* What lies beside the jobs, named by a pattern that matches everything there. */
		cmd_error("%s: not a directory, passed over", dir);
		return CMD_FINE;
	}
	if (nr < 0) {
		cmd_error("%s: %s", dir, strerror(errno));
		return CMD_USAGE;
	}
	for (int i = 0; i < nr; i++) {
		char *below = path_of(dir, entries[i]->d_name);

		job = below != NULL && status == CMD_FINE ? find_job(below) : NULL;
		if (job != NULL)
			status = add_job(conform, below, job);
		free(below);
		free(entries[i]);
	}
	free(entries);
	if (status == CMD_FINE && conform->nr_jobs == before) {
		cmd_error("%s: there is no recorded job in it or directly below (NAME.job beside"
			  " run1.tar.xz)",
			  dir);
		return CMD_USAGE;
	}
	return status;
}

static int compare_jobs(const void *a, const void *b)
{
	const struct conform_job *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->dir, y->dir);
}

/* ---- recordings ---- */

static int make_tmp(struct conform *conform)
{
	if (conform->tmp[0] != '\0')
		return CMD_FINE;
	if (snprintf(conform->tmp, sizeof(conform->tmp), "%s/neap-conform-XXXXXX",
		     conform->options->tmp_dir) >= (int)sizeof(conform->tmp) ||
	    mkdtemp(conform->tmp) == NULL) {
		cmd_error("a directory in %s: %s", conform->options->tmp_dir, strerror(errno));
		conform->tmp[0] = '\0';
		return CMD_WORLD;
	}
	return CMD_FINE;
}

static int keep_boot(struct conform *conform, struct conform_job *job,
		     const struct unpack_files *files)
{
	int status, error;
	char *dir;

	if (job->nr_boots == CONFORM_BOOTS_MAX || unpack_find(files, "boot/zoneinfo") == NULL)
		return CMD_FINE;
	status = make_tmp(conform);
	if (status != CMD_FINE)
		return status;
	if (asprintf(&dir, "%s/%u.%u", conform->tmp, (uint32_t)(job - conform->job),
		     job->nr_boots) < 0)
		return out_of_memory();
	job->boot_dir[job->nr_boots++] = dir;
	error = mkdir(dir, 0700) == 0 ? 0 : -errno;
	if (error == 0)
		error = unpack_extract(files, "boot/", dir);
	if (error == 0)
		return CMD_FINE;
	cmd_error("%s: %s", dir, strerror(-error));
	return CMD_WORLD;
}

static int load_run(struct conform *conform, struct conform_job *job, const char *path)
{
	struct record_set *kernel = &job->kernel;
	struct record *run = realloc(kernel->run, (kernel->nr + 1) * sizeof(*run));
	struct unpack_files files;
	struct text_error err = { .message = "" };
	int status = CMD_FINE;
	int error;

	if (run == NULL)
		return out_of_memory();
	kernel->run = run;
	error = unpack_load(path, &files, &err);
	if (error == 0)
		error = record_from_archive(&files, path, &run[kernel->nr], &err);
	if (error == 0) {
		const struct unpack_file *log = unpack_find(&files, "log.txt");

		if (log != NULL)
			(void)conform_log_times(text_buf_text(&log->text),
						&job->log_times[kernel->nr]);
		kernel->nr++;
		status = keep_boot(conform, job, &files);
	} else {
		cmd_error("%s: %s", path, err.message);
		status = CMD_USAGE;
	}
	unpack_free(&files);
	return status;
}

static int load_job(struct conform *conform, struct conform_job *job)
{
	uint32_t nr = 0;
	int status = CMD_FINE;

	for (uint32_t number = 1; number <= RULE_RUNS_MAX && status == CMD_FINE; number++) {
		char *path;

		if (asprintf(&path, "%s/run%u.tar.xz", job->dir, number) < 0)
			return out_of_memory();
		if (access(path, F_OK) == 0) {
			status = load_run(conform, job, path);
			nr++;
		}
		free(path);
	}
	if (status == CMD_FINE && nr == 0) {
		cmd_error("%s: there is no run1.tar.xz; name directories with NAME.job and"
			  " run1.tar.xz, as tools/oracle/record makes them",
			  job->dir);
		return CMD_USAGE;
	}
	job->trace_path = path_of(job->dir, "trace-reclaim.txt.xz");
	if (job->trace_path != NULL && access(job->trace_path, F_OK) != 0) {
		free(job->trace_path);
		job->trace_path = NULL;
	}
	return status;
}

int conform_load(struct conform *conform)
{
	int status = CMD_FINE;

	for (uint32_t i = 0; i < conform->options->nr_dirs && status == CMD_FINE; i++)
		status = add_directory(conform, conform->options->dirs[i]);
	if (status == CMD_FINE && conform->nr_jobs == 0) {
		cmd_error(
			"there is no recorded job; name directories with NAME.job and run1.tar.xz");
		status = CMD_USAGE;
	}
	if (conform->nr_jobs > 1)
		qsort(conform->job, conform->nr_jobs, sizeof(*conform->job), compare_jobs);
	for (uint32_t i = 0; i < conform->nr_jobs && status == CMD_FINE; i++)
		status = cmd_interrupt ? CMD_INTERRUPTED : load_job(conform, &conform->job[i]);
	return status;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void conform_free(struct conform *conform)
{
	for (uint32_t i = 0; i < conform->nr_jobs; i++) {
		struct conform_job *job = &conform->job[i];

		free(job->dir);
		free(job->name);
		free(job->job_path);
		for (uint32_t boot = 0; boot < job->nr_boots; boot++)
			free(job->boot_dir[boot]);
		free(job->trace_path);
		free(job->kernel.run);
		free(job->ours.run);
		free(job->before.run);
		free(job->refused);
		free(job->failed);
		free(job->evidence);
		free(job->rows);
		free(job->witnesses);
	}
	free(conform->job);
	if (conform->tmp[0] != '\0' &&
	    nftw(conform->tmp, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
		cmd_error("%s could not be removed: %s", conform->tmp, strerror(errno));
}
