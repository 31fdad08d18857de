/* Inspection: what a verification reads of a component anyway is handed to its source, which looks
 * whether it is sound (BAKE_INSPECTS). */
#ifndef BK_INSPECT_H
#define BK_INSPECT_H

#include "run/restore_source.h"

struct bk_inspect;

/* sources NULL, or a source that does not inspect (or cannot, which is said): *ret is NULL, and the
 * calls below do nothing. m and c must outlive it. A failure ends all (cancelled, out of memory).
 */
int bk_inspect_open(struct bk_session *s, struct bk_rsources *sources, const struct bk_manifest *m,
                    const struct bk_mcomp *c, struct bk_inspect **ret, struct bk_err *err);
/* Does it still want to see anything? */
bool bk_inspect_on(const struct bk_inspect *i);
/* The calls of a writer, as put_entry() (BAKE_END: its data are not wanted), write(), entry_end()
 * and commit(). BAKE_E_CORRUPT: the source says that it is not sound, and why. That it could not
 * look is said as a warning, and is no failure. After either it is off. */
int bk_inspect_entry(struct bk_inspect *i, const struct bake_entry *e, struct bk_err *err);
int bk_inspect_data(struct bk_inspect *i, const void *data, size_t n, struct bk_err *err);
int bk_inspect_entry_end(struct bk_inspect *i, struct bk_err *err);
int bk_inspect_commit(struct bk_inspect *i, struct bk_err *err);
/* Not all of it can be had: nothing more is to be said of it. */
void bk_inspect_off(struct bk_inspect *i);
void bk_inspect_free(struct bk_inspect *i); /* NULL is fine */

#endif
