/* What the parts of the tar reader and writer share: blocks, and what a header said. */
#ifndef DOCKER_TAR_IMPL_H
#define DOCKER_TAR_IMPL_H

#include "tar_in.h"

#include <stddef.h>

#define TAR_BLOCK    512u
#define TAR_EXTENDED (4u << 20) /* bytes of one pax header or long name at most */

struct tar_text { /* one that grows */
    char *data;
    size_t n, cap;
};

/* What stands for one entry, from its header and those before it. */
struct tar_head {
    struct tar_text path, link, xattrs; /* path and link NUL-ended */
    bool has_path, has_link, has_size, has_uid, has_gid, has_mtime, has_xattrs;
    char type;
    uint32_t mode, uid, gid, dev_major, dev_minor;
    uint64_t size;
    int64_t mtime_ns;
};

/* BAKE_OK or BAKE_E_NOMEM. */
int tar_text_set(struct tar_text *t, const char *data, size_t n); /* a NUL is added */
int tar_text_add(struct tar_text *t, const void *data, size_t n);
void tar_head_begin(struct tar_head *h); /* keeps the memory */
void tar_head_free(struct tar_head *h);

/* BAKE_OK, BAKE_E_CORRUPT with *ret_why (static), or BAKE_E_NOMEM. */
int tar_head_block(struct tar_head *h, const unsigned char block[TAR_BLOCK], const char **ret_why);
int tar_head_pax(struct tar_head *h, const char *data, size_t n, const char **ret_why);

/* An entry's name as the daemon writes it ("./a/b", "./a/") as a path ("a/b", "."), in place. NULL:
 * fine; else what is wrong with it (static). */
const char *tar_name(struct tar_text *name);

/* dk_tar_open() into anything. */
struct dk_tar;
typedef int dk_tar_emit_fn(void *arg, const void *data, size_t n);
int dk_tar_open_to(struct bake_ctx *ctx, dk_tar_emit_fn *emit, void *arg, const char *prefix,
                   struct dk_tar **ret);

#endif
