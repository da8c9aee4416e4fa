/*
 * PTRACE1: four columns, read side by side.
 *
 * A trace file holds a header of 128 bytes and four columns one after the other,
 * usually compressed as a whole:
 *
 *     header | T T T T ... | D D D ... | I I I ... | L L ...
 *              op, NEW       ticks       page id     kind and place of new pages
 *
 * A record takes the next element of T and D and, as T says, of I or L. To read
 * the columns side by side from one compressed stream they are first decoded into
 * an unlinked temporary file (the spool); a cursor is four positions in it, each
 * with a small buffer. So memory does not grow with the number of records: a
 * trace of six million costs its pages (12 bytes each) and 64 KiB.
 *
 * ptrace_open() makes one pass over everything before anybody replays it. It
 * checks what the format promises and fills the page table:
 *   1. column lengths add up to the file, and each column ends with the last record;
 *   2. ids are dense; no reference to an id that is not there yet, or freed;
 *   3. only anonymous pages are freed, only file pages are read by system calls;
 *   4. page count, peak and total time agree with the header.
 * Cursors may therefore trust the spool, apart from failing reads.
 *
 * What must never happen: a read outside a column, a page table that grows beyond
 * what the data pays for (each new page costs at least three bytes of trace), a
 * message without the offset at which the trace is wrong.
 */
#include "job/ptrace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "job/spool.h"

#define HEADER_BYTES 128u
#define COLUMN_BUFFER_BYTES (16 * KIB)
#define PAGES_MAX ((uint64_t)1 << 28)
#define WINDOW_MAX ((uint64_t)1 << 28)
#define RECORDS_MAX ((uint64_t)1 << 40)
#define WHERE_BITS 40u
#define FILES_MAX ((uint64_t)1 << 20)

enum column_name {
	COLUMN_T,
	COLUMN_D,
	COLUMN_I,
	COLUMN_L,
	NR_COLUMNS,
};

struct column {
	int fd;
	uint64_t start; /* offset of its first byte in the stream */
	uint64_t length_bytes;
	uint64_t loaded_bytes; /* how many of them have been put into the buffer so far */
	uint32_t have, at;     /* bytes in the buffer, and the next one */
	int error;	       /* of the spool file; sticky */
	uint8_t buffer[COLUMN_BUFFER_BYTES];
};

/* Packed, because there is one for each page of the trace. */
struct packed_page {
	uint64_t where : WHERE_BITS;
	uint64_t file : 20;
	uint64_t kind : 2;
	uint64_t written_first : 1;
	uint64_t spare : 1;
};
_Static_assert(sizeof(struct packed_page) == 8, "one word a page");

struct ptrace {
	struct ptrace_info info;
	int spool;
	uint64_t column_bytes[NR_COLUMNS];
	struct packed_page *pages; /* by id */
	uint32_t *freed_when;	   /* by id */
	uint64_t pages_room;
};

struct ptrace_cursor {
	const struct ptrace *trace;
	struct column column[NR_COLUMNS];
	uint64_t records_left;
	uint32_t fresh; /* next unused id */
	int64_t previous_id;
};

/* ---- columns ---- */

static uint64_t column_offset(const struct column *column)
{
	return column->start + column->loaded_bytes - column->have + column->at;
}

static bool column_at_end(const struct column *column)
{
	return column->at == column->have && column->loaded_bytes == column->length_bytes;
}

static void column_refill(struct column *column)
{
	uint64_t left = column->length_bytes - column->loaded_bytes;
	size_t wanted = (size_t)min_u64(left, COLUMN_BUFFER_BYTES);
	off_t offset = (off_t)(column->start + column->loaded_bytes);
	ssize_t got;

	column->have = 0;
	column->at = 0;
	if (wanted == 0 || column->error != 0)
		return;
	do {
		got = pread(column->fd, column->buffer, wanted, offset);
	} while (got < 0 && errno == EINTR);
	if (got <= 0) {
		column->error = got < 0 ? -errno : -EIO;
		return;
	}
	column->have = (uint32_t)got;
	column->loaded_bytes += (uint64_t)got;
}

