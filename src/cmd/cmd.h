/*
 * The commands of neap, and what they share. Each takes its own words (argv[0] is the command's
 * name) and returns the exit status.
 */
#ifndef NEAP_CMD_CMD_H
#define NEAP_CMD_CMD_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

/* Exit statuses. */
#define CMD_FINE 0
#define CMD_FINDING 1 /* a finding, a verification failure, a failed job command */
#define CMD_USAGE 2   /* usage or input */
#define CMD_WORLD 3   /* no memory, disk full, no permission */
#define CMD_INTERRUPTED 130

int cmd_run(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_sysctl(int argc, char **argv);
int cmd_marks(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_forecast(int argc, char **argv);
int cmd_request(int argc, char **argv);
int cmd_probe(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_decode(int argc, char **argv);
int cmd_ledger(int argc, char **argv);
int cmd_graph(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_conform(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);

/* Prints "neap: sentence" to standard error. */
void cmd_error(const char *format, ...) PRINTF_LIKE(1, 2);
/* The same for whole lines ("FILE:LINE: ..."); each gets the prefix. */
void cmd_error_lines(const char *lines);
struct argp;
struct argp_state;
/*
 * Reads the words of a command (argv[0]: its name) into `input`, as argp_parse() does, and knows
 * --usage besides. Messages name the command. A wrong option ends the process with CMD_USAGE.
 * => CMD_FINE or CMD_USAGE
 */
int cmd_parse(const struct argp *argp, int argc, char **argv, void *input);
/* --help of a command: prints its options and ends the process. */
void cmd_help(struct argp_state *state);

/* Becomes 1 when somebody asks the command to end. */
extern volatile sig_atomic_t cmd_interrupt;
/*
 * From now on SIGINT and SIGTERM do nothing but set cmd_interrupt, and calls that wait return.
 * once: a second signal ends the process as if nothing were caught.
 */
void cmd_catch_interrupts(bool once);

/* A whole number, decimal or 0x...; => false after an error naming `what` */
bool cmd_number(const char *text, const char *what, uint64_t *value);

#endif
