/* Reads the tar that the daemon makes of a directory, strictly: it answers 200 and ends its answer
 * properly also when the tar breaks off in the middle, so nothing counts but what the tar itself
 * says. Only what the daemon writes is known: ustar with pax headers, and GNU's long names. */
#ifndef DOCKER_TAR_IN_H
#define DOCKER_TAR_IN_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct dk_tarin;

/* The next bytes: OK | END, or an error that is passed on. */
typedef int dk_tarin_pull_fn(void *arg, struct bake_out *out);

/* one: the name of the only entry there may be, a file's; NULL: the tar of a directory, whose
 * entries are "./" and below it. BAKE_OK or BAKE_E_NOMEM. */
int dk_tarin_new(dk_tarin_pull_fn *pull, void *arg, const char *one, struct dk_tarin **ret);
void dk_tarin_free(struct dk_tarin *t); /* NULL is fine */

/* The next entry, in a component's order and with its path relative to the root ("."); what is left
 * of the last one's data is skipped. OK | END: after a whole tar and nothing but it. What it points
 * at lives until the next call. BAKE_E_CORRUPT: dk_tarin_why() says what is wrong. */
int dk_tarin_next(struct dk_tarin *t, struct bake_entry *ret);
/* Data of the entry: OK | END. */
int dk_tarin_read(struct dk_tarin *t, struct bake_out *out);
const char *dk_tarin_why(const struct dk_tarin *t); /* good until the next call */
bool dk_tarin_cut(const struct dk_tarin *t);        /* it ended before its end mark */

#endif
