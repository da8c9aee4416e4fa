/*
 * Archives, read whole into memory by libarchive.
 *
 *     run3.tar.xz --> [ "log.txt", "start/vmstat", "start/zoneinfo", ... ]
 *     trace.txt.xz --> text
 *
 * A recorded run is a few hundred kilobytes of text; a trace a few megabytes. Both
 * are bounded, since the file may be anything: an archive that claims more is refused.
 *
 * unpack_extract() writes a part of an archive below a directory of ours, so that
 * what reads saved machines from directories can read it. Names are taken from the
 * archive only if they lie below that directory: no "..", no absolute path.
 *
 * What must never happen: a file outside the directory that was given.
 *
 * Linux has no counterpart.
 */
#include "diag/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096u
#define TOTAL_BYTES_MAX (512 * MIB)
#define CHUNK_BYTES 65536u

void unpack_free(struct unpack_files *files)
{
	for (uint32_t i = 0; i < files->nr; i++) {
		free(files->file[i].name);
		text_buf_free(&files->file[i].text);
	}
	free(files->file);
	*files = (struct unpack_files){ 0 };
}

const struct unpack_file *unpack_find(const struct unpack_files *files, const char *name)
{
	for (uint32_t i = 0; i < files->nr; i++)
		if (strcmp(files->file[i].name, name) == 0)
			return &files->file[i];
	return NULL;
}

/* ---- writing a part of it out ---- */

static bool name_is_safe(const char *name)
{
	return name[0] != '/' && name[0] != '\0' && strstr(name, "..") == NULL;
}

/* Makes the folders that a path names and that are missing. The path is changed and put back. */
static int make_folders(char *path, size_t from)
{
	for (char *at = strchr(path + from, '/'); at != NULL; at = strchr(at + 1, '/')) {
		int error;

		*at = '\0';
		error = mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : -errno;
		*at = '/';
		if (error != 0)
			return error;
	}
	return 0;
}

static int write_file(const char *path, const struct text_buf *text)
{
	FILE *out = fopen(path, "we");
	int error = 0;

	if (out == NULL)
		return -errno;
	if (fwrite(text_buf_text(text), 1, text->bytes, out) != text->bytes)
		error = -errno;
	if (fclose(out) != 0 && error == 0)
		error = -errno;
	return error;
}

int unpack_extract(const struct unpack_files *files, const char *prefix, const char *directory)
{
	size_t skip = strlen(prefix);
	int error = 0;

	for (uint32_t i = 0; i < files->nr && error == 0; i++) {
		const char *name = files->file[i].name;
		char *path;

		if (strncmp(name, prefix, skip) != 0 || !name_is_safe(name + skip))
			continue;
		if (asprintf(&path, "%s/%s", directory, name + skip) < 0)
			return -ENOMEM;
		error = make_folders(path, strlen(directory) + 1);
		if (error == 0)
			error = write_file(path, &files->file[i].text);
		free(path);
	}
	return error;
}

/* ---- reading ---- */

#ifdef NEAP_HAVE_ARCHIVE
#include <archive.h>
#include <archive_entry.h>

/* Appends all that the archive has of the present entry. */
static int read_entry(struct archive *in, struct text_buf *out, uint64_t *total)
{
	char chunk[CHUNK_BYTES];

	for (;;) { /* ends with the entry, or at TOTAL_BYTES_MAX */
		la_ssize_t got = archive_read_data(in, chunk, sizeof(chunk));

		if (got < 0)
			return -EINVAL;
		if (got == 0)
			return out->error;
		*total += (uint64_t)got;
		if (*total > TOTAL_BYTES_MAX)
			return -EFBIG;
		if (text_buf_add(out, chunk, (size_t)got) != 0)
			return out->error;
	}
}

/* => a new place at the end, or NULL */
static struct unpack_file *add_file(struct unpack_files *files, const char *name)
{
	if (files->nr == files->room) {
		uint32_t room = files->room == 0 ? 64 : 2 * files->room;
		struct unpack_file *file = realloc(files->file, room * sizeof(*file));

		if (file == NULL)
			return NULL;
		files->file = file;
		files->room = room;
	}
	struct unpack_file *file = &files->file[files->nr];

	if (strncmp(name, "./", 2) == 0)
		name += 2;
	file->name = strdup(name);
	if (file->name == NULL)
		return NULL;
	text_buf_init(&file->text);
	files->nr++;
	return file;
}

static int read_files(struct archive *in, struct unpack_files *files)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int got;

	while ((got = archive_read_next_header(in, &entry)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(entry);
		struct unpack_file *file;
		int error;

		if (archive_entry_filetype(entry) != AE_IFREG || name == NULL)
			continue;
		if (files->nr == FILES_MAX)
			return -EFBIG;
		file = add_file(files, name);
		error = file == NULL ? -ENOMEM : read_entry(in, &file->text, &total);
		if (error != 0)
			return error;
	}
	return got == ARCHIVE_EOF ? 0 : -EINVAL;
}

static void say(struct text_error *err, const char *path, struct archive *in, int error)
{
	const char *why = archive_error_string(in);

	if (error == -EFBIG)
		why = "it is too large for a recorded run";
	else if (error == -ENOMEM)
		why = "memory is out";
	if (error == -EFBIG || error == -ENOMEM)
		text_error_set(err, path, 0, "%s", why);
	else
		text_error_set(err, path, 0, "it is damaged, cut, or no archive (%s)",
			       why != NULL ? why : "nothing in it");
}

/* Opens a file as a tar archive (raw: as one compressed text). => NULL after *err was filled */
static struct archive *open_archive(const char *path, bool raw, struct text_error *err, int *error)
{
	struct archive *in = archive_read_new();

	*error = in == NULL ? -ENOMEM : 0;
	if (in == NULL)
		return NULL;
	archive_read_support_filter_all(in);
	if (raw)
		archive_read_support_format_raw(in);
	else
		archive_read_support_format_tar(in);
	if (archive_read_open_filename(in, path, CHUNK_BYTES) != ARCHIVE_OK) {
		*error = access(path, F_OK) != 0 ? -ENOENT : -EINVAL;
		if (access(path, R_OK) != 0)
			text_error_set(err, path, 0, "%s", strerror(errno));
		else
			say(err, path, in, -EINVAL);
		archive_read_free(in);
		return NULL;
	}
	return in;
}

int unpack_load(const char *path, struct unpack_files *files, struct text_error *err)
{
	struct archive *in;
	int error;

	*files = (struct unpack_files){ 0 };
	in = open_archive(path, false, err, &error);
	if (in == NULL)
		return error;
	error = read_files(in, files);
	if (error != 0)
		say(err, path, in, error);
	archive_read_free(in);
	return error;
}

int unpack_text(const char *path, struct text_buf *out, struct text_error *err)
{
	struct archive_entry *entry;
	uint64_t total = 0;
	int error;
	struct archive *in = open_archive(path, true, err, &error);

	if (in == NULL)
		return error;
	error = archive_read_next_header(in, &entry) == ARCHIVE_OK ? read_entry(in, out, &total)
								   : -EINVAL;
	if (error != 0)
		say(err, path, in, error);
	archive_read_free(in);
	return error;
}
#else
int unpack_load(const char *path, struct unpack_files *files, struct text_error *err)
{
	*files = (struct unpack_files){ 0 };
	text_error_set(err, path, 0, "this neap was built without libarchive");
	return -ENOTSUP;
}

int unpack_text(const char *path, struct text_buf *out, struct text_error *err)
{
	(void)out;
	text_error_set(err, path, 0, "this neap was built without libarchive");
	return -ENOTSUP;
}
#endif
