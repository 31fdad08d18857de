/* What a tool says on its standard error: kept while it runs, judged at its end. */
#ifndef PG_DUMP_H
#define PG_DUMP_H

#include "conn.h"

#define PG_LINES 40 /* more are only counted */

struct pg_lines {
    char *line[PG_LINES];
    size_t n, more;
};

void pg_lines_add(void *lines, const char *line); /* as bkc_child_spec.said */
void pg_lines_free(struct pg_lines *l);
/* Each line as a warning about subject. */
void pg_lines_report(const struct pg_lines *l, struct bake_ctx *ctx, const char *tool,
                     const char *subject);
/* The failure of a tool that ended with this wait status: what it said, and a HINT where the cause
 * is one of those that have a remedy. Returns its code. */
int pg_lines_fail(const struct pg_lines *l, struct bake_ctx *ctx, const char *tool,
                  const char *subject, int status);

#endif
