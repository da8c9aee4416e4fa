/*
 * How a command's answer ends: a text, or a JSON document, printed once and whole.
 *
 *     command: text_buf_init() ... lines ... document_print_text() --> standard output, status
 *              json_object() ... members ... document_print()
 *
 * Members that could not be allocated are absent from a document; jansson then refuses to
 * print a document that is missing altogether, which is the one error here. Whether
 * standard output took the text is checked for all commands at the end of the program.
 *
 * A build without jansson has the option and says why it cannot be had.
 *
 * What must never happen: a status of success beside half a document.
 */
#include "cmd/document.h"

#include "cmd/cmd.h"

int document_print_text(struct text_buf *text)
{
	int status = CMD_FINE;

	if (text->error == 0) {
		fwrite(text_buf_text(text), 1, text->bytes, stdout);
	} else {
		cmd_error("memory is out");
		status = CMD_WORLD;
	}
	text_buf_free(text);
	return status;
}

#ifdef NEAP_HAVE_JANSSON
void document_set_text(json_t *object, const char *key, const char *text)
{
	json_t *string = json_string(text);

	(void)json_object_set_new(object, key, string != NULL ? string : json_string("?"));
}

int document_print(json_t *document)
{
	int error = json_dumpf(document, stdout, JSON_INDENT(2));

	json_decref(document);
	putchar('\n');
	if (error == 0)
		return CMD_FINE;
	if (ferror(stdout) == 0)
		cmd_error("memory is out");
	return CMD_WORLD;
}
#endif

int document_missing(void)
{
	cmd_error("--json: this build has no JSON; it was made without libjansson");
	return CMD_USAGE;
}
