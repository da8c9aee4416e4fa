/*
 * How the file behind a store comes to be: made, found, checked, locked.
 *
 *     path   exists   swap           plain
 *     NULL   -        temporary      temporary
 *     new    no       made, header   made
 *     new    yes      checked        refused
 *     old    yes      checked        opened
 *     old    no       refused        refused
 *
 * A temporary file has no name from the start (O_TMPFILE), or loses it before the
 * first byte is written where the file system cannot do that. So nothing is left
 * behind, whatever ends the process. Files made here are readable by their owner
 * only, because they hold somebody's memory; they are sparse, but for swap files with
 * a name.
 *
 * "Checked" means: overwriting must not destroy what is not ours. A regular file
 * is a swap area only if its page 0 holds a swap header labelled "neap". A block
 * device has been handed over by whoever ran mkswap on it, so any valid header
 * will do, and O_EXCL keeps it from being used while the system has it mounted or
 * swaps on it. A swap area is locked for as long as it is open, so that two
 * machines never share one.
 *
 * Opening is with O_NONBLOCK until the kind of file is known: a pipe would wait
 * for its other end.
 *
 * What must never happen: a file with a stranger's data opened for swapping; a
 * half-made file left under a name.
 */
#include "store/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define SWAP_PAGES_MAX ((uint64_t)UINT32_MAX + 1)
#define FILE_PAGES_MAX ((uint64_t)INT64_MAX >> NEAP_PAGE_SHIFT)

struct opening {
	const struct store_file_spec *spec;
	const char *name; /* for messages */
	struct file_opened *out;
	char *err;
	size_t err_bytes;
};

static int PRINTF_LIKE(3, 4) refuse(struct opening *o, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (o->err_bytes > 0)
		(void)vsnprintf(o->err, o->err_bytes, format, args);
	va_end(args);
	return code;
}

/* ---- making files ---- */

static int temporary_named(struct opening *o, const char *dir)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/neap-XXXXXX", dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return refuse(o, -ENAMETOOLONG, "the directory name %.60s... is too long", dir);
	int fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return refuse(o, -errno, "cannot make a temporary file in %s: %s", dir,
			      strerror(errno));
	if (unlink(path) != 0) {
		int code = -errno;

		close(fd);
		return refuse(o, code, "cannot remove the name of temporary file %s: %s", path,
			      strerror(-code));
	}
	o->out->fd = fd;
	return 0;
}

static int make_temporary(struct opening *o)
{
	const char *dir = o->spec->dir != NULL ? o->spec->dir : "/tmp";
	int fd = -1;

	errno = EOPNOTSUPP;
	if (!o->spec->no_tmpfile)
		fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd >= 0) {
		o->out->fd = fd;
		return 0;
	}
	/* A kernel or file system without O_TMPFILE answers in one of these ways. */
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT)
		return temporary_named(o, dir);
	return refuse(o, -errno, "cannot make a temporary file in %s: %s", dir, strerror(errno));
}

/* => -EEXIST without a message */
static int make_named(struct opening *o)
{
	int fd = open(o->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);

	if (fd < 0 && errno == EEXIST)
		return -EEXIST;
	if (fd < 0)
		return refuse(o, -errno, "cannot make %s: %s", o->name, strerror(errno));
	o->out->fd = fd;
	return 0;
}

static int write_header(struct opening *o)
{
	char page[NEAP_PAGE_BYTES];
	uint8_t uuid[16];

	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
		memset(uuid, 0,
		       sizeof(uuid)); /* the uuid serves blkid only; nothing depends on it */
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	swap_header_write(page, o->spec->pages, uuid);
	ssize_t n = pwrite(o->out->fd, page, sizeof(page), 0);
	if (n == (ssize_t)sizeof(page))
		return 0;
	int code = n < 0 ? -errno : -ENOSPC;
	return refuse(o, code, "cannot write the swap header of %s: %s", o->name, strerror(-code));
}

/*
 * A swap file with a name gets all its blocks now, as swapon(8) demands of one: a disk that is too
 * small is known before the run, not from writes that fail in the middle of it.
 */
static int fill_swap(struct opening *o)
{
	const uint64_t bytes = o->out->size_bytes;
	struct statvfs fs;

	if (o->spec->path == NULL)
		return 0;
	/* Asked first: some file systems fill their disk before they say that it is too small. */
	bool known = fstatvfs(o->out->fd, &fs) == 0 && fs.f_blocks != 0;
	uint64_t room = known ? (uint64_t)fs.f_bavail * fs.f_frsize : bytes;
	int code = 0;

	if (room < bytes)
		code = ENOSPC;
	else if (fallocate(o->out->fd, 0, 0, (off_t)bytes) != 0)
		code = errno;
	/* Not every file system can allocate; then it is as sparse as a temporary one. */
	if (code != ENOSPC && code != EDQUOT)
		return 0;
	if (code == EDQUOT)
		return refuse(
			o, -code,
			"%s: %llu MiB are more than your quota allows: ask for less, or name a"
			" file on another disk",
			o->name, (unsigned long long)(bytes >> 20));
	return refuse(o, -code,
		      "%s: %llu MiB do not fit onto its disk, which has %llu: ask for less, or name"
		      " a file on another disk",
		      o->name, (unsigned long long)(bytes >> 20), (unsigned long long)(room >> 20));
}

