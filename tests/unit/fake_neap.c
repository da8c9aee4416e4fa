/*
 * The fake machine: see fake_neap.h.
 *
 * One lock, one array of pages a region or file, and a victim chosen by a counter
 * when too many are resident. A page has its bytes in memory and its bytes in the
 * store; leaving memory copies one to the other, coming back copies them back, and
 * each of the ways to go wrong is a lie told in that copy.
 */
#ifdef FAKE_NEAP
#include "fake_neap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/size.h"

struct fake_page {
	uint8_t *memory, *store;
	bool resident, dirty, bad;
	uint32_t held;
	struct neap_file *file;
};

struct neap_config {
	uint64_t memory_bytes;
	bool sim, tags;
	uint64_t seed;
	char error[256];
};

struct fake_list {
	struct fake_page **pages;
	uint64_t nr, room;
};

struct neap_machine {
	pthread_mutex_t mutex;
	uint64_t resident_max, resident, hand;
	bool sim, tags;
	uint64_t now_ns, accesses, faults, major, swapouts, swapins;
	uint64_t writeouts, wrong_at, fail_at, fail_times;
	enum fake_wrong wrong;
	bool wrong_always, report;
	uint64_t swap_full_errors;
	uint32_t nr_freezes;
	int fail_error;
	struct fake_list all;
	char sysctl[8][2][64];
	uint32_t nr_sysctls;
	uint64_t seed;
	char error[256];
};

struct neap_file {
	struct neap_machine *machine;
	struct fake_page *pages;
	uint64_t nr_pages, bytes;
	char *path;
	int pending_error;
};

struct neap_region {
	struct neap_machine *machine;
	struct neap_file *file;
	struct fake_page *pages; /* the file's, if mapped */
	bool *mapped;
	uint64_t nr_pages;
};

struct neap_thread {
	pthread_t thread;
	int (*fn)(void *arg);
	void *arg;
	int result;
};

struct neap_block {
	int unused;
};

static size_t page_room(const struct neap_machine *m)
{
	return m->tags ? 8 : NEAP_PAGE_SIZE;
}

/* ---- configuration and machine ---- */

struct neap_config *neap_config_new(void)
{
	struct neap_config *config = calloc(1, sizeof(*config));

	config->memory_bytes = 64 * MIB;
	return config;
}

void neap_config_free(struct neap_config *config)
{
	free(config);
}

int neap_config_set(struct neap_config *config, const char *name, const char *value)
{
	static const char *const known[] = { "nodes",	"cpus",	   "machine", "contents",
					     "runtime", "explore", "costs",   "swap",
					     "tmp",	"uring",   "seed" };

	if (strcmp(name, "memory") == 0 && size_parse(value, &config->memory_bytes) > 0)
		return 0;
	config->sim |= strcmp(name, "runtime") == 0 && strcmp(value, "sim") == 0;
	config->tags |= strcmp(name, "contents") == 0 && strcmp(value, "tags") == 0;
	if (strcmp(name, "seed") == 0)
		config->seed = strtoull(value, NULL, 10);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(known[i], name) == 0)
			return 0;
	if (strncmp(name, "sysctl.", 7) == 0)
		return 0;
	snprintf(config->error, sizeof(config->error), "%s: no such property or value '%s'", name,
		 value);
	return -EINVAL;
}

const char *neap_config_error(const struct neap_config *config)
{
	return config->error;
}

struct neap_machine *fake_machine(uint64_t resident_pages, bool sim, bool tags)
{
	struct neap_machine *m = calloc(1, sizeof(*m));

	m->resident_max = resident_pages;
	m->sim = sim;
	m->tags = tags;
	pthread_mutex_init(&m->mutex, NULL);
	return m;
}

int neap_machine_create(struct neap_config *config, struct neap_machine **out)
{
	*out = fake_machine(config->memory_bytes / NEAP_PAGE_SIZE, config->sim, config->tags);
	(*out)->seed = config->seed;
	return 0;
}

