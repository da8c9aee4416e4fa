/*
 * Stamps, and what should be where.
 *
 * Each write stores a stamp (object, page, version) in two words of the page, at
 * places that depend on the page; a page that is new is filled as a whole from
 * (object, page). Each read checks the two words; the first access after a fault
 * checks all 512, and so does the sweep at the end.
 *
 *     page  | fill fill STAMP0 fill ...        | ... fill STAMP1 fill |
 *              word a, in the first half          word b, in the second
 *     STAMP0 = object 16 | page 32 | version 16, mixed with a constant
 *     STAMP1 = check 32  | version 32
 *
 * Both words carry the version, so a page put together from two writes shows;
 * both carry the page, so a page in another's place shows and names its origin. In
 * a machine of tags the one word holds object, page and version.
 *
 * What should be there is kept in 8 bytes a page:
 *
 *     state  HELD 1 | UNSURE 1 | WROTE 1 | LAZY 1 | fill 2 | version 26     note 32
 *
 * HELD is a lock: two threads may hold the same page at once, and stamp and version
 * must change together. It is held for less than a microsecond, never across a call
 * into the machine, so spinning is enough (and never happens in the simulator, where
 * nothing else runs between begin and end). `note` is the number of the last write,
 * or the hash of a user's page.
 *
 * LAZY says that the page may read as zero (MADV_FREE) until it is written; what is written while
 * pages are being given up so may be given up as well.
 *
 * UNSURE says that a read cannot be checked: the page is being freed, or was wrong
 * already. The next write fills it anew and ends that, unless pages of the object
 * are being freed at that moment; then WROTE remembers that both happened.
 *
 * What must never happen: a wrong page that is reported only as a count. Each
 * finding names page, frame, expected and found and who wrote it when; a ring of
 * recent accesses in each task gives the history.
 *
 * An access that the machine refused with -EIO is not a mismatch: it is the machine
 * telling the truth. It is counted and listed on its own.
 */
#include "job/verify.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/rng.h"
#include "job/verify_page.h"

#define STATE_HELD 0x80000000u
#define STATE_UNSURE 0x40000000u
#define STATE_WROTE 0x20000000u
#define STATE_LAZY 0x10000000u
#define STATE_FILL_SHIFT 26u
#define STATE_VERSION_MAX ((1u << STATE_FILL_SHIFT) - 1)

#define ACCESS_BLOCK 256u
#define FINDINGS_MAX 8u
#define LOSSES_MAX 16u
#define OBJECTS_MAX 65535u
#define TAG_OBJECTS_MAX 4095u
#define DESCRIBE_BYTES 96u

struct page_state {
	_Atomic uint32_t state;
	uint32_t note; /* owner: who holds HELD */
};
_Static_assert(sizeof(struct page_state) == 8, "eight bytes a page");

struct verify_object {
	struct verify *verify;
	struct verify_object *next;
	uint32_t number;
	enum verify_kind kind;
	uint64_t nr_pages;
	_Atomic bool reported;	    /* a write-back failed, and the machine said so */
	_Atomic uint32_t releasing; /* verify_release_begin() without its end */
	_Atomic uint32_t lazying;   /* verify_lazy_begin() without its end */
	verify_describe_fn describe;
	void *arg;
	struct page_state *pages;
};

struct loss {
	struct verify_object *object;
	uint64_t index;
	int error;
	bool lost;
};

struct verify {
	bool tags;
	_Atomic bool concurrent;
	_Atomic uint64_t next_access;
	_Atomic uint64_t lost_pages, failed_accesses;
	pthread_mutex_t mutex; /* the rest */
	struct verify_object *objects;
	struct verify_task *tasks;
	uint32_t nr_objects, nr_tasks;
	uint64_t mismatches;
	uint32_t nr_findings, nr_losses;
	char *findings[FINDINGS_MAX];
	struct loss losses[LOSSES_MAX];
};

/* ---- objects and tasks ---- */

struct verify *verify_new(bool tags)
{
	struct verify *verify = calloc(1, sizeof(*verify));

	if (verify == NULL)
		return NULL;
	verify->tags = tags;
	pthread_mutex_init(&verify->mutex, NULL);
	return verify;
}

void verify_free(struct verify *verify)
{
	if (verify == NULL)
		return;
	while (verify->objects != NULL) {
		struct verify_object *object = verify->objects;

		verify->objects = object->next;
		free(object->pages);
		free(object);
	}
	while (verify->tasks != NULL) {
		struct verify_task *task = verify->tasks;

		verify->tasks = task->next;
		free(task);
	}
	for (uint32_t i = 0; i < verify->nr_findings; i++)
		free(verify->findings[i]);
	pthread_mutex_destroy(&verify->mutex);
	free(verify);
}

