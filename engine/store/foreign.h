/* Archives at a sink's root that other programs made:
 * backup-<stack>-<YYYYMMDD-HHMMSS>-<id>.tar.zst, with '-' or '_' between the parts, and within them
 * <service>/volumes/<name>/, <service>/database/<file> and <service>/mariadb_dump/<file>. What
 * catalog.h says of them is done here. They are read, and never removed. */
#ifndef BK_FOREIGN_H
#define BK_FOREIGN_H

#include "store/catalog.h"

/* Is `object` called like one? Then its parts; ret_stack is owned by the caller. Read from the
 * right, since a stack's name may hold anything that stands between the parts. BAKE_OK | BAKE_END:
 * it is not | BAKE_E_NOMEM. */
int bk_foreign_name(const char *object, char **ret_stack, int64_t *ret_time_ns);
/* Those at the sink's root, by time; each is handed over. */
int bk_foreign_list(struct bk_sink *sink, struct bk_backup **ret, size_t *ret_n,
                    struct bk_err *err);
/* Is there any? */
int bk_foreign_any(struct bk_sink *sink, bool *ret, struct bk_err *err);
void bk_foreign_free(struct bk_foreign *f); /* NULL is fine */

/* Reads all of it: foreign_scan.c. */
int bk_foreign_manifest(struct bk_store *store, struct bk_sink *sink, const char *id,
                        const struct bk_foreign *f, struct bk_manifest **ret, struct bk_err *err);
/* How much of a path in such an archive is its component's; 0: it belongs to none. */
size_t bk_foreign_split(const char *path, bool is_dir);

#endif