void neap_machine_destroy(struct neap_machine *m)
{
	free(m->all.pages);
	pthread_mutex_destroy(&m->mutex);
	free(m);
}

const char *neap_machine_error(const struct neap_machine *m)
{
	return m->error;
}

int neap_run(struct neap_machine *m, int (*fn)(void *arg), void *arg)
{
	(void)m;
	return fn(arg);
}

void fake_go_wrong(struct neap_machine *m, enum fake_wrong wrong, uint64_t nth, bool always)
{
	m->wrong = wrong;
	m->wrong_at = m->writeouts + nth;
	m->wrong_always = always;
}

void fake_report_write_errors(struct neap_machine *m, bool report)
{
	m->report = report;
}

void fake_fill_swap_disk(struct neap_machine *m, uint64_t errors)
{
	m->swap_full_errors = errors;
}

void fake_fail_accesses(struct neap_machine *m, uint64_t nth, uint64_t times, int error)
{
	m->fail_at = m->accesses + nth;
	m->fail_times = times;
	m->fail_error = error;
}

/* ---- pages ---- */

static void list_add(struct fake_list *list, struct fake_page *page)
{
	if (list->nr == list->room) {
		list->room = list->room == 0 ? 1024 : 2 * list->room;
		list->pages = realloc(list->pages, list->room * sizeof(*list->pages));
	}
	list->pages[list->nr++] = page;
}

/* Some other page that has left memory. */
static struct fake_page *another_out(struct neap_machine *m, const struct fake_page *page)
{
	for (uint64_t i = 0; i < m->all.nr; i++)
		if (m->all.pages[i] != page && m->all.pages[i]->store != NULL)
			return m->all.pages[i];
	return NULL;
}

static void write_out(struct neap_machine *m, struct fake_page *page)
{
	size_t bytes = page_room(m);
	bool now = ++m->writeouts == m->wrong_at ||
		   (m->wrong_always && m->wrong_at != 0 && m->writeouts > m->wrong_at);
	enum fake_wrong wrong = now ? m->wrong : FAKE_FINE;
	struct fake_page *other;

	if (page->store == NULL)
		page->store = calloc(1, bytes);
	m->swapouts += page->file == NULL;
	if (wrong != FAKE_FINE && page->file != NULL && m->report)
		page->file->pending_error = -EIO;
	switch (wrong) {
	case FAKE_LOST_WRITE:
		return;
	case FAKE_TORN:
		memcpy(page->store, page->memory, bytes / 2);
		return;
	case FAKE_ZEROED:
		memset(page->store, 0, bytes);
		return;
	case FAKE_EIO:
		page->bad = true;
		return;
	default:
		break;
	}
	memcpy(page->store, page->memory, bytes);
	if (wrong == FAKE_FLIPPED)
		page->store[bytes / 2 + 1] ^= 4;
	other = wrong == FAKE_SWAPPED ? another_out(m, page) : NULL;
	if (other != NULL) {
		uint8_t *store = page->store;

		page->store = other->store;
		other->store = store;
	}
}

static void evict(struct neap_machine *m, struct fake_page *page)
{
	if (!page->resident || page->held > 0)
		return;
	if (page->dirty)
		write_out(m, page);
	page->dirty = false;
	page->resident = false;
	free(page->memory);
	page->memory = NULL;
	m->resident--;
}

void fake_evict_all(struct neap_machine *m)
{
	for (uint64_t i = 0; i < m->all.nr; i++)
		evict(m, m->all.pages[i]);
}

static void make_room(struct neap_machine *m)
{
	for (uint64_t tries = 0; m->resident > m->resident_max && tries < 2 * m->all.nr; tries++)
		evict(m, m->all.pages[m->hand++ % m->all.nr]);
}

