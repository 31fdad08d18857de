/* What the files of the extractor share. Nothing of it is for others. */
#ifndef BKC_TREE_IMPL_H
#define BKC_TREE_IMPL_H

#include "tree/extract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define BKC_TMP_CAP  24 /* ".bake-xxxxxxxx.tmp" */
#define BKC_OPEN_MAX 60 /* directories that are open at once */

/* What an entry says of its owner, mode, times and attributes. */
struct bkc_meta {
    uint32_t valid; /* BAKE_HAS_* */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int64_t mtime_ns;
    void *xattrs; /* packed as in struct bake_entry */
    size_t xattrs_size;
};

/* An object whose metadata are to be set: by fd, or (fd < 0) as a name in dirfd. */
struct bkc_obj {
    int fd, dirfd;
    const char *name;
    const char *path; /* for messages */
    uint32_t type;    /* enum bake_entry_type */
    uid_t uid;        /* as they are now */
    gid_t gid;
    mode_t mode;
    bool drop_acl; /* an ACL may have been inherited from the directory */
};

struct bkc_say { /* who is told, by one thread */
    struct bake_ctx *ctx;
    unsigned n_shown;
    char shown[2][400]; /* not set */
};

/* A directory on the way to the current one, or one that was left while files are still being made
 * in it. Only the extractor's thread touches it, but for what is marked. */
struct bkc_level {
    int fd;         /* -1: closed, so that few are open; never while files are made in it */
    size_t end;     /* length of the path that ends here */
    struct stat st; /* as it was found or made */
    bool made;      /* by this extractor, and not left since: nothing else is in it */
    bool touched;   /* something in it was made or renamed */
    bool unlocked;  /* its mode was widened for the time being */
    bool has_meta;  /* meta is set on leaving */
    bool default_acl;
    struct bkc_meta meta; /* owned */
    char *path;           /* once it was left: for messages */
    struct bkc_level *next;
    /* under the extractor's lock */
    size_t files;     /* being made in it */
    bool written;     /* one of them came to be: as touched */
    bool knows_owner; /* whom a new file in it belongs to */
    uid_t uid;
    gid_t gid;
};

/* A regular file between bkc_extract_file() and bkc_file_free(). What it says of its directory are
 * copies: the level is another thread's. */
struct bkc_file {
    struct bkc_extract *x;
    struct bkc_level *level;
    struct bkc_file *next, *prev; /* under the lock: all that are being made */
    struct bake_ctx *ctx;
    bool dir_made, default_acl, knows_owner;
    int dirfd;
    dev_t dev;
    int fd;                /* -1: not begun, or ended */
    char tmp[BKC_TMP_CAP]; /* its name until it is whole; "": it has none */
    char *path, *name;     /* in one block with the file, as are extents and attributes */
    struct bkc_meta meta;
    struct bkc_obj obj;
    uint64_t size, end; /* logical size; where the last byte written ends */
    const struct bake_extent *extents;
    size_t n_extents;
    size_t at;        /* the current extent */
    uint64_t at_done; /* bytes of it that are written */
    uint64_t bytes;   /* written in all */
    bool touched;     /* its directory was written to */
    bool placed;
};

enum { BKC_UNKNOWN, BKC_YES, BKC_NO };

struct bkc_once { /* something that could not be restored, reported once */
    char *what;
    uint64_t count;
};

struct bkc_ids; /* user and group names looked up */

#define BKC_SEEN_IMPLICIT 1u /* made because it was missing: its own entry may still come */
#define BKC_SEEN_LOCKED   2u /* left with a mode that keeps its owner out */
struct bkc_seen {            /* directories made here that are special; few */
    struct bkc_seen_dir {
        dev_t dev;
        ino_t ino;
        uint32_t flags; /* 0: free */
    } * slots;
    size_t n, cap;
};

