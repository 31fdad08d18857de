/* A listing from a string, in pieces; entries of every type. */
#ifndef LISTING_KIT_H
#define LISTING_KIT_H

#include "storekit.h"

#include "store/listing.h"

#include <string.h>

struct text_pull {
    const char *data;
    size_t n, at, piece;
    int fail_rc; /* at the end, instead of the end */
};

static inline int pull_text(void *arg, const void **data, size_t *n)
{
    struct text_pull *p = arg;

    *data = p->data + p->at;
    *n = p->n - p->at < p->piece ? p->n - p->at : p->piece;
    p->at += *n;
    return *n == 0 ? p->fail_rc : BAKE_OK;
}

#define KIT_SUM "9f86d081884c7d659a2feaa0c55ad015" /* of a file */
#define KIT_ALL (BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME | BAKE_HAS_INODE)

/* One of each type, with all the metadata that a listing holds. */
static inline size_t kit_entries(const struct bake_entry **ret)
{
    static char user[] = "root", group[] = "adm group";
#define KIT_ENTRY(t, p, ...)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(struct bake_entry), .type = t, .valid = KIT_ALL, .path = p,          \
        .user = user, .group = group, .uid = 12, .gid = 4000000000u, .nlink = 2, __VA_ARGS__       \
    }
    static const struct bake_entry all[] = {
        KIT_ENTRY(BAKE_DIR, ".", .mode = 0755, .mtime_ns = 0),
        KIT_ENTRY(BAKE_DIR, "a dir", .mode = 01777, .mtime_ns = -1),
        KIT_ENTRY(BAKE_FILE, "a dir/f#1=\"x\"", .mode = 06755, .size = 1099511627776,
                  .mtime_ns = 1762344000123456789),
        KIT_ENTRY(BAKE_FILE, "a dir/\xff\x01\n", .mode = 0, .mtime_ns = -1500000000),
        KIT_ENTRY(BAKE_SYMLINK, "l", .mode = 0777, .link = "to \\ a=b\n",
                  .mtime_ns = -62135596800000000),
        KIT_ENTRY(BAKE_CHARDEV, "c", .mode = 0600, .dev_major = 4, .dev_minor = 64),
        KIT_ENTRY(BAKE_BLOCKDEV, "b", .mode = 0660, .dev_major = 259, .dev_minor = 1000),
        KIT_ENTRY(BAKE_FIFO, "p", .mode = 0644, .mtime_ns = 1000000001),
    };

    *ret = all;
    return sizeof(all) / sizeof(all[0]);
}

#endif