/* => 0 or -EIO; the page is in memory and held */
static int fault_in(struct neap_machine *m, struct fake_page *page, bool *faulted)
{
	*faulted = !page->resident;
	if (page->resident)
		return 0;
	m->faults++;
	if (page->bad)
		return -EIO;
	page->memory = calloc(1, page_room(m));
	if (page->store != NULL) {
		memcpy(page->memory, page->store, page_room(m));
		m->major++;
		m->swapins += page->file == NULL;
	}
	page->resident = true;
	m->resident++;
	return 0;
}

static int page_get(struct neap_machine *m, struct fake_page *fake, uint32_t flags,
		    struct neap_page *page)
{
	int error = 0;

	pthread_mutex_lock(&m->mutex);
	memset(page, 0, sizeof(*page));
	m->accesses++;
	m->now_ns += 5;
	if (m->fail_times > 0 && m->accesses >= m->fail_at) {
		m->fail_times--;
		error = m->fail_error;
	}
	if (error == 0)
		error = fault_in(m, fake, &page->faulted);
	if (error == 0) {
		fake->held++;
		fake->dirty |= (flags & NEAP_PAGE_WRITE) != 0;
		make_room(m);
		page->data = m->tags ? NULL : fake->memory;
		page->tag = m->tags ? (uint64_t *)(void *)fake->memory : NULL;
		page->private_[0] = fake;
	}
	pthread_mutex_unlock(&m->mutex);
	return error;
}

static void page_put(struct neap_machine *m, struct neap_page *page)
{
	struct fake_page *fake = page->private_[0];

	pthread_mutex_lock(&m->mutex);
	fake->held--;
	pthread_mutex_unlock(&m->mutex);
}

static struct fake_page *pages_new(struct neap_machine *m, uint64_t nr, struct neap_file *file)
{
	struct fake_page *pages = calloc(nr, sizeof(*pages));

	pthread_mutex_lock(&m->mutex);
	for (uint64_t i = 0; i < nr; i++) {
		pages[i].file = file;
		list_add(&m->all, &pages[i]);
	}
	pthread_mutex_unlock(&m->mutex);
	return pages;
}

static void pages_free(struct neap_machine *m, struct fake_page *pages, uint64_t nr)
{
	uint64_t kept = 0;

	pthread_mutex_lock(&m->mutex);
	for (uint64_t i = 0; i < m->all.nr; i++) {
		struct fake_page *page = m->all.pages[i];

		if (page < pages || page >= pages + nr) {
			m->all.pages[kept++] = page;
			continue;
		}
		m->resident -= page->resident;
		free(page->memory);
		free(page->store);
	}
	m->all.nr = kept;
	pthread_mutex_unlock(&m->mutex);
	free(pages);
}

/* ---- threads and time ---- */

static void *thread_body(void *arg)
{
	struct neap_thread *thread = arg;

	thread->result = thread->fn(thread->arg);
	return NULL;
}

/* The signature is neap.h's. */
int neap_thread_start(struct neap_machine *m, const char *name, int cpu, int (*fn)(void *arg),
		      void *arg, struct neap_thread **out)
{
	struct neap_thread *thread = calloc(1, sizeof(*thread));

	(void)m;
	(void)name;
	(void)cpu;
	*thread = (struct neap_thread){ .fn = fn, .arg = arg };
	*out = thread;
	return -pthread_create(&thread->thread, NULL, thread_body, thread);
}

int neap_thread_join(struct neap_machine *m, struct neap_thread *thread)
{
	int result;

	(void)m;
	pthread_join(thread->thread, NULL);
	result = thread->result;
	free(thread);
	return result;
}

void neap_thread_detach(struct neap_machine *m)
{
	(void)m;
}

int neap_set_cpu(struct neap_machine *m, uint32_t cpu)
{
	(void)m;
	return cpu < 2 ? 0 : -EINVAL;
}

void neap_sleep(struct neap_machine *m, uint64_t ns)
{
	struct timespec time = { 0, 1000000 };

	pthread_mutex_lock(&m->mutex);
	m->now_ns += ns;
	pthread_mutex_unlock(&m->mutex);
	nanosleep(&time, NULL);
}

