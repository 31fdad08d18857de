/* Reads files that may hold secrets: env files, K_file. */
#ifndef BK_PRIVATE_FILE_H
#define BK_PRIVATE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include <sys/types.h>

/* The whole regular file (of at most limit bytes) into b, and its mode. Nothing else is read: a
 * FIFO or a device could block or never end. */
int bk_read_private(const char *path, size_t limit, struct bk_buf *b, mode_t *ret_mode,
                    struct bk_err *err);

#endif
