/* The tar that a PostgreSQL server writes: plain ustar headers, names up to 100 bytes, sizes in
 * octal digits or, from 8 GiB on, in binary (src/port/tar.c). Pure: no I/O. */
#ifndef PG_BASE_TAR_H
#define PG_BASE_TAR_H

#include <bakengine/plugin.h>

#include <stdbool.h>

#define PG_TAR_BLOCK 512

struct pg_tar_head {
    char path[256]; /* prefix and name, without a '/' at the end; relative and normal */
    char link[101];
    uint32_t type; /* BAKE_FILE, BAKE_DIR or BAKE_SYMLINK; 0: the end mark, a block of zeros */
    uint32_t mode, uid, gid;
    uint64_t size;
    int64_t mtime_ns;
};

/* OK; BAKE_E_CORRUPT: *ret_why says what is wrong, a static text. */
int pg_tar_head(const unsigned char block[PG_TAR_BLOCK], struct pg_tar_head *ret,
                const char **ret_why);

#endif