uint64_t neap_now(struct neap_machine *m)
{
	uint64_t now_ns;

	pthread_mutex_lock(&m->mutex);
	now_ns = m->now_ns;
	pthread_mutex_unlock(&m->mutex);
	return now_ns;
}

void neap_tick(struct neap_machine *m, uint64_t ticks)
{
	m->now_ns += 64 * ticks;
}

/* ---- regions ---- */

int neap_region_create(struct neap_machine *m, uint64_t bytes, uint32_t flags, int node,
		       struct neap_region **out)
{
	struct neap_region *region = calloc(1, sizeof(*region));

	(void)flags;
	(void)node;
	region->machine = m;
	region->nr_pages = (bytes + NEAP_PAGE_SIZE - 1) / NEAP_PAGE_SIZE;
	region->pages = pages_new(m, region->nr_pages, NULL);
	*out = region;
	return 0;
}

int neap_region_map(struct neap_file *file, uint32_t flags, struct neap_region **out)
{
	struct neap_region *region = calloc(1, sizeof(*region));

	(void)flags;
	region->machine = file->machine;
	region->file = file;
	region->nr_pages = file->nr_pages;
	region->pages = file->pages;
	region->mapped = calloc(file->nr_pages, sizeof(bool));
	*out = region;
	return 0;
}

void neap_region_destroy(struct neap_region *region)
{
	if (region->file == NULL)
		pages_free(region->machine, region->pages, region->nr_pages);
	free(region->mapped);
	free(region);
}

uint64_t neap_region_pages(const struct neap_region *region)
{
	return region->nr_pages;
}

int neap_page_begin(struct neap_region *region, uint64_t page_index, uint32_t flags,
		    struct neap_page *page)
{
	int error;

	if (page_index >= region->nr_pages)
		return -EINVAL;
	error = page_get(region->machine, &region->pages[page_index], flags, page);
	if (error == 0 && region->mapped != NULL) {
		page->faulted |= !region->mapped[page_index];
		region->mapped[page_index] = true;
	}
	return error;
}

void neap_page_end(struct neap_region *region, struct neap_page *page)
{
	page_put(region->machine, page);
}

int neap_read(struct neap_region *region, uint64_t offset, void *buffer, size_t bytes)
{
	(void)region;
	(void)offset;
	(void)buffer;
	(void)bytes;
	return -ENOTSUP;
}

int neap_write(struct neap_region *region, uint64_t offset, const void *buffer, size_t bytes)
{
	(void)region;
	(void)offset;
	(void)buffer;
	(void)bytes;
	return -ENOTSUP;
}

int neap_access(struct neap_region *region, uint64_t page_index, bool write)
{
	struct neap_page page;
	int error = neap_page_begin(region, page_index, write ? NEAP_PAGE_WRITE : NEAP_PAGE_READ,
				    &page);

	if (error == 0)
		neap_page_end(region, &page);
	return error;
}

int neap_pin(struct neap_region *region, uint64_t page_index, bool write, void **data)
{
	(void)region;
	(void)page_index;
	(void)write;
	(void)data;
	return -ENOTSUP;
}

void neap_unpin(struct neap_region *region, uint64_t page_index)
{
	(void)region;
	(void)page_index;
}

int64_t neap_release(struct neap_region *region, uint64_t first_page, uint64_t nr_pages)
{
	struct neap_machine *m = region->machine;
	int64_t held = 0;

	if (first_page + nr_pages > region->nr_pages)
		return -EINVAL;
	pthread_mutex_lock(&m->mutex);
	for (uint64_t i = first_page; i < first_page + nr_pages; i++) {
		struct fake_page *page = &region->pages[i];

		held += page->resident || page->store != NULL;
		if (region->mapped != NULL) {
			region->mapped[i] = false;
			continue;
		}
		if (page->resident)
			memset(page->memory, 0, page_room(m));
		free(page->store);
		page->store = NULL;
		page->bad = false;
	}
	pthread_mutex_unlock(&m->mutex);
	return held;
}