struct verify_object *verify_add(struct verify *verify, enum verify_kind kind, uint64_t nr_pages,
				 verify_describe_fn describe, void *arg)
{
	struct verify_object *object = calloc(1, sizeof(*object));
	struct page_state *pages = calloc(nr_pages > 0 ? nr_pages : 1, sizeof(*pages));
	uint32_t most = verify->tags ? TAG_OBJECTS_MAX : OBJECTS_MAX;

	if (object == NULL || pages == NULL || verify->nr_objects == most) {
		free(object);
		free(pages);
		return NULL;
	}
	object->verify = verify;
	object->kind = kind;
	object->nr_pages = nr_pages;
	object->describe = describe;
	object->arg = arg;
	object->pages = pages;
	pthread_mutex_lock(&verify->mutex);
	object->number = ++verify->nr_objects;
	object->next = verify->objects;
	verify->objects = object;
	pthread_mutex_unlock(&verify->mutex);
	return object;
}

struct verify_task *verify_task_new(struct verify *verify)
{
	struct verify_task *task = calloc(1, sizeof(*task));

	if (task == NULL)
		return NULL;
	task->verify = verify;
	pthread_mutex_lock(&verify->mutex);
	task->number = verify->nr_tasks++;
	task->next = verify->tasks;
	verify->tasks = task;
	pthread_mutex_unlock(&verify->mutex);
	return task;
}

void verify_set_concurrent(struct verify *verify, bool concurrent)
{
	atomic_store(&verify->concurrent, concurrent);
}

uint64_t verify_pages(const struct verify_object *o)
{
	return o->nr_pages;
}

bool verify_is_live(const struct verify_object *o, uint64_t index)
{
	uint32_t state = atomic_load(&o->pages[index].state);

	return (state & STATE_VERSION_MAX) != 0 && (state & STATE_UNSURE) == 0;
}

/* ---- one page's state ---- */

static uint32_t state_hold(struct page_state *page)
{
	uint32_t state = atomic_fetch_or_explicit(&page->state, STATE_HELD, memory_order_acquire);

	for (uint32_t tries = 0; (state & STATE_HELD) != 0; tries++) { /* event loop */
		if (tries % 64 == 63)
			sched_yield();
		state = atomic_fetch_or_explicit(&page->state, STATE_HELD, memory_order_acquire);
	}
	return state;
}

static void state_drop(struct page_state *page, uint32_t state)
{
	atomic_store_explicit(&page->state, state, memory_order_release);
}

static enum job_fill state_fill(uint32_t state)
{
	return (enum job_fill)((state >> STATE_FILL_SHIFT) & 3);
}

static uint32_t next_version(uint32_t state)
{
	uint32_t version = state & STATE_VERSION_MAX;

	return version == STATE_VERSION_MAX ? 1 : version + 1;
}

static struct stamp make_stamp(const struct verify_object *o, uint64_t index, uint32_t state)
{
	return (struct stamp){
		.object = o->number,
		.page = (uint32_t)index,
		.version = state & STATE_VERSION_MAX,
		.fill = state_fill(state),
	};
}

