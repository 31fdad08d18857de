/* What libpq and the server say, made fit for our messages. Pure. */
#ifndef PG_SAID_H
#define PG_SAID_H

#include <stdbool.h>
#include <stddef.h>

#define PG_SAID_MAX 1200

/* One line from several: line ends and runs of spaces become "; " or one space, what is too long
 * is cut. NULL is "". */
void pg_said_line(const char *text, char *out, size_t cap);
/* A verbose failure of a connection: its SQLSTATE (5 characters, or "" when the server had no word
 * in it), and the text without it and without the place in the server's source. */
void pg_said_connect(const char *text, char state[6], char *out, size_t cap);
bool pg_said_tls(const char *text);            /* is it about TLS or its files? */
void pg_said_nothing(void *arg, const char *); /* a notice processor */

#endif
