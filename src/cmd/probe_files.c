/*
 * The files of a recorded sequence.
 *
 *     DIR/probe.out, or DIR/probe.out.xz      the recording          must be there
 *     DIR/NAME.probe                          the recorder's script  what the recording leaves out
 *     DIR/machine.json                        the machine            which CPU is on which node
 *
 * A sequence without script or machine.json can be played; what is missing is then taken from the
 * recording's comments, or chosen. Two scripts in a directory are an error: nobody could say which
 * one was run.
 *
 * Everything is read into memory at once: recordings are a few megabytes.
 *
 * What must never happen: a compressed file that unpacks without end.
 */
#include "cmd/probe_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEAP_HAVE_LZMA
#include <lzma.h>
#endif

#define RECORDING_BYTES_MAX ((size_t)512 << 20)
#define SMALL_BYTES_MAX ((size_t)16 << 20)
#define DECODER_BYTES_MAX (UINT64_C(512) << 20)
#define CHUNK_BYTES 65536u

#ifdef NEAP_HAVE_LZMA
static int unpack_stream(lzma_stream *stream, size_t bytes_max, struct text_buf *out)
{
	uint8_t chunk[CHUNK_BYTES];
	lzma_ret ret = LZMA_OK;

	while (ret == LZMA_OK) {
		stream->next_out = chunk;
		stream->avail_out = sizeof(chunk);
		ret = lzma_code(stream, LZMA_FINISH);
		size_t made = sizeof(chunk) - stream->avail_out;

		if (made > bytes_max - out->bytes)
			return -EFBIG;
		if (text_buf_add(out, (const char *)chunk, made) != 0)
			return -ENOMEM;
	}
	if (ret == LZMA_MEM_ERROR)
		return -ENOMEM;
	return ret == LZMA_STREAM_END ? 0 : -EINVAL;
}

int probe_files_unpack(const char *packed, size_t bytes, size_t bytes_max, struct text_buf *out)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	int error = -ENOMEM;

	if (lzma_stream_decoder(&stream, DECODER_BYTES_MAX, LZMA_CONCATENATED) == LZMA_OK) {
		stream.next_in = (const uint8_t *)packed;
		stream.avail_in = bytes;
		error = unpack_stream(&stream, bytes_max, out);
	}
	lzma_end(&stream);
	return error;
}
#else
int probe_files_unpack(const char *packed, size_t bytes, size_t bytes_max, struct text_buf *out)
{
	(void)packed;
	(void)bytes;
	(void)bytes_max;
	(void)out;
	return -ENOTSUP;
}
#endif

/* => error, with a sentence about it */
static int say(struct text_error *err, const char *path, int error)
{
	switch (error) {
	case 0:
		break;
	case -ENOMEM:
		return text_error_no_memory(err, path);
	case -ENOTSUP:
		text_error_set(err, path, 0,
			       "compressed, and this neap was built without liblzma; xz -d"
			       " unpacks it");
		break;
	case -EINVAL:
		text_error_set(err, path, 0, "the compressed data is damaged or cut off");
		break;
	case -EFBIG:
		text_error_set(err, path, 0, "larger than any recording");
		break;
	default:
		text_error_set(err, path, 0, "cannot be read: %s", strerror(-error));
	}
	return error;
}

/* The recording's text, unpacked. files->path says which file it is from. */
static int read_recording(struct probe_files *files, const char *dir, struct text_buf *out,
			  struct text_error *err)
{
	struct text_buf packed;
	int error;

	snprintf(files->path, sizeof(files->path), "%s/probe.out", dir);
	error = text_buf_read_file(out, files->path, RECORDING_BYTES_MAX);
	if (error != -ENOENT)
		return say(err, files->path, error);
	snprintf(files->path, sizeof(files->path), "%s/probe.out.xz", dir);
	text_buf_init(&packed);
	error = text_buf_read_file(&packed, files->path, RECORDING_BYTES_MAX);
	if (error == 0)
		error = probe_files_unpack(text_buf_text(&packed), packed.bytes,
					   RECORDING_BYTES_MAX, out);
	text_buf_free(&packed);
	if (error == -ENOENT) {
		text_error_set(err, dir, 0,
			       "has neither probe.out nor probe.out.xz; name the"
			       " directory of one recorded sequence");
		return error;
	}
	return say(err, files->path, error);
}

static int open_recording(struct probe_files *files, const char *dir, struct text_error *err)
{
	struct text_buf text;
	int error;

	text_buf_init(&text);
	error = read_recording(files, dir, &text, err);
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, files->path };

		error = probe_parse(&in, &files->probe, err);
	}
	text_buf_free(&text);
	return error;
}

/* => 0 and the path of the only *.probe, "" if there is none; an error with a sentence */
static int find_script(const char *dir, char *path, size_t room, struct text_error *err)
{
	DIR *listing = opendir(dir);
	const struct dirent *entry;
	int error = 0;

	path[0] = '\0';
	if (listing == NULL)
		return say(err, dir, -errno);
	while (error == 0 && (entry = readdir(listing)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length <= 6 || strcmp(entry->d_name + length - 6, ".probe") != 0)
			continue;
		if (path[0] != '\0') {
			text_error_set(err, dir, 0,
				       "has two scripts (*.probe); which one was run?");
			error = -EINVAL;
		}
		snprintf(path, room, "%s/%s", dir, entry->d_name);
	}
	closedir(listing);
	return error;
}

static int open_script(struct probe_files *files, const char *dir, struct text_error *err)
{
	struct text_buf text;
	char path[512];
	int error = find_script(dir, path, sizeof(path), err);

	if (error != 0 || path[0] == '\0')
		return error;
	text_buf_init(&text);
	error = say(err, path, text_buf_read_file(&text, path, SMALL_BYTES_MAX));
	if (error == 0) {
		struct text_input in = { text_buf_text(&text), text.bytes, path };

		error = probe_script_parse(&in, &files->script, err);
		files->has_script = error == 0;
	}
	text_buf_free(&text);
	return error;
}

static int open_json(struct probe_files *files, const char *dir, struct text_error *err)
{
	struct text_buf text;
	char path[512];
	int error;

	snprintf(path, sizeof(path), "%s/machine.json", dir);
	text_buf_init(&text);
	error = text_buf_read_file(&text, path, SMALL_BYTES_MAX);
	if (error == 0)
		files->has_json = machine_json_scan(text_buf_text(&text), &files->json);
	text_buf_free(&text);
	return error == -ENOENT ? 0 : say(err, path, error);
}

int probe_files_open(struct probe_files *files, const char *dir, struct text_error *err)
{
	int error;

	memset(files, 0, sizeof(*files));
	text_error_clear(err);
	error = open_recording(files, dir, err);
	if (error == 0)
		error = open_script(files, dir, err);
	if (error == 0)
		error = open_json(files, dir, err);
	if (error != 0)
		probe_files_close(files);
	return error;
}

void probe_files_close(struct probe_files *files)
{
	probe_free(&files->probe);
	probe_script_free(&files->script);
}