struct bkc_extract {
    struct bkc_say say;
    int force;
    mode_t parent_mode, umask;
    bool root_was_empty, knows_umask;
    uid_t euid;
    struct bkc_level **levels;
    size_t depth, cap_levels; /* levels[depth] is the current directory */
    struct bkc_level *left;   /* left, and waiting for their files */
    char *dir;                /* its path */
    size_t cap_dir;
    char *path; /* of the current entry */
    size_t cap_path;
    char *name;            /* in path: its last part */
    uint32_t type;         /* of the entry between put and end; 0: none */
    struct bkc_file *file; /* it, if it is a file */
    struct bkc_ids *ids;
    struct bkc_seen seen;
    /* several threads */
    atomic_uint_fast64_t random; /* state of the names' generator */
    atomic_bool no_noreplace;
    atomic_bool landed_left; /* a directory in `left` may have no files any more */
    pthread_mutex_t lock;    /* over what follows, and parts of the levels */
    pthread_cond_t landed;   /* a file is not being made any more */
    struct bkc_file *flying;
    int unnamed; /* BKC_YES: on unnamed_dev files can be made before they have a name */
    dev_t unnamed_dev;
    struct bkc_once *once;
    size_t n_once;
    bool owner_told;
    struct bkc_extract_counts counts;
};

/* util.c */
int bkc_grow(void **p, size_t *cap, size_t need); /* 0, or -1: out of memory */
/* The path as it may stand in a message: short, without control characters. Two at a time. */
const char *bkc_show(struct bkc_say *say, const char *path);
/* bake_fail() with ": " and errno's text; the code follows from it. */
int bkc_fail_errno(struct bkc_say *say, int e, const char *fmt, ...) BAKE_PRINTF(3, 4);
int bkc_nomem(struct bkc_say *say);
/* 1: the next attribute, 0: no more, -1: broken. */
int bkc_xattr_next(const char **p, size_t *left, const char **name, const void **value,
                   uint32_t *n);
bool bkc_dir_empty(int dirfd, const char *name);
bool bkc_umask(mode_t *ret); /* the process's; false: not known */
/* Adds to one of x->counts. */
void bkc_count(struct bkc_extract *x, uint64_t *counter, uint64_t n);
/* Reports the first of its kind as a WARNING and counts the others for bkc_once_end(). */
void bkc_once(struct bkc_extract *x, struct bkc_say *say, const char *what, const char *path,
              int e);
void bkc_once_end(struct bkc_extract *x);
void bkc_once_free(struct bkc_extract *x);
void bkc_seen_add(struct bkc_seen *s, const struct stat *st, uint32_t flags);
uint32_t bkc_seen_get(const struct bkc_seen *s, const struct stat *st);
void bkc_seen_clear(struct bkc_seen *s, const struct stat *st, uint32_t flags);

/* ids.c */
struct bkc_ids *bkc_ids_new(void);
void bkc_ids_free(struct bkc_ids *ids);
uid_t bkc_ids_user(struct bkc_ids *ids, const char *name, uid_t otherwise);
gid_t bkc_ids_group(struct bkc_ids *ids, const char *name, gid_t otherwise);

/* meta.c */
/* xattrs is borrowed from the entry; bkc_meta_own() makes it the meta's own. */
void bkc_meta_of(struct bkc_extract *x, const struct bake_entry *e, struct bkc_meta *ret);
int bkc_meta_own(struct bkc_meta *m); /* 0, or -1: out of memory */
void bkc_meta_set(struct bkc_extract *x, struct bkc_say *say, const struct bkc_meta *m,
                  const struct bkc_obj *o);
void bkc_obj_of(struct bkc_obj *o, const struct stat *st);
void bkc_acl_drop(int fd); /* what a directory has inherited */
bool bkc_acl_inherits(int fd);

/* level.c */
/* Puts an open directory on the stack; takes fd over. */
int bkc_level_push(struct bkc_extract *x, const char *name, int fd, const struct stat *st,
                   bool made);
