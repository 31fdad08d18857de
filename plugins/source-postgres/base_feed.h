/* Gives a throw-away server the log that the store has. The server may not read the store itself:
 * it runs as another user, without our configuration. So its restore_command is a script that asks
 * us through a pipe with a name, and waits for the answer. */
#ifndef PG_BASE_FEED_H
#define PG_BASE_FEED_H

#include "base_way.h"

struct pg_feed;

/* waldump: the path of pg_waldump. BAKE_END: the store has no log of this server. */
int pg_feed_new(struct pg_way *w, const char *waldump, struct pg_feed **ret);
void pg_feed_free(struct pg_feed *f); /* NULL is fine */
/* For restore_command. */
const char *pg_feed_command(const struct pg_feed *f);
/* Waits for at most ms, and answers what is asked. A failure is one of the store's. */
int pg_feed_wait(struct pg_feed *f, int64_t ms);
uint64_t pg_feed_count(const struct pg_feed *f); /* segments given */
/* Where it was ended, as what comes would reach beyond the throw-away server; or NULL. */
const char *pg_feed_stopped(const struct pg_feed *f);

/* Does the log create a tablespace? That would be made, and written to, where it is in use.
 * files: arguments of pg_waldump that say what to look at, NULL-ended. */
int pg_log_reaches_out(struct pg_way *w, const char *waldump, const char *const *files,
                       bool *ret_does);

#endif
