/* A base backup against its own manifest: every file's size and checksum, none missing, none too
 * many (PostgreSQL's documentation, "Backup Manifest Format"). Files come first, in any order, then
 * the check; the manifest itself is kept in a temporary file without a name, and 24 bytes for each
 * file in memory. One thread. */
#ifndef PG_BASE_MANIFEST_H
#define PG_BASE_MANIFEST_H

#include <bakengine/plugin.h>

struct pg_manifest;

/* dir: where temporary files go; NULL: $TMPDIR, else /var/tmp. ctx must outlive it. */
int pg_manifest_new(struct bake_ctx *ctx, const char *dir, struct pg_manifest **ret);
void pg_manifest_free(struct pg_manifest *m); /* NULL is fine */

#define PG_MANIFEST_NAME "backup_manifest"

/* A file's content, in order; path as in the backup. The file PG_MANIFEST_NAME is the manifest;
 * a manifest does not name
 * the log's own files, in pg_wal/. good 0: what came was not right. */
int pg_manifest_file(struct pg_manifest *m, const char *path);
int pg_manifest_data(struct pg_manifest *m, const void *data, size_t n);
int pg_manifest_file_end(struct pg_manifest *m, int good);

/* OK; BAKE_E_CORRUPT: the failure says which file is wrong and how. */
int pg_manifest_check(struct pg_manifest *m);

/* To be read again. */
int pg_manifest_fd(const struct pg_manifest *m);
uint64_t pg_manifest_size(const struct pg_manifest *m);
uint64_t pg_manifest_files(const struct pg_manifest *m); /* those it names */

#endif
