/* Reads a tree of this machine for a source's reader: entries in a component's order, what is left
 * out by rule, hard links, holes, attributes, and files that change while they are read. What
 * cannot be read is reported and passed over. One walk is used by one thread. */
#ifndef BKC_WALK_H
#define BKC_WALK_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct bkc_ignore;
struct bkc_walk;

struct bkc_walk_root { /* where a walk starts */
    char *path;        /* ends in '/' (beyond the first) if the link it may be is followed */
    char *entry; /* the entry's path: without the slash at either end; "" is the root of all */
    bool named;  /* stands in option 'paths' as it is */
};

struct bkc_walk_limits { /* zero: the usual */
    size_t names;        /* bytes of directory listings in memory; beyond, they are spilled */
    size_t levels;       /* directories kept open at once; at least 2 */
    size_t whole;        /* files up to this many bytes are read in one go when they are opened */
    size_t extents;      /* of one sparse file; beyond, the smallest holes are read as zeros */
};

struct bkc_walk_opts { /* borrowed until bkc_walk_close(), but for `at` and `roots` */
    int at; /* roots' paths are looked up below this directory, which no link leads out of ("."
               is itself); AT_FDCWD: they are absolute, and links above them are followed */
    const struct bkc_walk_root *roots; /* by bkc_path_cmp() of their entries, each once */
    size_t n_roots;
    const struct bkc_ignore *ignore;       /* on entries' paths; or NULL */
    const char *const *exclude_if_present; /* or NULL */
    bool exclude_caches, one_file_system;
    bool numeric;      /* users and groups have no names: they are not this machine's */
    const char *shown; /* what stands before an entry's path in reports: "/"; or NULL */
    struct bkc_walk_limits limits;
};

int bkc_walk_open(struct bake_ctx *ctx, const struct bkc_walk_opts *opts, struct bkc_walk **ret);
/* As in struct bake_source_ops; sockets are never given. The root of all is the entry ".". */
int bkc_walk_next(struct bkc_walk *w, struct bake_entry *ret);
int bkc_walk_open_entry(struct bkc_walk *w, struct bake_entry *entry);
int bkc_walk_read(struct bkc_walk *w, struct bake_out *out);
void bkc_walk_close(struct bkc_walk *w); /* NULL is fine */

/* Order of the entries of a component: "a", "a/b", "a.b". */
int bkc_path_cmp(const char *a, const char *b);
/* Is path `inner` in the directory `outer`, or the same? "" holds all. */
bool bkc_path_within(const char *outer, const char *inner);

/* open(2) of a path below the directory `at` as chroot would have it: links stay inside, even when
 * they are swapped meanwhile. -1: errno; ENOSYS: this system cannot. */
int bkc_open_inside(int at, const char *path, int flags);

#endif