/* => false at the end of the column, or when the spool cannot be read */
static inline bool column_byte(struct column *column, uint8_t *byte)
{
	if (unlikely(column->at == column->have)) {
		column_refill(column);
		if (column->have == 0)
			return false;
	}
	*byte = column->buffer[column->at++];
	return true;
}

/* => false at the end of the column, or when the number has more than 64 bits */
static bool column_varint(struct column *column, uint64_t *value)
{
	uint64_t result = 0;
	uint8_t byte = 0;

	for (uint32_t shift = 0; shift < 64; shift += 7) {
		if (!column_byte(column, &byte))
			return false;
		if (shift == 63 && byte > 1)
			return false;
		result |= (uint64_t)(byte & 127) << shift;
		if (byte < 128) {
			*value = result;
			return true;
		}
	}
	return false;
}

static bool column_zigzag(struct column *column, int64_t *value)
{
	uint64_t raw = 0;

	if (!column_varint(column, &raw))
		return false;
	*value = (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
	return true;
}

/* ---- cursors ---- */

struct ptrace_cursor *ptrace_cursor_new(const struct ptrace *trace)
{
	struct ptrace_cursor *cursor = malloc(sizeof(*cursor));
	uint64_t start = HEADER_BYTES;

	if (cursor == NULL)
		return NULL;
	cursor->trace = trace;
	cursor->records_left = trace->info.records;
	cursor->fresh = 0;
	cursor->previous_id = 0;
	for (uint32_t i = 0; i < NR_COLUMNS; i++) {
		struct column *column = &cursor->column[i];

		column->fd = trace->spool;
		column->start = start;
		column->length_bytes = trace->column_bytes[i];
		column->loaded_bytes = 0;
		column->have = 0;
		column->at = 0;
		column->error = 0;
		start += trace->column_bytes[i];
	}
	return cursor;
}

void ptrace_cursor_free(struct ptrace_cursor *cursor)
{
	free(cursor);
}

/* Decodes T, D and I of the next record. => NULL, or what is wrong; *at: the guilty column */
static const char *decode_record(struct ptrace_cursor *cursor, struct ptrace_record *record,
				 enum column_name *at)
{
	uint8_t tag = 0;
	int64_t delta = 0;
	uint64_t count = 1;

	*at = COLUMN_T;
	if (!column_byte(&cursor->column[COLUMN_T], &tag))
		return "the column of operations ends early";
	if ((tag & 7) >= NR_PTRACE_OPS || (tag & 0xf0) != 0)
		return "no such operation";
	record->op = (enum ptrace_op)(tag & 7);
	record->fresh = (tag & 8) != 0;
	*at = COLUMN_D;
	if (!column_varint(&cursor->column[COLUMN_D], &record->ticks))
		return "the column of times ends early or holds a number that is too long";
	*at = COLUMN_I;
	if (record->fresh) {
		cursor->previous_id = cursor->fresh++;
	} else {
		if (!column_zigzag(&cursor->column[COLUMN_I], &delta))
			return "the column of pages ends early or holds a number that is too long";
		if (delta > INT32_MAX || delta < -(int64_t)INT32_MAX)
			return "a page number is out of range";
		cursor->previous_id += delta;
		if (record->op == PTRACE_FREE && !column_varint(&cursor->column[COLUMN_I], &count))
			return "the column of pages ends early or holds a number that is too long";
	}
	if (cursor->previous_id < 0 || cursor->previous_id >= cursor->fresh)
		return "a page is referenced that is not there yet";
	if (count == 0 || count > (uint64_t)(cursor->fresh - cursor->previous_id))
		return "a run of freed pages reaches beyond the pages there are";
	record->id = (uint32_t)cursor->previous_id;
	record->count = (uint32_t)count;
	return NULL;
}

static int cursor_error(const struct ptrace_cursor *cursor)
{
	for (uint32_t i = 0; i < NR_COLUMNS; i++)
		if (cursor->column[i].error != 0)
			return cursor->column[i].error;
	return 0;
}

int ptrace_next(struct ptrace_cursor *cursor, struct ptrace_record *record)
{
	enum column_name at;

	if (cursor->records_left == 0)
		return 0;
	if (decode_record(cursor, record, &at) != NULL) {
		int error = cursor_error(cursor);

		return error != 0 ? error : -EIO;
	}
	cursor->records_left--;
	return 1;
}

/* ---- the first pass ---- */

/* State of the check that the page table does not hold. */
struct check {
	struct ptrace *trace;
	struct ptrace_cursor *cursor;
	uint64_t *file_at; /* by file number: page offset of its last new page */
	uint64_t files_room;
	uint64_t vpn;
	uint64_t live, peak;
	enum column_name at; /* where the current complaint is */
	const char *wrong;
};

static bool grow(void **array, uint64_t *room, uint64_t wanted, size_t element_bytes)
{
	uint64_t bigger_room = max_u64(2 * *room, max_u64(wanted, 256));
	void *bigger = realloc(*array, (size_t)bigger_room * element_bytes);

	if (bigger == NULL)
		return false;
	memset((char *)bigger + *room * element_bytes, 0, (bigger_room - *room) * element_bytes);
	*array = bigger;
	*room = bigger_room;
	return true;
}

static bool grow_pages(struct ptrace *trace, uint64_t wanted)
{
	uint64_t room = trace->pages_room;
	void *pages = trace->pages;
	void *freed = trace->freed_when;
	bool fine = wanted <= room || grow(&pages, &room, wanted, sizeof(*trace->pages));

	trace->pages = pages;
	room = trace->pages_room;
	fine = fine && (wanted <= room || grow(&freed, &room, wanted, sizeof(*trace->freed_when)));
	trace->freed_when = freed;
	if (fine)
		trace->pages_room = room;
	return fine;
}

/* Adds a signed step to a place. => false if it leaves 0 .. 2^40-1 */
static bool step(uint64_t *place, int64_t delta)
{
	uint64_t moved = *place + (uint64_t)delta;

	*place = moved;
	return moved < ((uint64_t)1 << WHERE_BITS);
}

/* Reads a new page's entry of column L into *page. => 0, -EINVAL with check->wrong, -ENOMEM */
static int decode_place(struct check *check, struct packed_page *page)
{
	struct column *places = &check->cursor->column[COLUMN_L];
	uint8_t kind = 0;
	uint64_t file = 0;
	int64_t delta = 0;
	uint64_t *place = &check->vpn;

	check->at = COLUMN_L;
	check->wrong = "the column of places ends early or holds a number that is too long";
	if (!column_byte(places, &kind))
		return -EINVAL;
	if (kind >= NR_PTRACE_KINDS) {
		check->wrong = "no such kind of page";
		return -EINVAL;
	}
	if (kind != PTRACE_ANON) {
		if (!column_varint(places, &file))
			return -EINVAL;
		if (file >= FILES_MAX) {
			check->wrong = "a file number is out of range";
			return -EINVAL;
		}
		if (file >= check->files_room) {
			void *array = check->file_at;

			if (!grow(&array, &check->files_room, file + 1, sizeof(uint64_t)))
				return -ENOMEM;
			check->file_at = array;
		}
		place = &check->file_at[file];
	}
	if (!column_zigzag(places, &delta))
		return -EINVAL;
	if (!step(place, delta)) {
		check->wrong = "the place of a page is out of range";
		return -EINVAL;
	}
	page->kind = (uint64_t)kind & 3;
	page->file = file & 0xfffff;
	page->where = *place & (((uint64_t)1 << WHERE_BITS) - 1);
	check->wrong = NULL;
	return 0;
}

static int check_new_page(struct check *check, const struct ptrace_record *record)
{
	struct ptrace *trace = check->trace;
	struct packed_page page = { 0 };
	int error;

	check->at = COLUMN_T;
	if (record->op == PTRACE_FREE) {
		check->wrong = "a page is freed by its first reference";
		return -EINVAL;
	}
	if (record->id >= trace->info.pages) {
		check->wrong = "there are more pages than the header says";
		return -EINVAL;
	}
	error = decode_place(check, &page);
	if (error != 0)
		return error;
	page.written_first = record->op == PTRACE_PW;
	if (!grow_pages(trace, (uint64_t)record->id + 1))
		return -ENOMEM;
	trace->pages[record->id] = page;
	trace->freed_when[record->id] = UINT32_MAX;
	trace->info.kind_pages[page.kind]++;
	if (page.kind != PTRACE_ANON)
		trace->info.nr_files = max_u32(trace->info.nr_files, (uint32_t)page.file + 1);
	check->live++;
	check->peak = max_u64(check->peak, check->live);
	return 0;
}

static int check_free(struct check *check, const struct ptrace_record *record)
{
	struct ptrace *trace = check->trace;

	check->at = COLUMN_I;
	for (uint32_t id = record->id; id < record->id + record->count; id++) {
		if (trace->pages[id].kind != PTRACE_ANON)
			check->wrong = "a page of a file is freed";
		else if (trace->freed_when[id] != UINT32_MAX)
			check->wrong = "a page is freed twice";
		if (check->wrong != NULL)
			return -EINVAL;
		trace->freed_when[id] = check->cursor->fresh;
	}
	check->live -= record->count;
	return 0;
}

static int check_record(struct check *check, const struct ptrace_record *record)
{
	struct ptrace *trace = check->trace;
	int error = 0;

	if (record->fresh)
		error = check_new_page(check, record);
	if (error != 0)
		return error;
	if (record->op == PTRACE_FREE)
		return check_free(check, record);
	check->at = COLUMN_I;
	if (trace->freed_when[record->id] != UINT32_MAX)
		check->wrong = "a page is used after it was freed";
	else if ((record->op == PTRACE_PR || record->op == PTRACE_PW) &&
		 trace->pages[record->id].kind == PTRACE_ANON)
		check->wrong = "a system call reads or writes an anonymous page as a file";
	return check->wrong != NULL ? -EINVAL : 0;
}

/* What must agree with the header once all records are read. */
static int check_totals(struct check *check)
{
	const struct ptrace_info *info = &check->trace->info;

	for (uint32_t i = 0; i < NR_COLUMNS; i++) {
		check->at = (enum column_name)i;
		if (!column_at_end(&check->cursor->column[i])) {
			check->wrong = "a column goes on after the last record";
			return -EINVAL;
		}
	}
	if (check->cursor->fresh != info->pages)
		check->wrong = "there are fewer pages than the header says";
	else if (check->peak != info->peak_pages)
		check->wrong = "the peak of live pages is not what the header says";
	else if (info->ticks > info->instructions / 256)
		check->wrong = "the times add up to more than the header's instructions";
	return check->wrong != NULL ? -EINVAL : 0;
}

static int check_all_records(struct check *check)
{
	struct ptrace_info *info = &check->trace->info;
	struct ptrace_record record;
	int error = 0;

	for (uint64_t i = 0; i < info->records && error == 0; i++) {
		check->wrong = decode_record(check->cursor, &record, &check->at);
		if (check->wrong != NULL)
			return -EINVAL;
		if (info->ticks + record.ticks < info->ticks) {
			check->wrong = "the times add up to more than 64 bits";
			return -EINVAL;
		}
		info->ticks += record.ticks;
		info->op_records[record.op]++;
		error = check_record(check, &record);
	}
	return error != 0 ? error : check_totals(check);
}

static int check_trace(struct ptrace *trace, const char *path, char *message)
{
	struct check check = { .trace = trace, .cursor = ptrace_cursor_new(trace) };
	int error = -ENOMEM;

	if (check.cursor != NULL)
		error = check_all_records(&check);
	if (error == -EINVAL && cursor_error(check.cursor) != 0) {
		error = cursor_error(check.cursor);
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: the temporary copy cannot be read: %s",
			 path, strerror(-error));
	} else if (error == -EINVAL) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: offset %" PRIu64 ": %s", path,
			 column_offset(&check.cursor->column[check.at]), check.wrong);
	} else if (error != 0) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: %s", path, strerror(-error));
	}
	ptrace_cursor_free(check.cursor);
	free(check.file_at);
	return error;
}