int neap_advise(struct neap_region *region, uint64_t first_page, uint64_t nr_pages,
		enum neap_advice advice)
{
	if (advice == NEAP_LAZYFREE)
		return neap_release(region, first_page, nr_pages / 2) < 0 ? -EINVAL : 0;
	return advice == NEAP_COLD ? -ENOTSUP : 0;
}

int64_t neap_shrink_all(struct neap_machine *m, uint64_t pages)
{
	(void)m;
	return (int64_t)pages;
}

/* ---- files ---- */

static int load_named(struct neap_file *file)
{
	int fd = open(file->path, O_RDONLY);

	if (fd < 0)
		return -errno;
	for (uint64_t i = 0; i < file->nr_pages; i++) {
		file->pages[i].store = calloc(1, NEAP_PAGE_SIZE);
		if (pread(fd, file->pages[i].store, NEAP_PAGE_SIZE, (off_t)(i * NEAP_PAGE_SIZE)) <
		    0)
			return -errno;
	}
	close(fd);
	return 0;
}

static void store_named(struct neap_file *file)
{
	int fd = open(file->path, O_WRONLY);

	for (uint64_t i = 0; i < file->nr_pages && fd >= 0; i++) {
		const struct fake_page *page = &file->pages[i];
		const uint8_t *data = page->resident ? page->memory : page->store;
		uint64_t left = file->bytes - i * NEAP_PAGE_SIZE;

		if (data != NULL && pwrite(fd, data, left < NEAP_PAGE_SIZE ? left : NEAP_PAGE_SIZE,
					   (off_t)(i * NEAP_PAGE_SIZE)) < 0)
			abort();
	}
	if (fd >= 0)
		close(fd);
}

int neap_file_open(struct neap_machine *m, const char *path, uint64_t bytes, uint32_t flags,
		   struct neap_file **out)
{
	struct neap_file *file = calloc(1, sizeof(*file));
	struct stat st;
	int fd;

	file->machine = m;
	file->bytes = bytes;
	if (path != NULL && (flags & NEAP_FILE_CREATE) != 0) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0) {
			free(file);
			return -errno;
		}
		close(fd);
	} else if (path != NULL) {
		if (stat(path, &st) != 0) {
			free(file);
			return -errno;
		}
		file->bytes = (uint64_t)st.st_size;
	}
	file->path = path != NULL ? strdup(path) : NULL;
	file->nr_pages = (file->bytes + NEAP_PAGE_SIZE - 1) / NEAP_PAGE_SIZE;
	file->pages = pages_new(m, file->nr_pages, file);
	*out = file;
	return path != NULL ? load_named(file) : 0;
}

int neap_file_sync(struct neap_file *file)
{
	int error = file->pending_error;

	if (file->path != NULL)
		store_named(file);
	file->pending_error = 0;
	return error;
}

int neap_file_close(struct neap_file *file)
{
	int error = neap_file_sync(file);

	pages_free(file->machine, file->pages, file->nr_pages);
	free(file->path);
	free(file);
	return error;
}

uint64_t neap_file_bytes(const struct neap_file *file)
{
	return file->bytes;
}

int neap_file_page_begin(struct neap_file *file, uint64_t page_index, uint32_t flags,
			 struct neap_page *page)
{
	if (page_index >= file->nr_pages)
		return -EINVAL;
	return page_get(file->machine, &file->pages[page_index], flags, page);
}

void neap_file_page_end(struct neap_file *file, struct neap_page *page)
{
	page_put(file->machine, page);
}

int64_t neap_file_read(struct neap_file *file, uint64_t offset, void *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes && offset + done < file->bytes) {
		uint64_t at = offset + done;
		uint64_t part = min_u64(NEAP_PAGE_SIZE - at % NEAP_PAGE_SIZE,
					min_u64(bytes - done, file->bytes - at));
		struct neap_page page;
		int error = neap_file_page_begin(file, at / NEAP_PAGE_SIZE, 0, &page);

		if (error != 0)
			return error;
		memcpy((char *)buffer + done, (char *)page.data + at % NEAP_PAGE_SIZE, part);
		neap_file_page_end(file, &page);
		done += part;
	}
	return (int64_t)done;
}

