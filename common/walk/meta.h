/* Metadata of one object: stat, names of users and groups, extended attributes. */
#ifndef BKC_WALK_META_H
#define BKC_WALK_META_H

#include <bakengine/plugin.h>
#include <stdbool.h>
#include <sys/stat.h>

struct bkc_walk_stat {
    uint32_t mode; /* with the type */
    uint32_t uid, gid;
    uint64_t dev, ino, nlink, rdev;
    uint64_t size, allocated; /* bytes */
    int64_t mtime_ns, ctime_ns;
    int64_t born_ns; /* 0: unknown */
    bool mount;      /* the top of a mount */
};

/* name "": fd itself. Never follows a link. 0 or an errno. */
int bkc_walk_stat(int fd, const char *name, struct bkc_walk_stat *ret);
/* Opens for reading: no link is followed, no access time touched where that may be, no FIFO waited
 * for. -1: errno. */
int bkc_walk_open_quiet(int dirfd, const char *name, int flags);
bool bkc_walk_same_object(const struct bkc_walk_stat *a, const struct bkc_walk_stat *b);
/* The same object, with the same size and times: nobody wrote to it in between. */
bool bkc_walk_unchanged(const struct bkc_walk_stat *a, const struct bkc_walk_stat *b);
/* Mode, owner, times, size, inode and device of the entry; not type, path or xattrs. */
void bkc_walk_stat_entry(const struct bkc_walk_stat *st, struct bake_entry *e);

#define BKC_WALK_ID_SLOTS 64
struct bkc_walk_ids { /* names of users and groups that were seen lately */
    struct bkc_walk_id {
        uint32_t id;
        bool known;
        char *name; /* NULL: the system has none */
    } users[BKC_WALK_ID_SLOTS], groups[BKC_WALK_ID_SLOTS];
};
/* Sets user and group of the entry from its uid and gid. They live until the next call. */
int bkc_walk_ids_entry(struct bkc_walk_ids *ids, struct bake_entry *e);
void bkc_walk_ids_free(struct bkc_walk_ids *ids);

struct bkc_walk_xattrs { /* one buffer for all entries, one after the other */
    unsigned char *packed;
    size_t size, cap;
    char *names; /* as listed */
    int how;     /* see xattrs.c */
};
/* Packs all attributes of name in dirfd (not following a link), or of the open file dirfd where
 * name is "", as bake_entry.xattrs wants it. 0 or an errno; *ret_name (may be NULL): the attribute
 * that could not be read. A file system without attributes is one where there are none. ENOSYS:
 * this system has no way (an old kernel and no /proc). */
int bkc_walk_xattrs_read(struct bkc_walk_xattrs *x, int dirfd, const char *name,
                         const char **ret_name);
void bkc_walk_xattrs_free(struct bkc_walk_xattrs *x);

#endif