/* ---- the header ---- */

static uint64_t header_number(const uint8_t *header, uint32_t which)
{
	uint64_t value = 0;

	for (uint32_t i = 8; i > 0; i--)
		value = value << 8 | header[8 + 8 * which + i - 1];
	return value;
}

static const char *decode_header(struct ptrace *trace, const uint8_t *header, uint64_t bytes)
{
	struct ptrace_info *info = &trace->info;
	uint64_t total = HEADER_BYTES;

	if (bytes < HEADER_BYTES)
		return "the file ends inside the header";
	if (memcmp(header, "PTRACE1\n", 8) != 0)
		return "this is no PTRACE1 trace";
	info->records = header_number(header, 0);
	info->pages = header_number(header, 1);
	info->instructions = header_number(header, 2);
	info->window_pages = header_number(header, 3);
	info->peak_pages = header_number(header, 8);
	if (info->records == 0 || info->records > RECORDS_MAX)
		return "the header's number of records is out of range";
	if (info->pages == 0 || info->pages > info->records || info->pages > PAGES_MAX)
		return "the header's number of pages is out of range";
	if (info->window_pages > WINDOW_MAX || info->peak_pages > info->pages)
		return "the header's window or peak is out of range";
	for (uint32_t i = 0; i < NR_COLUMNS; i++) {
		trace->column_bytes[i] = header_number(header, 4 + i);
		if (trace->column_bytes[i] > RECORDS_MAX * 16)
			return "the header's length of a column is out of range";
		total += trace->column_bytes[i];
	}
	if (trace->column_bytes[COLUMN_T] != info->records)
		return "the column of operations has not one byte a record";
	if (total > bytes)
		return "the file is shorter than its header says";
	if (total < bytes)
		return "the file is longer than its header says";
	for (uint32_t i = 0; i + 1 < PTRACE_NAME_BYTES && header[80 + i] != 0; i++)
		info->name[i] =
			header[80 + i] > ' ' && header[80 + i] < 127 ? (char)header[80 + i] : '?';
	return NULL;
}

