/* The backups of a store: which there are, finding one, and the records beside them. */
#ifndef BK_CATALOG_H
#define BK_CATALOG_H

#include "store/manifest.h"
#include "store/store.h"

struct bk_backup { /* one id that has a manifest */
    char *id;
    struct bk_manifest *manifest; /* NULL when it is damaged or too new */
    struct bk_err damage;         /* why, then */
    char *verified;         /* newest verify record: "read ok 2025-11-05T12:00:00Z", or NULL */
    bool good;              /* whole, and nothing is missing against the good one before */
    struct bk_strv missing; /* components that the good one before had and this has not */
};

struct bk_catalog {
    struct bk_backup *backups; /* by start time, oldest first; damaged ones by the time in the id */
    size_t n;
};

#define BK_CATALOG_RECORDS (1u << 0) /* read the records too */

/* All backups in one sink. pipeline and host: only those; NULL: all. `good` and `missing` are
 * worked out within each pipeline and host. */
int bk_catalog_load(struct bk_sink *sink, const char *pipeline, const char *host, unsigned flags,
                    struct bk_catalog **ret, struct bk_err *err);
void bk_catalog_free(struct bk_catalog *c); /* NULL is fine */

/* "latest" (the newest that is not damaged), an id or a unique beginning of one.
 * before_ns > 0: the newest that was started at or before then (id must be "latest").
 * BK_E_NOSTORE when there is none, BK_E_USAGE when it is not unique; a damaged one is
 * BAKE_E_CORRUPT. */
int bk_catalog_find(const struct bk_catalog *c, const char *id, int64_t before_ns,
                    const struct bk_backup **ret, struct bk_err *err);

/* Puts records/<time>-<kind>.json beside a backup; `facts` gains id, kind and time. */
int bk_record_put(struct bk_sink *sink, const char *id, const char *kind, json_t *facts,
                  struct bk_err *err);

#endif
