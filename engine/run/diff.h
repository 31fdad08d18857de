/* Comparing two backups of a store: component by component, entry by entry, from their listings
 * alone. Memory does not grow with the number of entries, only with that of hard links. */
#ifndef BK_DIFF_H
#define BK_DIFF_H

#include "store/manifest.h"
#include "store/store.h"

enum bk_change {
    BK_CHANGE_ADDED = 0,
    BK_CHANGE_REMOVED = 1,
    BK_CHANGE_CONTENT = 2,
    BK_CHANGE_TYPE = 3,
    BK_CHANGE_META = 4
};
#define BK_CHANGES 5

/* What an entry of both backups differs in. */
#define BK_DIFF_TYPE    (1u << 0)
#define BK_DIFF_CONTENT (1u << 1)
#define BK_DIFF_MODE    (1u << 2)
#define BK_DIFF_OWNER   (1u << 3)
#define BK_DIFF_MTIME   (1u << 4)
#define BK_DIFF_XATTRS  (1u << 5)
#define BK_DIFF_LINK    (1u << 6) /* a symbolic link's text; which names are one file */
#define BK_DIFF_DEVICE  (1u << 7) /* a device's number */

struct bk_difference {
    enum bk_change change;
    const char *component;
    const char *path;            /* NULL: the component itself */
    uint32_t old_type, new_type; /* enum bake_entry_type, of a component its kind; 0: not there */
    uint64_t old_size, new_size; /* of files and blobs, else 0 */
    unsigned fields;             /* BK_DIFF_*; 0 where it is new or gone */
};

struct bk_diff_sum {
    uint64_t files[BK_CHANGES], dirs[BK_CHANGES], others[BK_CHANGES]; /* by enum bk_change */
    uint64_t components[BK_CHANGES]; /* trees that are new or gone; blobs */
    uint64_t bytes_added;            /* sizes of what is new, and of what changed, as it is now */
    uint64_t bytes_removed;          /* of what is gone, and of what changed, as it was */
    struct bk_strv left_out;         /* components that could not be compared */
    bool done;                       /* all others were, to their ends */
};

struct bk_diff {
    struct bk_store *store;
    struct bk_sink *sink;
    const struct bk_manifest *before, *after;
    const struct bk_strv *components; /* globs, as a restore takes them; none: all */
    struct bk_cancel *cancel;
    void *arg; /* of both */
    /* Each difference, in the order of components and paths; lives for the call. A negative result
     * ends the comparison. */
    int (*each)(void *arg, const struct bk_difference *d, struct bk_err *err);
    /* A component that could not be compared (to its end): the others go on. */
    void (*failed)(void *arg, const char *component, const struct bk_err *why);
};

/* BK_E_NOSTORE: no component matches. With left_out the result is the worst reason; a component
 * that had failed in one of the backups counts as BK_E_PARTIAL. ret is set whatever the result, and
 * to be released. */
int bk_diff(const struct bk_diff *d, struct bk_diff_sum *ret, struct bk_err *err);
void bk_diff_sum_release(struct bk_diff_sum *sum);

#endif
