/*
 * How a command's JSON document ends: printed once, whole, and followed by a newline.
 *
 *     command: json_object() ... members ... document_print() --> standard output, exit status
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

#ifdef NEAP_HAVE_JANSSON
int document_print(json_t *document)
{
	int error = json_dumpf(document, stdout, JSON_INDENT(2));

	json_decref(document);
	putchar('\n');
	if (error == 0)
		return CMD_FINE;
	cmd_error("memory is out");
	return CMD_WORLD;
}
#endif

int document_missing(void)
{
	cmd_error("--json: this build has no JSON; it was made without libjansson");
	return CMD_USAGE;
}
