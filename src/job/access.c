/*
 * An access and its errors.
 *
 *     begin --0--> verifier looks, stamps --> end --> right? done
 *       |                                      \---> wrong: has the file reported
 *       |                                            a failed write-back? a loss, else
 *       +-- -EIO ----> counted and listed            a mismatch
 *       +-- -ENOMEM -> the command fails
 *
 * A page of anonymous memory that cannot be read back (-EIO) may come on the next
 * try, as under Linux, where one access gets SIGBUS and the slot is kept. The job
 * does not count on it: the page is given back, so that it starts anew as zero, and
 * a write is tried once more. A page of a file is tried again; it keeps its stamp.
 *
 * A page of a file that holds an older version is either our bug or a failed
 * write-back, which the machine reports like Linux: at the next sync. So the sync is
 * asked before the page is called wrong.
 *
 * A *user's* file gets defined bytes instead of stamps, so that a plain program can
 * leave the same file: for the i-th access of a command (i from 0),
 *     touch  word 0 of the page = i * 0x9E3779B97F4A7C15 + 1, word 256 = ~i
 *     write  word 0 of the page = i + 1, the rest zero
 * words being 64-bit and little-endian. Bytes beyond the end of the file are not
 * written: a job never changes a file's length.
 *
 * What must never happen: a call into the machine between begin and end.
 */
#include "job/access.h"

#include <errno.h>
#include <string.h>

static uint32_t begin_flags(enum access_kind kind)
{
	switch (kind) {
	case ACCESS_READ:
		return NEAP_PAGE_READ;
	case ACCESS_WRITE:
		return NEAP_PAGE_WRITE;
	case ACCESS_EXEC:
		return NEAP_PAGE_EXEC;
	case ACCESS_OVERWRITE:
		return NEAP_PAGE_OVERWRITE;
	}
	return NEAP_PAGE_READ;
}

/* An OVERWRITE of memory is an ordinary write to the machine; files can skip the reading. */
static int begin(const struct access_target *target, uint64_t page_index, enum access_kind kind,
		 struct neap_page *page)
{
	if (target->region == NULL)
		return neap_file_page_begin(target->file, page_index, begin_flags(kind), page);
	if (kind == ACCESS_OVERWRITE)
		kind = ACCESS_WRITE;
	return neap_page_begin(target->region, page_index, begin_flags(kind), page);
}

static void end(const struct access_target *target, struct neap_page *page)
{
	if (target->region == NULL)
		neap_file_page_end(target->file, page);
	else
		neap_page_end(target->region, page);
}

/* Has the machine reported a failed write-back of this file? Asking takes it, so it is kept. */
static bool loss_was_reported(const struct access_target *target)
{
	if (target->file != NULL && neap_file_sync(target->file) != 0)
		verify_set_reported(target->object);
	return verify_was_reported(target->object);
}

/*
 * Lets a page of memory that could not be read start anew. Only this access has failed: the slot is
 * kept, and until it is given back another thread may read it again, with success, or write to it.
 * So nothing is certain about the page in between.
 * => 0, or the error of the access if the page cannot be given back
 */
static int give_back(const struct access_target *target, const struct access *access, int error)
{
	int64_t released;

	verify_release_begin(target->object, access->index, 1);
	released = neap_release(target->region, access->page, 1);
	verify_release_end(target->object, access->index, 1, released >= 0);
	return released < 0 ? error : 0;
}

/* => 0 when the access may be given up, negative errno when the command must end */
static int handle_error(struct verify_task *t, const struct access_target *target,
			const struct access *access, int error)
{
	bool lost = target->file == NULL && error == -EIO;

	if (error != -EIO && error != -ENOSPC)
		return error;
	verify_failed(t, target->object, access->index, error, lost);
	return lost ? give_back(target, access, error) : 0;
}

static void put_word(uint8_t *data, size_t offset, uint64_t word, size_t bytes)
{
	if (offset < bytes)
		memcpy(data + offset, &word, bytes - offset < 8 ? bytes - offset : 8);
}

static bool access_user(struct verify_task *t, const struct access_target *target,
			const struct access *access, const struct neap_page *page)
{
	uint64_t left = target->user_bytes - access->page * NEAP_PAGE_SIZE;
	size_t bytes = (size_t)min_u64(left, NEAP_PAGE_SIZE);
	bool changed = access->kind == ACCESS_WRITE || access->kind == ACCESS_OVERWRITE;
	bool right = verify_user_begin(t, target->object, access->index, page, bytes);

	if (access->kind == ACCESS_WRITE) {
		put_word(page->data, 0, access->nth * 0x9E3779B97F4A7C15u + 1, bytes);
		put_word(page->data, NEAP_PAGE_SIZE / 2, ~access->nth, bytes);
	} else if (access->kind == ACCESS_OVERWRITE) {
		memset(page->data, 0, bytes);
		put_word(page->data, 0, access->nth + 1, bytes);
	}
	verify_user_end(target->object, access->index, page, bytes, changed);
	return right;
}

static bool access_ours(struct verify_task *t, const struct access_target *target,
			const struct access *access, const struct neap_page *page)
{
	struct verify_write how = { .whole = access->kind == ACCESS_OVERWRITE,
				    .fill = access->fill };

	if (access->kind == ACCESS_READ || access->kind == ACCESS_EXEC)
		return verify_read(t, target->object, access->index, page);
	return verify_write(t, target->object, access->index, page, how);
}

/*
 * A user's page that is written as a whole must be read first when it is the last one and shorter
 * than a page: what lies behind the end belongs to nobody, but must not be garbage.
 */
static enum access_kind kind_of_begin(const struct access_target *target,
				      const struct access *access)
{
	if (access->kind == ACCESS_OVERWRITE && target->user_bytes != 0)
		return ACCESS_WRITE;
	return access->kind;
}

int access_perform(struct verify_task *t, const struct access_target *target,
		   const struct access *access)
{
	bool writes = access->kind == ACCESS_WRITE || access->kind == ACCESS_OVERWRITE;
	enum access_kind kind = kind_of_begin(target, access);
	struct neap_page page;
	int error = begin(target, access->page, kind, &page);
	bool right;

	if (error == -EIO && writes && target->file == NULL) {
		error = handle_error(t, target, access, error);
		if (error == 0)
			error = begin(target, access->page, kind, &page);
	}
	if (error != 0)
		return handle_error(t, target, access, error);
	right = target->user_bytes != 0 ? access_user(t, target, access, &page)
					: access_ours(t, target, access, &page);
	end(target, &page);
	if (!right)
		verify_settle(t, loss_was_reported(target));
	return 0;
}

int access_sweep(struct verify_task *t, const struct access_target *target,
		 const struct access *access)
{
	struct neap_page page;
	int error = begin(target, access->page, ACCESS_READ, &page);
	bool right;

	if (error != 0)
		return handle_error(t, target, access, error);
	if (target->user_bytes != 0) {
		page.faulted = true;
		right = access_user(t, target, access, &page);
	} else {
		right = verify_sweep(t, target->object, access->index, &page);
	}
	end(target, &page);
	if (!right)
		verify_settle(t, loss_was_reported(target));
	return 0;
}
