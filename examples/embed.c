/* An array four times the memory it may use, sorted in place: neap swaps what does not fit. */
#include <stdio.h>

#include <neap/neap.h>

#define COUNT ((uint64_t)2 << 20) /* numbers of 8 bytes: 16 MiB in a machine of 4 MiB */

static struct neap_machine *machine;
static struct neap_region *array;
static int failures;

static uint64_t get(uint64_t i)
{
	uint64_t value = 0;

	failures += neap_read(array, i * sizeof(value), &value, sizeof(value)) != 0;
	return value;
}

static void put(uint64_t i, uint64_t value)
{
	failures += neap_write(array, i * sizeof(value), &value, sizeof(value)) != 0;
}

/* Quicksort. The larger part of a range waits on the stack, so 64 entries are enough. */
static void sort(void)
{
	uint64_t low[65] = { 0 }, high[65] = { COUNT };

	for (int depth = 1; depth > 0 && failures == 0;) {
		uint64_t first = low[--depth], end = high[depth], i = first - 1, j = end, a, b;
		uint64_t pivot = get(first + (end - first - 1) / 2);

		for (;;) {
			do
				a = get(++i);
			while (a < pivot && failures == 0);
			do
				b = get(--j);
			while (b > pivot && failures == 0);
			if (i >= j || failures != 0)
				break;
			put(i, b);
			put(j, a);
		}
		for (int turn = 0; turn < 2; turn++) {
			bool left = (j + 1 - first > end - j - 1) == (turn == 0);

			low[depth] = left ? first : j + 1;
			high[depth] = left ? j + 1 : end;
			depth += high[depth] - low[depth] > 1;
		}
	}
}

/* Runs as a task of the machine. => 0 if everything is in order afterwards */
static int work(void *unused)
{
	uint64_t state = 1, sum = 0, last = 0;

	(void)unused;
	if (neap_region_create(machine, COUNT * sizeof(state), 0, NEAP_ANY_NODE, &array) != 0)
		return 1;
	for (uint64_t i = 0; i < COUNT; i++, sum += state)
		put(i, state = state * 6364136223846793005u + 1442695040888963407u);
	sort();
	for (uint64_t i = 0; i < COUNT && failures == 0; i++, sum -= last) {
		uint64_t value = get(i);

		failures += value < last;
		last = value;
	}
	return failures != 0 || sum != 0;
}

int main(void)
{
	struct neap_config *config = neap_config_new();
	int result = 1;

	if (config == NULL || neap_config_set(config, "memory", "4M") != 0 ||
	    neap_config_set(config, "swap", "32M") != 0 ||
	    neap_machine_create(config, &machine) != 0) {
		fprintf(stderr, "embed: %s\n", config ? neap_config_error(config) : "no memory");
		neap_config_free(config);
		return result;
	}
	result = neap_run(machine, work, NULL);
	printf("%llu numbers of 16 MiB in 4 MiB: %s; %llu pages swapped out, %llu in\n",
	       (unsigned long long)COUNT, result == 0 ? "sorted" : neap_machine_error(machine),
	       (unsigned long long)neap_counter(machine, "pswpout"),
	       (unsigned long long)neap_counter(machine, "pswpin"));
	neap_machine_destroy(machine);
	neap_config_free(config);
	return result;
}
