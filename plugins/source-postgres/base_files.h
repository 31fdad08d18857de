/* Files and directories: small things that the way back needs. Paths are ours or were checked. */
#ifndef PG_BASE_FILES_H
#define PG_BASE_FILES_H

#include <bakengine/plugin.h>

#include <stdbool.h>

/* Removes a directory and all below it, following no link; OK when there is none. */
int pg_remove_tree(struct bake_ctx *ctx, const char *path);
/* 1: there is nothing in it (but lost+found), 0: there is, or it is no directory; < 0: said. When
 * there is no such thing *ret_absent is true, and it is 1. */
int pg_is_empty(struct bake_ctx *ctx, const char *path, bool *ret_absent);
/* New, mode 0700, belonging to uid and gid if as_user. */
int pg_make_dir(struct bake_ctx *ctx, const char *path, bool as_user, uint32_t uid, uint32_t gid);
/* The file's new content, mode 0600. */
int pg_write_file(struct bake_ctx *ctx, const char *path, const char *text, size_t n, bool as_user,
                  uint32_t uid, uint32_t gid);
/* The whole file, NUL-ended, at most `most` bytes; to be freed. *ret NULL: there is none. */
int pg_read_file(struct bake_ctx *ctx, const char *path, size_t most, char **ret);
/* All that was written to its file system is on the disk. */
int pg_sync_all(struct bake_ctx *ctx, const char *path);
int pg_sync_dir(struct bake_ctx *ctx, const char *path);
/* The directory that the last part of a path is in; to be freed. NULL: out of memory. */
char *pg_parent_of(const char *path);
/* A process works in this directory: a server does in that of its data. */
bool pg_in_use(const char *directory);
/* " for a shell: 'it'\''s'"; to be freed. NULL: out of memory. */
char *pg_shell_quoted(const char *text);

#endif
