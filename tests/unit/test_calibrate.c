/*
 * Tests of neap calibrate: the file that it writes, and the files that it cannot write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <neap/neap.h>

#include "api/costs.h"
#include "cmd/cmd.h"
#include "text/buf.h"

static char dir[] = "/tmp/test-neap-calibrate-XXXXXX";

static int calibrate(const char *path, const char *tmp)
{
	char name[] = "calibrate", option[] = "--tmp", file[256], directory[256];
	char *argv[] = { name, option, directory, file, NULL };

	(void)snprintf(file, sizeof(file), "%s", path);
	(void)snprintf(directory, sizeof(directory), "%s", tmp);
	return cmd_calibrate(4, argv);
}

static void read_costs(const char *path, struct text_buf *text, struct costs *out)
{
	struct neap_config *config = neap_config_new();

	assert_non_null(config);
	text_buf_init(text);
	assert_int_equal(text_buf_read_file(text, path, MIB), 0);
	if (costs_parse(config, path, text_buf_text(text), out) != 0)
		fail_msg("%s", neap_config_error(config));
	neap_config_free(config);
}

static uint32_t nr_lines(const char *text, const char *contains)
{
	uint32_t nr = 0;

	for (const char *at = text; *at != '\0';) {
		size_t bytes = strcspn(at, "\n");

		if (bytes != 0 && *at != '#')
			nr += memmem(at, bytes, contains, strlen(contains)) != NULL;
		at += bytes + (at[bytes] == '\n');
	}
	return nr;
}

/* Every line has its origin; what costs time costs some; more work costs no less. */
static void test_table(void **state)
{
	struct text_buf text;
	struct costs here, server;
	struct neap_config *config = neap_config_new();
	char path[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/costs.txt", dir);
	assert_int_equal(calibrate(path, dir), CMD_FINE);
	read_costs(path, &text, &here);
	assert_int_equal(costs_parse(config, "server", costs_builtin("server"), &server), 0);
	assert_true(nr_lines(text_buf_text(&text), "") > 30);
	assert_int_equal(nr_lines(text_buf_text(&text), ""),
			 nr_lines(text_buf_text(&text), "  # "));
	assert_true(nr_lines(text_buf_text(&text), "  # measured: ") >= 5);
	for (uint32_t i = 0; i < NR_METER_ITEMS; i++)
		assert_int_equal(here.item_ps[i] != 0, server.item_ps[i] != 0);
	/* A byte is less than a page; a cached page by a system call less than a second. */
	assert_true(here.item_ps[EV_SIM_ACCESS] < here.item_ps[EV_SIM_PAGE_ZERO]);
	assert_true(here.item_ps[EV_SIM_SYSCALL_PAGE] < 1000000000);
	/* Scaled lines keep the server's order: reclaiming a page costs more than looking at it. */
	assert_true(here.item_ps[EV_PGSTEAL_KSWAPD] > here.item_ps[EV_PGSCAN_KSWAPD]);
	assert_int_equal(here.item_ps[EV_PGSCAN_KSWAPD], here.item_ps[EV_PGSCAN_DIRECT]);
	assert_true(here.slice_ns > here.quantum_ns && here.quantum_ns > 0);
	assert_true(here.swap.bytes_per_s > MIB && here.swap.latency_ns > 0);
	assert_true(here.swap.latency_ns < NSEC_PER_SEC);
	text_buf_free(&text);
	neap_config_free(config);
	assert_int_equal(unlink(path), 0);
}

/* Without a disk to measure, the server's stands there, and the line says so. */
static void test_no_disk(void **state)
{
	struct text_buf text;
	struct costs here;
	char path[300];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/costs.txt", dir);
	assert_int_equal(calibrate(path, "/nonexistent"), CMD_FINE);
	read_costs(path, &text, &here);
	assert_non_null(strstr(text_buf_text(&text), "the server's: no direct reads"));
	assert_int_equal(here.swap.latency_ns, 85000);
	text_buf_free(&text);
	assert_int_equal(unlink(path), 0);
}

static void test_files_that_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(calibrate("/dev/full", "/nonexistent"), CMD_WORLD);
	assert_int_equal(calibrate("/nonexistent/costs.txt", "/nonexistent"), CMD_WORLD);
	assert_int_equal(calibrate(dir, "/nonexistent"), CMD_WORLD); /* a directory */
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_no_disk),
		cmocka_unit_test(test_files_that_cannot_be_written),
	};

	return cmocka_run_group_tests_name("calibrate", tests, make_dir, remove_dir);
}