int64_t neap_file_write(struct neap_file *file, uint64_t offset, const void *buffer, size_t bytes)
{
	(void)file;
	(void)offset;
	(void)buffer;
	(void)bytes;
	return -ENOTSUP;
}

int neap_file_load(struct neap_file *file, uint64_t page_index, const void *data, uint64_t tag)
{
	struct fake_page *page = &file->pages[page_index];
	size_t bytes = page_room(file->machine);

	if (page->store == NULL)
		page->store = calloc(1, bytes);
	memcpy(page->store, file->machine->tags ? (const void *)&tag : data, bytes);
	return 0;
}

int neap_file_advise(struct neap_file *file, uint64_t first_page, uint64_t nr_pages,
		     enum neap_advice advice)
{
	if (first_page != 0 || nr_pages != file->nr_pages)
		return -EINVAL;
	if (advice == NEAP_DONTNEED)
		return neap_file_drop(file) < 0 ? -EINVAL : 0;
	return advice == NEAP_COLD ? -EINVAL : 0;
}

int64_t neap_file_drop(struct neap_file *file)
{
	int64_t dropped = 0;

	pthread_mutex_lock(&file->machine->mutex);
	for (uint64_t i = 0; i < file->nr_pages; i++) {
		if (file->pages[i].resident && !file->pages[i].dirty) {
			evict(file->machine, &file->pages[i]);
			dropped++;
		}
	}
	pthread_mutex_unlock(&file->machine->mutex);
	return dropped;
}

/* ---- blocks, knobs, counters ---- */

int neap_block_alloc(struct neap_machine *m, uint32_t order, uint32_t gfp, int node,
		     struct neap_block **out)
{
	(void)m;
	(void)gfp;
	(void)node;
	if (order > 8)
		return -ENOMEM;
	*out = calloc(1, sizeof(**out));
	return 0;
}

int neap_range_alloc(struct neap_machine *m, uint64_t bytes, int node, struct neap_block **out)
{
	return bytes > UINT64_C(1) << 30 ? -ENOMEM : neap_block_alloc(m, 0, 0, node, out);
}

int neap_freeze(struct neap_machine *m)
{
	m->nr_freezes++;
	return 0;
}

int neap_thaw(struct neap_machine *m)
{
	return m->nr_freezes != 0 && m->nr_freezes-- != 0 ? 0 : -EINVAL;
}

int neap_cma_alloc(struct neap_machine *m, uint64_t bytes, struct neap_block **out)
{
	return neap_range_alloc(m, bytes, 0, out);
}

void neap_block_free(struct neap_machine *m, struct neap_block *block)
{
	(void)m;
	free(block);
}

int64_t neap_sysctl_read(struct neap_machine *m, const char *name, char *buffer, size_t bytes)
{
	for (uint32_t i = 0; i < m->nr_sysctls; i++)
		if (strcmp(m->sysctl[i][0], name) == 0)
			return snprintf(buffer, bytes, "%s", m->sysctl[i][1]);
	return -ENOENT;
}

int64_t neap_sysctl_write(struct neap_machine *m, const char *name, const char *text, size_t bytes)
{
	uint32_t i = m->nr_sysctls++;

	if (text[0] < '0' || text[0] > '9' || i == ARRAY_LEN(m->sysctl))
		return -EINVAL;
	snprintf(m->sysctl[i][0], sizeof(m->sysctl[i][0]), "%s", name);
	snprintf(m->sysctl[i][1], sizeof(m->sysctl[i][1]), "%s", text);
	return (int64_t)bytes;
}

int neap_swapon(struct neap_machine *m, const char *area, unsigned int *number)
{
	(void)m;
	(void)area;
	*number = 0;
	return 0;
}

