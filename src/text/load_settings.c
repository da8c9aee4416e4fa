/*
 * A saved machine's settings.
 *
 *     sysctls   DIR/sysctl_vm.txt                    "name = value", all in one
 *               DIR/sys/vm/NAME, DIR/proc/sys/vm/NAME
 *               DIR/../boot/, DIR/../00-boot/ sysctl_vm.txt, with a warning
 *     thp       DIR/thp_enabled, DIR/sys_kernel_mm.txt,
 *               DIR/sys/kernel/mm/transparent_hugepage/enabled, then those of the boot
 *
 * Settings decide how marks are computed, so a snapshot without any is of limited
 * use; those of the boot are better than defaults, but may have been changed since.
 *
 * A file of /proc/sys/vm that may not be read (as another user than root) is left
 * out, and said. stat_refresh is never read: on a live machine that is an action.
 *
 * What must never happen: a value that is there and not understood, passed over.
 */
#include "text/load_part.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "text/scan.h"
#include "text/sysctls.h"

#define PATH_BYTES 4096u
#define STAT_REFRESH "stat_refresh"

static const char *const boot_places[] = { "../boot/", "../00-boot/" };

/* Fills the snapshot from a sysctl_vm.txt. => 0, -ENOENT, or another errno with *err filled */
static int load_list(const char *dir, const char *path, struct snapshot *snapshot,
		     struct text_error *err)
{
	struct text_buf text;
	struct text_doc *doc = NULL;

	text_buf_init(&text);
	int error = load_read(dir, path, &text, err);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = text_doc_load(&sysctls_format, &in, &doc, err);
	}
	if (error == 0)
		error = sysctls_fill_snapshot(doc, snapshot, err);
	text_doc_free(doc);
	text_buf_free(&text);
	return error;
}

/* Enters one file of a directory. => 0, or an errno with *err filled */
static int load_file(const char *vm, const char *name, struct snapshot *snapshot,
		     struct text_error *err)
{
	struct text_buf text;

	text_buf_init(&text);
	int error = load_read(vm, name, &text, err);
	if (error == 0) {
		if (text.bytes > 0 && text.at[text.bytes - 1] == '\n')
			text.at[text.bytes - 1] = '\0';
		error = sysctls_snapshot_set(snapshot, name, text_buf_text(&text));
	}
	if (error == -E2BIG)
		text_error_set(err, name, 0,
			       "the value is too long for a setting, or it is one of "
			       "too many files in its directory");
	text_buf_free(&text);
	return error;
}

/* Fills the snapshot from a directory like /proc/sys/vm. => as load_list() */
static int load_directory(const char *dir, const char *below, struct snapshot *snapshot,
			  struct text_error *warning, struct text_error *err)
{
	char vm[PATH_BYTES];
	bool unreadable = false;
	int error = 0;
	int length = snprintf(vm, sizeof(vm), "%s/%s", dir, below);
	DIR *stream = length > 0 && (size_t)length < sizeof(vm) ? opendir(vm) : NULL;

	if (stream == NULL)
		return -ENOENT;
	for (const struct dirent *entry = readdir(stream); entry != NULL && error == 0;
	     entry = readdir(stream)) {
		if (entry->d_name[0] == '.' || sysctls_is_write_only(entry->d_name) ||
		    strcmp(entry->d_name, STAT_REFRESH) == 0)
			continue;
		error = load_file(vm, entry->d_name, snapshot, err);
		if (error == -EACCES || error == -EPERM) {
			unreadable = true;
			error = 0;
		}
	}
	closedir(stream);
	if (unreadable)
		load_warn(warning, dir, "some files of sys/vm could not be read");
	if (error == 0 && snapshot->nr_sysctls == 0)
		return -ENOENT;
	return error;
}

static int load_sysctls(const char *dir, struct snapshot *snapshot, struct text_error *warning,
			struct text_error *err)
{
	char path[64];
	int error = load_list(dir, "sysctl_vm.txt", snapshot, err);

	if (error == -ENOENT)
		error = load_directory(dir, "sys/vm", snapshot, warning, err);
	if (error == -ENOENT)
		error = load_directory(dir, "proc/sys/vm", snapshot, warning, err);
	if (error != -ENOENT)
		return error;
	for (uint32_t i = 0; i < ARRAY_LEN(boot_places) && error == -ENOENT; i++) {
		snprintf(path, sizeof(path), "%ssysctl_vm.txt", boot_places[i]);
		error = load_list(dir, path, snapshot, err);
	}
	load_warn(warning, dir,
		  error == 0 ? "no sysctl_vm.txt: settings are those of the boot"
			     : "no sysctl_vm.txt: settings are unknown");
	return error == -ENOENT ? 0 : error;
}

/* ---- huge pages ---- */

/* "[always] madvise never" => the policy in brackets, up to the end of the line */
static enum snapshot_thp thp_of(const char *text)
{
	static const struct {
		const char *word;
		enum snapshot_thp thp;
	} policies[] = {
		{ "[always]", SNAPSHOT_THP_ALWAYS },
		{ "[madvise]", SNAPSHOT_THP_MADVISE },
		{ "[never]", SNAPSHOT_THP_NEVER },
	};
	size_t bytes = strcspn(text, "\n");

	for (uint32_t i = 0; i < ARRAY_LEN(policies); i++) {
		const char *at = strstr(text, policies[i].word);

		if (at != NULL && at < text + bytes)
			return policies[i].thp;
	}
	return SNAPSHOT_THP_UNKNOWN;
}

static int load_thp(const char *dir, struct snapshot *snapshot, struct text_error *err)
{
	static const struct {
		const char *path;
		const char *before; /* the text that the policies follow in this file */
	} sources[] = {
		{ "thp_enabled", "" },
		{ "sys_kernel_mm.txt", "transparent_hugepage/enabled:" },
		{ "sys/kernel/mm/transparent_hugepage/enabled", "" },
		{ "../boot/thp_enabled", "" },
		{ "../00-boot/sys_kernel_mm.txt", "transparent_hugepage/enabled:" },
	};
	struct text_buf text;
	int error = 0;

	text_buf_init(&text);
	for (uint32_t i = 0;
	     i < ARRAY_LEN(sources) && error == 0 && snapshot->thp == SNAPSHOT_THP_UNKNOWN; i++) {
		error = load_read(dir, sources[i].path, &text, err);
		const char *at =
			error == 0 ? strstr(text_buf_text(&text), sources[i].before) : NULL;
		if (at != NULL)
			snapshot->thp = thp_of(at + strlen(sources[i].before));
		if (error == -ENOENT)
			error = 0;
	}
	text_buf_free(&text);
	return error;
}

int load_settings(const char *dir, struct snapshot *snapshot, struct text_error *warning,
		  struct text_error *err)
{
	int error = load_sysctls(dir, snapshot, warning, err);

	if (error == -E2BIG)
		return -EINVAL; /* the message says what is too much */
	return error != 0 ? error : load_thp(dir, snapshot, err);
}
