/*
 * What the document models of all /proc files share.
 *
 * A document is the list of a file's lines in their order. A line has typed
 * contents (a kind, a name, a value, sometimes a list of numbers), and is printed
 * from them in Linux 6.1's form. Two sorts of lines keep, beside that, their text
 * as it was read, and are printed as it:
 *
 *   odd      understood, but spelled differently from 6.1 (other column widths in
 *            another kernel, blanks lost in a mail);
 *   unknown  not understood at all (kind TEXT_LINE_RAW). A line that has the file's
 *            form but a name that 6.1 does not have also counts as unknown:
 *            its value can be looked up, but neap makes no use of it.
 *
 * So print(parse(f)) == f holds for every file that is accepted, whatever kernel
 * wrote it. Unknown lines are no error: they are counted and can be listed.
 *
 * Refused are files that cannot be what they are said to be: NUL bytes, no final
 * newline (the file was cut), too large, or no line that the file could have. The
 * message is one sentence and names file and line.
 *
 * A document does not change after it was parsed or made from a snapshot.
 */
#ifndef NEAP_TEXT_DOC_H
#define NEAP_TEXT_DOC_H

#include "base/base.h"
#include "text/buf.h"

#define TEXT_LINE_RAW 0u

struct text_error {
	char file[160];
	uint32_t line; /* 1..; 0 = not about one line */
	char message[320];
};

struct text_line {
	const char *name; /* label, zone name or path; "" when the kind has none */
	const char *word; /* a second string: a type, a setting's word; NULL when there is none */
	const char *raw;  /* the line as read if it is odd or unknown, else NULL */
	uint64_t value;
	uint32_t list; /* index of the first of nr_list numbers in doc->numbers */
	uint32_t nr_list;
	uint16_t kind; /* TEXT_LINE_RAW, or a kind of the file */
	bool known;    /* 6.1 has a line of this kind and name */
};

struct text_doc;

/* A file as it was read. */
struct text_input {
	const char *text; /* not terminated */
	size_t bytes;
	const char *file_name; /* for messages */
};

/* What makes a file type. */
struct text_format {
	const char *title; /* "/proc/vmstat", "nodeN/cpulist": what people call the file */
	const char *form;  /* an example of a line, for messages */
	size_t bytes_max;
	uint32_t lines_max;
	uint32_t line_bytes_max;
	bool by_name;	   /* lines of this form are common: some name must be one of 6.1's */
	bool any_bytes;	   /* control characters are legal (paths); a NUL never is */
	bool may_be_empty; /* no bytes at all are such a file, too */
	/*
	 * Understands one line. Leaves kind TEXT_LINE_RAW if it cannot.
	 * => 0, or -ENOMEM
	 */
	int (*read)(struct text_doc *doc, struct text_line *line, const char *text);
	/* Appends the line, without newline, as 6.1 prints it. Never called for RAW lines. */
	void (*print)(const struct text_doc *doc, const struct text_line *line,
		      struct text_buf *out);
};

struct text_doc {
	const struct text_format *format;
	struct text_line *lines;
	uint32_t nr_lines, lines_room;
	uint64_t *numbers; /* the lists of all lines */
	uint32_t nr_numbers, numbers_room;
	uint32_t nr_unknown, nr_odd;
	uint32_t nr_raw;  /* of the unknown ones: not of the file's form */
	uint32_t section; /* while parsing: the file type's note of where it is */
	uint32_t hint;	  /* while parsing: where text_name_find() looks first */
	char *text;	  /* the input, each newline replaced by a NUL; what raw points into */
	char *names;	  /* names of parsed lines, each terminated */
	size_t names_used_bytes, names_room_bytes;
};

/*
 * An empty document, to be filled with text_doc_parse() or text_doc_add().
 * text_doc_clear() frees what it holds.
 */
void text_doc_init(struct text_doc *doc, const struct text_format *format);
void text_doc_clear(struct text_doc *doc);

/*
 * Parses a whole file into an empty document. The text need not be terminated.
 * => 0; -EINVAL (not such a file), -EFBIG (too large) with *err filled; -ENOMEM
 * => memory is bounded by a constant factor of `bytes`; the caller clears doc in any case
 */
MUST_CHECK int text_doc_parse(struct text_doc *doc, const char *text, size_t bytes,
			      const char *file_name, struct text_error *err);

/*
 * The same for documents of their own: most file types need nothing beside the lines.
 * => 0 and *out, to be freed with text_doc_free(); else *out is NULL and the error as above
 */
MUST_CHECK int text_doc_load(const struct text_format *format, const struct text_input *in,
			     struct text_doc **out, struct text_error *err);
/* => an empty document, or NULL when memory is out */
struct text_doc *text_doc_new(const struct text_format *format);
/* doc may be NULL. */
void text_doc_free(struct text_doc *doc);
/* Frees a document whose making failed. => error, with *doc NULL unless error is 0 */
int text_doc_finish(struct text_doc **doc, int error);

/*
 * Appends a line made by a writer; its name and word must outlive the document.
 * => 0 or -ENOMEM
 */
MUST_CHECK int text_doc_add(struct text_doc *doc, const struct text_line *line);
/* Appends one number to the list of `line`, which must be the latest. => 0 or -ENOMEM */
MUST_CHECK int text_doc_add_number(struct text_doc *doc, struct text_line *line, uint64_t number);
/* Keeps a copy of `bytes` bytes at `at` as a terminated name; only while parsing. */
const char *text_doc_name(struct text_doc *doc, const char *at, size_t bytes);

/* Appends the whole file to `out`. => 0 or the buffer's error */
int text_doc_write(const struct text_doc *doc, struct text_buf *out);

/*
 * Appends the names of unknown lines (their text when they have no name), each once,
 * separated by ", ", at most 64 of them. => 0 or the buffer's error
 */
int text_doc_unknown_names(const struct text_doc *doc, struct text_buf *out);

/* The first line of this kind and name from line `from` on; NULL if there is none. */
const struct text_line *text_doc_find(const struct text_doc *doc, uint32_t from, uint16_t kind,
				      const char *name);

/* Sets *err (which may be NULL): file, line (0 = none) and a printf-like sentence. */
void text_error_set(struct text_error *err, const char *file_name, uint32_t line,
		    const char *format, ...) PRINTF_LIKE(4, 5);
/* Says that memory is out. => -ENOMEM */
int text_error_no_memory(struct text_error *err, const char *file_name);
void text_error_clear(struct text_error *err);

/*
 * Looks a name up in a table, at *hint first: files name things in the table's order.
 * => the index, and *hint is the one after it; NAME_NONE if the table lacks it
 */
#define NAME_NONE UINT32_MAX
uint32_t text_name_find(const char *const *names, uint32_t nr_names, const char *name,
			uint32_t *hint);

#endif