/* The top is left: its metadata are set now, or once no file is being made in it. */
void bkc_level_pop(struct bkc_extract *x);
void bkc_level_settle(struct bkc_extract *x, struct bkc_level *l, const char *path);
void bkc_level_free(struct bkc_level *l);
/* Settles what was left and has no files any more; wait: the others as well. */
void bkc_left_settle(struct bkc_extract *x, bool wait);
/* If this directory was left and is not settled, it is now: somebody goes into it again. True: its
 * metadata may have changed. */
bool bkc_left_again(struct bkc_extract *x, const struct stat *st);
static inline struct bkc_level *bkc_here(struct bkc_extract *x) { return x->levels[x->depth]; }

/* dirs.c */
int bkc_dirs_open(struct bkc_extract *x, const char *root);
/* Makes path[0..n) the current directory, with what is missing on the way. n 0: the root. */
int bkc_dirs_enter(struct bkc_extract *x, const char *path, size_t n);
int bkc_dirs_leave(struct bkc_extract *x);  /* the current one, not the root */
int bkc_dirs_finish(struct bkc_extract *x); /* leaves all, then writes out the file system */
/* An entry that is a directory: made or merged, and entered. */
int bkc_dirs_put(struct bkc_extract *x, const struct bake_entry *e);
/* The directory that holds path's last part (*ret_name), without making anything current. The
 * caller closes *ret_close unless it is negative. */
int bkc_dirs_find(struct bkc_extract *x, const char *path, int *ret_fd, int *ret_close,
                  const char **ret_name);
void bkc_dirs_close(struct bkc_extract *x);

/* place.c */
void bkc_tmp_name(struct bkc_extract *x, char out[BKC_TMP_CAP]);
/* From a temporary name to its own; 0 or an errno. EEXIST: something is there. */
int bkc_place_new(struct bkc_extract *x, int dirfd, const char *tmp, const char *name);
/* The same over what is there; an empty directory gives way. */
int bkc_place_over(int dirfd, const char *tmp, const char *name);
/* Gives an open file without a name one; 0 or an errno. EEXIST: something is there. */
int bkc_place_unnamed(struct bkc_extract *x, int fd, int dirfd, const char *name);
/* Something stands where the entry should: counts it as same (BAKE_END) or kept (BAKE_E_EXISTS). */
int bkc_existing(struct bkc_extract *x, struct bkc_say *say, const struct bake_entry *e, int dirfd,
                 const char *name, const struct stat *st);
/* With force: a directory that is not empty stays. */
int bkc_keep_dir(struct bkc_extract *x, struct bkc_say *say, const char *path);

/* node.c */
/* Links, devices and FIFOs. */
int bkc_node_put(struct bkc_extract *x, const struct bake_entry *e);

/* extract.c */
/* 0 if path is relative without empty, "." or ".." parts. */
int bkc_path_check(struct bkc_extract *x, const char *path, const char *what);

/* file.c */
/* A file in the current directory, called x->path. */
int bkc_file_new(struct bkc_extract *x, const struct bake_entry *e, struct bkc_file **ret);

/* flight.c: what the thread of the extractor and those that make files tell each other */
void bkc_fly(struct bkc_file *f);
/* It is not being made any more; adds to the counts what it has become. */
void bkc_land(struct bkc_file *f);
/* Waits for a file that is being made under this path. */
void bkc_await_path(struct bkc_extract *x, const char *path);
/* Waits until no file is being made in the directory. */
void bkc_await_level(struct bkc_extract *x, struct bkc_level *l);
bool bkc_level_busy(struct bkc_extract *x, struct bkc_level *l);
/* f->obj says whom a new file of its directory belongs to. */
void bkc_owner_known(struct bkc_file *f);
/* Can files be made on this device before they have a name? BKC_UNKNOWN, BKC_YES, BKC_NO. */
int bkc_unnamed(struct bkc_extract *x, dev_t dev);
void bkc_unnamed_learn(struct bkc_extract *x, dev_t dev, bool works);

#endif