/* Gives a file just made its size, mode and header. */
static int furnish(struct opening *o)
{
	struct stat st;
	int fd = o->out->fd;
	int ret;

	if (fstat(fd, &st) != 0)
		return refuse(o, -errno, "cannot examine %s: %s", o->name, strerror(errno));
	o->out->dev = st.st_dev;
	o->out->ino = st.st_ino;
	if (fchmod(fd, S_IRUSR | S_IWUSR) != 0)
		return refuse(o, -errno, "cannot set the mode of %s: %s", o->name, strerror(errno));
	o->out->size_bytes = o->spec->pages << NEAP_PAGE_SHIFT;
	if (ftruncate(fd, (off_t)o->out->size_bytes) != 0)
		return refuse(o, -errno, "cannot give %s a size of %llu pages: %s", o->name,
			      (unsigned long long)o->spec->pages, strerror(errno));
	if (!o->spec->swap)
		return 0;
	ret = fill_swap(o);
	if (ret != 0)
		return ret;
	o->out->swap.last_page = o->spec->pages - 1;
	memcpy(o->out->swap.label, SWAP_HEADER_LABEL, sizeof(SWAP_HEADER_LABEL));
	return write_header(o);
}

/* ---- existing files ---- */

/* Disks say themselves whether seeking costs; for a partition its whole disk does. */
static bool disk_rotational(dev_t dev)
{
	static const char *const places[] = { "queue", "../queue" };
	char path[96];
	char answer = '0';

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s/rotational", major(dev),
			       minor(dev), places[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, &answer, 1) != 1)
			answer = '0';
		close(fd);
		break;
	}
	return answer == '1';
}

/* Finds out what was opened, and how large it is. */
static int examine(struct opening *o)
{
	struct file_opened *out = o->out;
	struct stat st;
	uint64_t bytes = 0;

	if (fstat(out->fd, &st) != 0)
		return refuse(o, -errno, "cannot examine %s: %s", o->name, strerror(errno));
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->block = S_ISBLK(st.st_mode);
	if (!out->block && !S_ISREG(st.st_mode))
		return refuse(o, -EINVAL,
			      "%s is neither a regular file nor a block device: name another",
			      o->name);
	out->size_bytes = (uint64_t)st.st_size;
	if (!out->block)
		return 0;
	if (ioctl(out->fd, BLKGETSIZE64, &bytes) != 0)
		return refuse(o, -errno, "cannot read the size of %s: %s", o->name,
			      strerror(errno));
	out->size_bytes = bytes;
	out->rotational = disk_rotational(st.st_rdev);
	return 0;
}

/* => 0; the kernel keeps a block device opened with O_EXCL to one user */
static int open_again_exclusive(struct opening *o, int access)
{
	int fd = open(o->name, access | O_CLOEXEC | O_EXCL);
	struct stat before;
	struct stat after;

	if (fd < 0 && errno == EBUSY)
		return refuse(
			o, -EBUSY,
			"%s is in use by this system (mounted or swapped on): name another device",
			o->name);
	if (fd < 0)
		return refuse(o, -errno, "cannot open %s: %s", o->name, strerror(errno));
	if (fstat(o->out->fd, &before) != 0 || fstat(fd, &after) != 0 ||
	    before.st_rdev != after.st_rdev) {
		close(fd);
		return refuse(o, -EAGAIN, "%s was replaced while it was opened: try again",
			      o->name);
	}
	close(o->out->fd);
	o->out->fd = fd;
	return 0;
}

