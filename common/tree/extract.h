/* Puts a tree's entries below a directory, safely: whatever the entries say, nothing outside of it
 * is created, changed or followed. Used by `restore --target` and by sources that restore files.
 * One extractor is used by one thread; regular files may be made by others beside it. */
#ifndef BKC_EXTRACT_H
#define BKC_EXTRACT_H

#include <bakengine/plugin.h>

struct bkc_extract;

struct bkc_extract_opts {
    const char *root; /* must exist; symlinks in it are followed, in what lies below never */
    int force;        /* replace existing files, links and devices (never a directory that is not
                         empty by something else) */
    uint32_t parent_mode; /* of directories that are made because an entry's parent is missing */
};

struct bkc_extract_counts {
    uint64_t files, dirs, links, others; /* created or replaced */
    uint64_t kept;                       /* existing and different, not replaced */
    uint64_t same;                       /* existing with type, size and mtime (or link) equal */
    uint64_t bytes;
};

/* Reports (bake_report) what could not be restored in full: an owner without the right to set it
 * is one NOTICE for all, an attribute that the file system does not take one WARNING each. */
int bkc_extract_open(struct bake_ctx *ctx, const struct bkc_extract_opts *opts,
                     struct bkc_extract **ret);
/* As bake_source_ops.put_entry (BAKE_END: counts.same, BAKE_E_EXISTS: counts.kept), write and
 * entry_end. Regular files appear under their name only
 * when entry_end(good) has found them whole: they are written to a temporary name beside it. */
int bkc_extract_put(struct bkc_extract *x, const struct bake_entry *entry);
int bkc_extract_write(struct bkc_extract *x, struct bake_in *in);
int bkc_extract_end(struct bkc_extract *x, int good);

/* ---- regular files apart, so that several threads make them ---------------------------------- */

struct bkc_file;

/* Instead of bkc_extract_put() of a BAKE_FILE: goes to its directory and copies the entry; nothing
 * is made yet. A hard link that is put later waits for a file that it names. */
int bkc_extract_file(struct bkc_extract *x, const struct bake_entry *entry, struct bkc_file **ret);
/* On any one thread: as bkc_extract_put(), bkc_extract_write() and bkc_extract_end(). What is to be
 * said goes to ctx, which is that thread's and must live until bkc_file_free(). */
int bkc_file_begin(struct bkc_file *f, struct bake_ctx *ctx);
int bkc_file_write(struct bkc_file *f, struct bake_in *in);
int bkc_file_end(struct bkc_file *f, int good);
const char *bkc_file_path(const struct bkc_file *f);
/* Before bkc_extract_finish() and bkc_extract_close(). Removes a file half written. NULL is fine.
 */
void bkc_file_free(struct bkc_file *f);

/* ---- the end --------------------------------------------------------------------------------- */

/* Sets what had to wait (directories' modes and times). */
int bkc_extract_finish(struct bkc_extract *x);
void bkc_extract_counts(struct bkc_extract *x, struct bkc_extract_counts *ret);
void bkc_extract_close(struct bkc_extract *x); /* NULL is fine; removes a file half written */

#endif
