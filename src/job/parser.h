/*
 * Private to parse.c, parse_command.c, parse_machine.c and parse_numa.c: the state of a parse.
 */
#ifndef NEAP_JOB_PARSER_H
#define NEAP_JOB_PARSER_H

#include <stdio.h>

#include "base/base.h"
#include "job/job.h"

#define PARSER_WORDS_MAX 96u
#define PARSER_ERRORS_MAX 50u

struct parser {
	struct job *job;
	const char *name; /* of the file, for messages */
	uint32_t line;
	char *words[PARSER_WORDS_MAX]; /* of this line; words[0] is the command */
	bool used[PARSER_WORDS_MAX];   /* understood by the command's function */
	uint32_t nr_words;
	bool background;	/* the line began with bg */
	uint32_t parallel_line; /* of the open parallel, 0 = none */
	FILE *errors;
	uint32_t nr_errors;
	bool out_of_memory;
	uint32_t commands_room, objects_room;
};

/* Adds "NAME:LINE: sentence". */
void parser_error(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
/* => a new command of this line, or NULL when memory is out (noted in p) */
struct job_command *parser_add_command(struct parser *p, enum job_op op);
/* Declares a name. => the object, or NULL after an error */
struct job_object *parser_add_object(struct parser *p, const char *name, enum job_kind kind);
/*
 * Finds a declared name whose kind is in the mask (bits 1 << JOB_...).
 * => its number, or JOB_NO_OBJECT after an error
 */
uint32_t parser_find_object(struct parser *p, const char *name, uint32_t kinds);
/* => a copy, or NULL when memory is out (noted in p) */
char *parser_copy(struct parser *p, const char *text);

/* Performs the command of the current line. */
void parser_run_line(struct parser *p);
/* The command `machine` (parse_machine.c). */
void parser_run_machine(struct parser *p);

/* A list of nodes, 0-1,3, as bits. => 0 if it is none */
uint64_t parser_nodes(const char *text);

/* MODE[:NODES], a memory policy; says what is wrong with it. */
void parser_policy(struct parser *p, const char *text, enum neap_policy *mode, uint64_t *nodes);
/* The commands `policy` and `mems`. */
void parser_run_policy(struct parser *p);
void parser_run_mems(struct parser *p);

#endif