/* A counter of one task that others read while it counts. */
static void count_up(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

static uint64_t number_access(struct verify_task *t)
{
	if (t->next_access == t->last_access) {
		t->next_access = atomic_fetch_add(&t->verify->next_access, ACCESS_BLOCK);
		t->last_access = t->next_access + ACCESS_BLOCK;
	}
	count_up(&t->accesses);
	return t->next_access++;
}

static void remember(struct verify_task *t, const struct verify_object *o, uint64_t index,
		     const struct verify_event *event)
{
	struct verify_event *slot = &t->ring[t->ring_at++ % VERIFY_RING];

	*slot = *event;
	slot->object = o->number;
	slot->index = index;
}

/* ---- findings ---- */

static void describe_page(const struct verify_object *o, uint64_t index, char *buffer)
{
	o->describe(o->arg, index, buffer, DESCRIBE_BYTES);
}

static struct verify_object *object_of_number(struct verify *verify, uint32_t number)
{
	struct verify_object *object = verify->objects;

	while (object != NULL && object->number != number)
		object = object->next;
	return object;
}

static void print_found(struct verify *verify, FILE *out, const struct neap_page *page)
{
	struct stamp found;
	char name[DESCRIBE_BYTES];
	enum verify_content content = page->tag != NULL
					      ? verify_page_tag_content(*page->tag, &found)
					      : verify_page_content(page->data, &found);
	const struct verify_object *origin = NULL;

	if (content == VERIFY_CONTENT_ZERO) {
		fputs("; the page is all zero", out);
		return;
	}
	if (content != VERIFY_CONTENT_FOREIGN)
		origin = object_of_number(verify, found.object);
	if (origin == NULL || found.page >= origin->nr_pages) {
		fputs("; the page holds no stamp of ours", out);
		return;
	}
	describe_page(origin, found.page, name);
	fprintf(out, "; the page holds %s%s, version %u",
		content == VERIFY_CONTENT_TORN ? "parts of " : "", name, found.version);
}

/* The last accesses to the page that the tasks' rings still know. */
static void print_history(struct verify *verify, FILE *out, const struct verify_object *o,
			  uint64_t index)
{
	uint32_t printed = 0;

	for (const struct verify_task *t = verify->tasks; t != NULL; t = t->next) {
		for (uint32_t i = 1; i <= VERIFY_RING && printed < 12; i++) {
			const struct verify_event *e = &t->ring[(t->ring_at - i) % VERIFY_RING];

			if (e->object != o->number || e->index != index)
				continue;
			fprintf(out, "%s access %" PRIu64 " (task %u) %s version %u in frame %u",
				printed++ == 0 ? "; history, newest first:" : ",", e->access,
				t->number,
				e->what == 'r'	 ? "read"
				: e->what == 'w' ? "wrote"
						 : "filled with",
				e->version, e->frame);
		}
	}
}

/* What the page should be and is, into t->text; to be settled by the caller. */
static void note_wrong(struct verify_task *t, struct verify_object *o, uint64_t index,
		       const struct neap_page *page, uint32_t state)
{
	struct stamp stamp = make_stamp(o, index, state);
	struct verify_difference difference = { 0 };
	char name[DESCRIBE_BYTES];
	FILE *out = fmemopen(t->text, sizeof(t->text), "w");

	t->pending = true;
	describe_page(o, index, name);
	if (out == NULL) {
		snprintf(t->text, sizeof(t->text), "%s is wrong", name);
		return;
	}
	fprintf(out, "%s (frame %u) is wrong at access %" PRIu64 ": expected ", name, page->frame,
		t->next_access);
	if (stamp.version == 0)
		fputs("zeros", out);
	else if (o->kind == VERIFY_USER_FILE)
		fputs("the bytes last seen or written", out);
	else
		fprintf(out, "version %u, written at access %u", stamp.version,
			o->pages[index].note);
	if (o->kind != VERIFY_USER_FILE) {
		difference = page->tag != NULL ? verify_page_tag_compare(*page->tag, &stamp)
					       : verify_page_compare(page->data, &stamp);
		fprintf(out, "; word %u is %016" PRIx64 ", not %016" PRIx64, difference.word,
			difference.found, difference.expected);
		print_found(t->verify, out, page);
	}
	pthread_mutex_lock(&t->verify->mutex);
	print_history(t->verify, out, o, index);
	pthread_mutex_unlock(&t->verify->mutex);
	fclose(out);
	t->text[sizeof(t->text) - 1] = '\0';
}

void verify_settle(struct verify_task *t, bool reported)
{
	struct verify *verify = t->verify;

	if (!t->pending)
		return;
	t->pending = false;
	if (reported) {
		atomic_fetch_add(&verify->lost_pages, 1);
		return;
	}
	pthread_mutex_lock(&verify->mutex);
	verify->mismatches++;
	if (verify->nr_findings < FINDINGS_MAX) {
		char *copy = strdup(t->text);

		if (copy != NULL)
			verify->findings[verify->nr_findings++] = copy;
	}
	pthread_mutex_unlock(&verify->mutex);
}

void verify_failed(struct verify_task *t, struct verify_object *o, uint64_t index, int error,
		   bool lost)
{
	struct verify *verify = t->verify;

	number_access(t);
	atomic_fetch_add(&verify->failed_accesses, 1);
	if (lost)
		atomic_fetch_add(&verify->lost_pages, 1);
	pthread_mutex_lock(&verify->mutex);
	if (verify->nr_losses < LOSSES_MAX)
		verify->losses[verify->nr_losses++] = (struct loss){ o, index, error, lost };
	pthread_mutex_unlock(&verify->mutex);
}

/* ---- accesses ---- */

/*
 * Is a held page as its state says? whole: look at all of it.
 * => also true when nothing can be said; *state may change (a lazily freed page became zero)
 */
static bool page_is_right(const struct verify_object *o, uint64_t index,
			  const struct neap_page *page, uint32_t *state, bool whole)
{
	struct stamp stamp;

	if ((*state & STATE_UNSURE) != 0)
		return true;
	stamp = make_stamp(o, index, *state);
	if (page->tag != NULL) {
		if (*page->tag == verify_page_tag(&stamp))
			return true;
		if ((*state & STATE_LAZY) == 0 || *page->tag != 0)
			return false;
		*state = 0;
		return true;
	}
	if (whole ? verify_page_is(page->data, &stamp) : verify_page_is_stamped(page->data, &stamp))
		return true;
	if ((*state & STATE_LAZY) == 0)
		return false;
	stamp.version = 0;
	if (!verify_page_is(page->data, &stamp))
		return false;
	*state = 0;
	return true;
}

static bool read_page(struct verify_task *t, struct verify_object *o, uint64_t index,
		      const struct neap_page *page, bool whole)
{
	struct page_state *held = &o->pages[index];
	uint32_t state = state_hold(held);
	bool right = page_is_right(o, index, page, &state, whole);

	if (!right) {
		note_wrong(t, o, index, page, state);
		state |= STATE_UNSURE;
	}
	if (whole && page->data != NULL)
		count_up(&t->whole_pages);
	state_drop(held, state);
	return right;
}

bool verify_read(struct verify_task *t, struct verify_object *o, uint64_t index,
		 const struct neap_page *page)
{
	uint64_t number = number_access(t);
	uint32_t version = atomic_load_explicit(&o->pages[index].state, memory_order_relaxed) &
			   STATE_VERSION_MAX;
	struct verify_event event = {
		.access = number, .version = version, .frame = page->frame, .what = 'r'
	};

	DCHECK(index < o->nr_pages);
	remember(t, o, index, &event);
	return read_page(t, o, index, page, page->faulted);
}

bool verify_sweep(struct verify_task *t, struct verify_object *o, uint64_t index,
		  const struct neap_page *page)
{
	return read_page(t, o, index, page, true);
}

bool verify_write(struct verify_task *t, struct verify_object *o, uint64_t index,
		  const struct neap_page *page, struct verify_write how)
{
	struct page_state *held = &o->pages[index];
	uint32_t state = state_hold(held);
	uint64_t number = number_access(t);
	bool releasing = atomic_load(&o->releasing) != 0;
	uint32_t lazy = atomic_load(&o->lazying) != 0 ? STATE_LAZY : 0;
	bool right = how.whole || page_is_right(o, index, page, &state, page->faulted);
	bool anew = how.whole || !right || (state & STATE_UNSURE) != 0 ||
		    (state & STATE_VERSION_MAX) == 0;
	struct verify_event event = { .access = number,
				      .frame = page->frame,
				      .what = anew ? 'f' : 'w' };
	struct stamp stamp;

	DCHECK(index < o->nr_pages);
	if (!right)
		note_wrong(t, o, index, page, state);
	if (page->faulted && !how.whole && page->data != NULL)
		count_up(&t->whole_pages);
	if (anew)
		state = ((uint32_t)how.fill << STATE_FILL_SHIFT) | (state & STATE_VERSION_MAX);
	state &= ~(STATE_LAZY | STATE_VERSION_MAX);
	state |= next_version(atomic_load_explicit(&held->state, memory_order_relaxed)) | lazy;
	stamp = make_stamp(o, index, state);
	if (page->tag != NULL)
		*page->tag = verify_page_tag(&stamp);
	else if (anew)
		verify_page_fill(page->data, &stamp);
	else
		verify_page_stamp(page->data, &stamp);
	event.version = stamp.version;
	remember(t, o, index, &event);
	held->note = (uint32_t)number;
	state_drop(held, releasing ? state | STATE_UNSURE | STATE_WROTE : state);
	return right;
}

bool verify_user_begin(struct verify_task *t, struct verify_object *o, uint64_t index,
		       const struct neap_page *page, size_t bytes)
{
	struct page_state *held = &o->pages[index];
	uint32_t state = state_hold(held);
	bool known = (state & STATE_VERSION_MAX) != 0;
	bool right = !known || !page->faulted || verify_page_hash(page->data, bytes) == held->note;

	number_access(t);
	if (page->faulted)
		count_up(&t->whole_pages);
	if (!right)
		note_wrong(t, o, index, page, state);
	return right;
}

void verify_user_end(struct verify_object *o, uint64_t index, const struct neap_page *page,
		     size_t bytes, bool changed)
{
	struct page_state *held = &o->pages[index];
	uint32_t state = atomic_load_explicit(&held->state, memory_order_relaxed);

	/*
	 * After a fault the hash was compared; a page that was wrong counts as it is from now on.
	 */
	if (changed || page->faulted || (state & STATE_VERSION_MAX) == 0)
		held->note = verify_page_hash(page->data, bytes);
	state_drop(held, 1);
}

void verify_load(struct verify_object *o, uint64_t index, void *data, uint64_t *tag)
{
	struct page_state *held = &o->pages[index];
	struct stamp stamp = make_stamp(o, index, 1);

	state_hold(held);
	if (data != NULL)
		verify_page_fill(data, &stamp);
	*tag = verify_page_tag(&stamp);
	held->note = 0;
	state_drop(held, 1);
}

void verify_set_reported(struct verify_object *o)
{
	atomic_store(&o->reported, true);
}

bool verify_was_reported(const struct verify_object *o)
{
	return atomic_load(&o->reported);
}

/* ---- pages given back ---- */

void verify_release_begin(struct verify_object *o, uint64_t first, uint64_t nr_pages)
{
	bool concurrent = atomic_load(&o->verify->concurrent);

	atomic_fetch_add(&o->releasing, 1);
	for (uint64_t i = first; i < first + nr_pages; i++) {
		uint32_t state = atomic_load_explicit(&o->pages[i].state, memory_order_relaxed);

		if (state == 0 && !concurrent)
			continue;
		state = state_hold(&o->pages[i]);
		state_drop(&o->pages[i], (state | STATE_UNSURE) & ~STATE_WROTE);
	}
}

void verify_release_end(struct verify_object *o, uint64_t first, uint64_t nr_pages, bool done)
{
	for (uint64_t i = first; i < first + nr_pages; i++) {
		uint32_t state = atomic_load_explicit(&o->pages[i].state, memory_order_relaxed);

		if (state == 0)
			continue;
		state = state_hold(&o->pages[i]);
		state_drop(&o->pages[i], done && (state & STATE_WROTE) == 0 ? 0 : state);
	}
	atomic_fetch_sub(&o->releasing, 1);
}

void verify_lazy_begin(struct verify_object *o)
{
	bool concurrent = atomic_load(&o->verify->concurrent);

	/* First: who writes from now on may be overtaken, whatever is said of the page below. */
	atomic_fetch_add(&o->lazying, 1);
	for (uint64_t i = 0; i < o->nr_pages; i++) {
		uint32_t state = atomic_load_explicit(&o->pages[i].state, memory_order_relaxed);

		if (state == 0 && !concurrent)
			continue;
		state = state_hold(&o->pages[i]);
		state_drop(&o->pages[i], state | STATE_LAZY);
	}
}

void verify_lazy_end(struct verify_object *o)
{
	atomic_fetch_sub(&o->lazying, 1);
}

/* ---- results ---- */

struct verify_totals verify_totals(struct verify *verify)
{
	struct verify_totals totals = {
		.lost_pages = atomic_load(&verify->lost_pages),
		.failed_accesses = atomic_load(&verify->failed_accesses),
	};

	pthread_mutex_lock(&verify->mutex);
	totals.mismatches = verify->mismatches;
	for (const struct verify_task *t = verify->tasks; t != NULL; t = t->next) {
		totals.accesses += __atomic_load_n(&t->accesses, __ATOMIC_RELAXED);
		totals.whole_pages += __atomic_load_n(&t->whole_pages, __ATOMIC_RELAXED);
	}
	pthread_mutex_unlock(&verify->mutex);
	return totals;
}

void verify_print(struct verify *verify, FILE *out, const char *prefix)
{
	uint64_t failed = atomic_load(&verify->failed_accesses);
	char name[DESCRIBE_BYTES];

	pthread_mutex_lock(&verify->mutex);
	for (uint32_t i = 0; i < verify->nr_findings; i++)
		fprintf(out, "%s%s\n", prefix, verify->findings[i]);
	if (verify->mismatches > verify->nr_findings)
		fprintf(out, "%s%" PRIu64 " more wrong pages are not listed\n", prefix,
			verify->mismatches - verify->nr_findings);
	for (uint32_t i = 0; i < verify->nr_losses; i++) {
		const struct loss *loss = &verify->losses[i];

		describe_page(loss->object, loss->index, name);
		fprintf(out, "%s%s: %s: %s\n", prefix, name,
			loss->lost ? "its contents are lost" : "an access failed",
			strerror(-loss->error));
	}
	if (failed > verify->nr_losses)
		fprintf(out, "%s%" PRIu64 " more failed accesses are not listed\n", prefix,
			failed - verify->nr_losses);
	pthread_mutex_unlock(&verify->mutex);
}