static int open_existing(struct opening *o)
{
	int access = o->spec->read_only ? O_RDONLY : O_RDWR;
	int fd = open(o->name, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int ret;

	if (fd < 0)
		return refuse(o, -errno, "cannot open %s: %s", o->name, strerror(errno));
	o->out->fd = fd;
	ret = examine(o);
	if (ret == 0 && o->out->block && !o->spec->read_only)
		ret = open_again_exclusive(o, access);
	if (ret == 0 && fcntl(o->out->fd, F_SETFL, 0) != 0)
		ret = refuse(o, -errno, "cannot set the mode of access to %s: %s", o->name,
			     strerror(errno));
	return ret;
}

/* ---- swap areas ---- */

static int lock_swap(struct opening *o)
{
	if (flock(o->out->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return refuse(o, -EBUSY,
			      "%s is in use as a swap area by another machine: name another file",
			      o->name);
	return refuse(o, -errno, "cannot lock %s: %s", o->name, strerror(errno));
}

/* Is this area ours to overwrite, and as large as was asked for? */
static int check_swap(struct opening *o)
{
	struct file_opened *out = o->out;
	uint64_t pages = min_u64(out->size_bytes >> NEAP_PAGE_SHIFT, SWAP_PAGES_MAX);
	char page[NEAP_PAGE_BYTES] = { 0 };
	ssize_t n = pread(out->fd, page, sizeof(page), 0);

	if (n < 0)
		return refuse(o, -errno, "cannot read the swap header of %s: %s", o->name,
			      strerror(errno));
	const char *wrong = swap_header_read(page, pages, &out->swap);
	if (wrong != NULL && out->block)
		return refuse(o, -EINVAL, "%s %s: run mkswap on it, or name another device",
			      o->name, wrong);
	if (wrong != NULL)
		return refuse(o, -EINVAL,
			      "%s %s, so it is not a neap swap file: "
			      "name a file that does not exist yet, or remove this one",
			      o->name, wrong);
	if (!out->block && strcmp(out->swap.label, SWAP_HEADER_LABEL) != 0)
		return refuse(
			o, -EINVAL,
			"%s is a swap file labelled \"%s\", not one of neap: name a file that "
			"does not exist yet, or hand it over with mkswap -L neap",
			o->name, out->swap.label);
	if (o->spec->pages > out->swap.last_page + 1)
		return refuse(o, -EINVAL,
			      "%s is a swap area of %llu pages and %llu were asked for: "
			      "ask for less, or name another",
			      o->name, (unsigned long long)out->swap.last_page + 1,
			      (unsigned long long)o->spec->pages);
	return 0;
}

/* Uses only as much of an area as was asked for. */
static void trim_swap(struct opening *o)
{
	struct swap_header_info *swap = &o->out->swap;
	uint32_t kept = 0;

	if (o->spec->pages != 0)
		swap->last_page = o->spec->pages - 1;
	for (uint32_t i = 0; i < swap->nr_bad; i++)
		if (swap->bad[i] <= swap->last_page)
			swap->bad[kept++] = swap->bad[i];
	swap->nr_bad = kept;
	o->out->size_bytes = (swap->last_page + 1) << NEAP_PAGE_SHIFT;
}

/* ---- together ---- */

static int check_spec(struct opening *o)
{
	const struct store_file_spec *spec = o->spec;
	bool makes = spec->path == NULL || spec->create;

	if (spec->read_only && (makes || spec->swap))
		return refuse(o, -EINVAL, "%s cannot be read-only: it is to be written", o->name);
	if (spec->swap && makes && spec->pages < 2)
		return refuse(o, -EINVAL,
			      "%s: a swap area has at least 2 pages, its header and one to use",
			      o->name);
	if (spec->swap && spec->pages == 1)
		return refuse(o, -EINVAL, "%s: of a swap area at least 2 pages must be used",
			      o->name);
	if (spec->pages > (spec->swap ? SWAP_PAGES_MAX : FILE_PAGES_MAX))
		return refuse(o, -EFBIG,
			      "%s: %llu pages are more than its format can hold: "
			      "ask for less",
			      o->name, (unsigned long long)spec->pages);
	return 0;
}

static int make_or_find(struct opening *o)
{
	const struct store_file_spec *spec = o->spec;
	int ret;

	if (spec->path == NULL || spec->create) {
		ret = spec->path == NULL ? make_temporary(o) : make_named(o);
		o->out->made = ret == 0;
		if (ret == 0 && spec->swap)
			ret = lock_swap(o);
		if (ret == 0)
			ret = furnish(o);
		if (ret != -EEXIST)
			return ret;
		if (!spec->swap)
			return refuse(o, -EEXIST,
				      "%s exists already: name another file, or remove it",
				      o->name);
	}
	ret = open_existing(o);
	if (ret != 0 || !spec->swap)
		return ret;
	ret = lock_swap(o);
	if (ret == 0)
		ret = check_swap(o);
	if (ret == 0)
		trim_swap(o);
	return ret;
}

int file_open(const struct store_file_spec *spec, struct file_opened *out, char *err,
	      size_t err_bytes)
{
	struct opening o = {
		.spec = spec,
		.name = spec->path != NULL ? spec->path : "a temporary file",
		.out = out,
		.err = err,
		.err_bytes = err_bytes,
	};
	int ret;

	memset(out, 0, sizeof(*out));
	out->fd = -1;
	if (err_bytes > 0)
		err[0] = '\0';
	ret = check_spec(&o);
	if (ret == 0)
		ret = make_or_find(&o);
	if (ret == 0)
		return 0;
	if (out->made && spec->path != NULL)
		file_open_remove(spec->path, out);
	if (out->fd >= 0)
		close(out->fd);
	out->fd = -1;
	return ret;
}

void file_open_remove(const char *path, const struct file_opened *opened)
{
	struct stat st;

	if (stat(path, &st) != 0 || st.st_dev != opened->dev || st.st_ino != opened->ino)
		return;	    /* somebody renamed or removed it: not ours any more */
	(void)unlink(path); /* nothing can be done about it, and the data is no longer needed */
}