int ptrace_open(const char *path, const char *tmp_dir, struct ptrace **out, char *message)
{
	struct ptrace *trace = calloc(1, sizeof(*trace));
	uint8_t header[HEADER_BYTES] = { 0 };
	uint64_t bytes = 0;
	const char *wrong;
	ssize_t got;
	int error;

	if (trace == NULL) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	trace->spool = -1;
	error = spool_decode(path, tmp_dir, &trace->spool, &bytes, message);
	if (error != 0)
		goto fail;
	got = pread(trace->spool, header, sizeof(header), 0);
	wrong = got < 0 ? strerror(errno) : decode_header(trace, header, bytes);
	if (wrong != NULL) {
		snprintf(message, PTRACE_MESSAGE_BYTES, "%s: offset %" PRIu64 ": %s", path,
			 min_u64(bytes, HEADER_BYTES), wrong);
		error = got < 0 ? -EIO : -EINVAL;
		goto fail;
	}
	error = check_trace(trace, path, message);
	if (error != 0)
		goto fail;
	*out = trace;
	return 0;
fail:
	ptrace_close(trace);
	return error;
}

void ptrace_close(struct ptrace *trace)
{
	if (trace == NULL)
		return;
	if (trace->spool >= 0)
		close(trace->spool);
	free(trace->pages);
	free(trace->freed_when);
	free(trace);
}

const struct ptrace_info *ptrace_info(const struct ptrace *trace)
{
	return &trace->info;
}

struct ptrace_page ptrace_page(const struct ptrace *trace, uint32_t id)
{
	struct packed_page page = trace->pages[id];

	return (struct ptrace_page){
		.kind = (enum ptrace_kind)page.kind,
		.written_first = page.written_first,
		.file = (uint32_t)page.file,
		.where = page.where,
		.freed_when = trace->freed_when[id],
	};
}
