/*
 * Paper for pictures.
 *
 *   a terminal   its width, colours (not with NO_COLOR or TERM=dumb), UTF-8 if the
 *                locale says so
 *   a pipe       80 columns, ASCII, no colours: what scripts and mails can take
 *   a file       SVG
 *
 * What must never happen: half a picture in a file that says it is whole. The text is
 * complete before the first byte is written, and every write is checked.
 */
#include "cmd/picture.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/cmd.h"

struct paint picture_paint(uint32_t width)
{
	struct paint paint = { .width = width != 0 ? width : 80 };
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return paint;
	if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
	    size.ws_col >= PAINT_WIDTH_MIN)
		paint.width = size.ws_col;
	paint.colour = (no_colour == NULL || *no_colour == '\0') && term != NULL &&
		       strcmp(term, "dumb") != 0;
	/* Only to learn the character set; numbers keep their form. */
	if (setlocale(LC_CTYPE, "") != NULL)
		paint.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	return paint;
}

int picture_write(const struct text_buf *text, const char *path)
{
	FILE *file;
	bool bad;

	if (path == NULL) {
		/* main() looks whether standard output took it. */
		fwrite(text_buf_text(text), 1, text->bytes, stdout);
		return CMD_FINE;
	}
	file = fopen(path, "we");
	if (file == NULL) {
		cmd_error("%s cannot be written: %s", path, strerror(errno));
		return CMD_WORLD;
	}
	bad = fwrite(text_buf_text(text), 1, text->bytes, file) != text->bytes;
	if (fclose(file) != 0 || bad) {
		cmd_error("%s could not be written completely: %s", path, strerror(errno));
		return CMD_WORLD;
	}
	return CMD_FINE;
}
