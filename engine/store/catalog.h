/* The backups of a store: which there are, finding one, and the records beside them. */
#ifndef BK_CATALOG_H
#define BK_CATALOG_H

#include "store/manifest.h"
#include "store/store.h"

/* An archive at a sink's root that another program made, or that lost its manifest: backup-<stack>-
 * <YYYYMMDD-HHMMSS>-<id>.tar.zst, with '-' or '_' between the parts. */
struct bk_foreign {
    char *object; /* its name */
    char *stack;
    int64_t time_ns;
    uint64_t size;                /* as stored */
    struct bk_manifest *manifest; /* bk_backup_manifest()'s, once it was asked for */
};

struct bk_backup {                /* one id that has a manifest; or a foreign archive */
    char *id;                     /* foreign: the object's name without its suffix */
    struct bk_foreign *foreign;   /* NULL: one of ours */
    struct bk_manifest *manifest; /* NULL when it is damaged or too new, or foreign: see below */
    struct bk_err damage;         /* why, then */
    char *verified;         /* newest verify record: "read ok 2025-11-05T12:00:00Z", or NULL */
    json_t *drill;          /* newest drill record, or NULL */
    bool good;              /* whole, and nothing is missing against the good one before */
    struct bk_strv missing; /* components that the good one before had and this has not */
};

struct bk_catalog {
    struct bk_backup *backups; /* by start time, oldest first; damaged ones by the time in the id */
    size_t n;
    struct bk_backup *foreign; /* by time, oldest first; only with BK_CATALOG_FOREIGN */
    size_t n_foreign;
    size_t n_elsewhere; /* of the pipeline, too, but of other hosts than the one asked for */
    char *elsewhere;    /* the newest one's host */
};

#define BK_CATALOG_RECORDS (1u << 0) /* read the records too */
#define BK_CATALOG_FOREIGN (1u << 1) /* look for foreign archives too: for verbs that read */

/* All backups in one sink. pipeline and host: only those; NULL: all. `good` and `missing` are
 * worked out within each pipeline and host. */
int bk_catalog_load(struct bk_sink *sink, const char *pipeline, const char *host, unsigned flags,
                    struct bk_catalog **ret, struct bk_err *err);
void bk_catalog_free(struct bk_catalog *c); /* NULL is fine */

/* What a backup holds: every reading verb gets it from here, not from b->manifest. Of a foreign
 * archive it is made by reading all of it once, and kept with the catalog: its components have no
 * source (c->source is NULL), plugin "docker" and the stack as their group. Of a damaged backup the
 * damage is returned. *ret lives as long as the catalog. */
int bk_backup_manifest(struct bk_store *store, struct bk_sink *sink, const struct bk_backup *b,
                       const struct bk_manifest **ret, struct bk_err *err);
/* When it was started. */
int64_t bk_backup_time(const struct bk_backup *b);

/* "latest" (the newest that is not damaged), an id or a unique beginning of one. Foreign archives
 * are found by their ids too, or by their objects' names; as "latest" only when there is nothing
 * else. *ret may be foreign: its manifest is bk_backup_manifest()'s.
 * before_ns > 0: the newest that was started at or before then (id must be "latest").
 * BK_E_NOSTORE when there is none, BK_E_USAGE when it is not unique; a damaged one is
 * BAKE_E_CORRUPT. */
int bk_catalog_find(const struct bk_catalog *c, const char *id, int64_t before_ns,
                    const struct bk_backup **ret, struct bk_err *err);

/* The newest backup that holds components beneath <stack>/ that have not failed, or a foreign
 * archive of exactly that stack. before_ns and failures as above. */
int bk_catalog_latest_with(const struct bk_catalog *c, const char *stack, int64_t before_ns,
                           const struct bk_backup **ret, struct bk_err *err);

/* Of the newest drill: "ok" or "failed", and when; NULL and "": there was none. */
const char *bk_backup_drill(const struct bk_backup *b, const char **ret_time);

/* Puts records/<time>-<kind>.json beside a backup; `facts` gains id, kind and time. */
int bk_record_put(struct bk_sink *sink, const char *id, const char *kind, json_t *facts,
                  struct bk_err *err);

#endif