int neap_swapoff(struct neap_machine *m, unsigned int number)
{
	(void)m;
	return number == 0 ? 0 : -ENOENT;
}

int64_t neap_proc_text(struct neap_machine *m, const char *file, char **text)
{
	if (strcmp(file, "vmstat") == 0)
		return asprintf(text,
				"nr_free_pages %" PRIu64 "\npswpin %" PRIu64 "\npswpout %" PRIu64
				"\npgfault %" PRIu64 "\n",
				m->resident_max - min_u64(m->resident_max, m->resident), m->swapins,
				m->swapouts, m->faults);
	if (strcmp(file, "meminfo") == 0)
		return asprintf(text, "MemTotal:  %8" PRIu64 " kB\nMemFree:   %8" PRIu64 " kB\n",
				4 * m->resident_max, 4 * (m->resident_max - m->resident));
	return -ENOENT;
}

int neap_snapshot_save(struct neap_machine *m, const char *dir)
{
	char path[512];
	char *text = NULL;
	FILE *out;

	if (mkdir(dir, 0777) != 0 && errno != EEXIST)
		return -errno;
	snprintf(path, sizeof(path), "%s/vmstat", dir);
	out = fopen(path, "w");
	if (out == NULL || neap_proc_text(m, "vmstat", &text) < 0)
		return -EIO;
	fputs(text, out);
	free(text);
	return fclose(out) == 0 ? 0 : -errno;
}

uint64_t neap_counter(struct neap_machine *m, const char *name)
{
	const struct {
		const char *name;
		uint64_t value;
	} counters[] = {
		{ "accesses", m->accesses }, { "pgfault", m->faults },	 { "pgmajfault", m->major },
		{ "pswpin", m->swapins },    { "pswpout", m->swapouts },
	};

	for (size_t i = 0; i < ARRAY_LEN(counters); i++)
		if (strcmp(counters[i].name, name) == 0)
			return counters[i].value;
	return 0;
}

void neap_gauge(struct neap_machine *m, struct neap_gauge *out)
{
	*out = (struct neap_gauge){
		.free_pages = m->resident_max - min_u64(m->resident_max, m->resident),
		.min_pages = m->resident_max / 64,
		.low_pages = m->resident_max / 48,
		.high_pages = m->resident_max / 32,
		.managed_pages = m->resident_max,
		.peak_used_pages = min_u64(m->resident_max, m->faults),
		.nr_kswapd = 1,
		.swap_total_pages = 1000,
		.swap_full_errors = m->swap_full_errors,
	};
}

void neap_stalls(struct neap_machine *m, struct neap_stalls *out)
{
	(void)m;
	*out = (struct neap_stalls){ .count = 2, .max_ns = 17000000, .p50_ns = 900 };
}

int neap_trace_start(struct neap_machine *m, const char *path)
{
	FILE *out = fopen(path, "w");

	(void)m;
	return out == NULL ? -errno : fclose(out);
}

int neap_report_start(struct neap_machine *machine, const char *path)
{
	(void)machine;
	(void)path;
	return 0;
}

int64_t neap_report_count(struct neap_machine *machine)
{
	(void)machine;
	return 0;
}

int neap_trace_stop(struct neap_machine *m)
{
	(void)m;
	return 0;
}

int neap_verify(struct neap_machine *m)
{
	(void)m;
	return 0;
}

uint64_t neap_state_hash(struct neap_machine *m)
{
	return mix_u64(m->accesses ^ mix_u64(m->swapouts ^ mix_u64(m->seed)));
}

int neap_inject(struct neap_machine *m, const char *kind, uint64_t nth, int error)
{
	return m == NULL || kind == NULL || (nth == 0 && error == 0) ? -EINVAL : -ENOENT;
}

#include "fake_neap_plug.c"
#else
/* Nothing: the fake exists in tests that ask for it. */
typedef int fake_neap_is_not_wanted_here;
#endif
