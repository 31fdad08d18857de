/* Files, whole: short reads and writes, EINTR, durability. Every descriptor is O_CLOEXEC. */
#ifndef BK_IO_H
#define BK_IO_H

#include "base/buf.h"
#include "base/err.h"
#include <sys/types.h>

/* Bytes read until n or the end of file; -1 with errno. */
ssize_t bk_read_full(int fd, void *data, size_t n);
/* 0, or -1 with errno; a write of 0 bytes counts as ENOSPC. */
int bk_write_full(int fd, const void *data, size_t n);

/* The whole file into b (appended). Refuses more than limit bytes, directories and devices. */
int bk_read_file(const char *path, size_t limit, struct bk_buf *b, struct bk_err *err);
/* Temporary name beside it, written, fsynced, renamed over path, directory fsynced. */
int bk_write_file(const char *path, const void *data, size_t n, mode_t mode, struct bk_err *err);
/* Creates path and its parents with mode; existing directories are left as they are. */
int bk_mkdir_p(const char *path, mode_t mode, struct bk_err *err);
int bk_fsync_dir(const char *path, struct bk_err *err);

#endif
