/* manifest.json: what a backup holds. Written last, put-if-absent: the commit. It names
 * components, never files within them. Its page is docs/format.md. */
#ifndef BK_MANIFEST_H
#define BK_MANIFEST_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/str.h"
#include "store/layout.h"
#include "store/stream.h"

#define BK_MANIFEST_VERSION 1
#define BK_MANIFEST_LIMIT   (64u << 20)

struct bk_object { /* one stored object of a component */
    char *name;    /* below backups/<id>/ */
    char *role;    /* "data" or "listing" */
    uint64_t size; /* as stored */
    char sha256[BK_SHA256_HEX];
};

enum bk_status { BK_STATUS_OK = 0, BK_STATUS_PARTIAL = 1, BK_STATUS_FAILED = 2 };
const char *bk_status_name(enum bk_status s); /* "ok", "partial", "failed" */

struct bk_mcomp {                         /* a component as the manifest has it */
    char *name, *group, *source, *plugin; /* group may be NULL */
    uint32_t kind;                        /* enum bake_component_kind */
    enum bk_status status;
    char *error; /* why it failed; else NULL */
    uint64_t bytes_in, bytes_stored, entries, warnings, missing;
    uint64_t bytes_new; /* of a repository: bytes before compression that it did not hold yet */
    uint64_t unchanged; /* entries that were not read, since the parent has them */
    uint64_t duration_ms;
    char sha256[BK_SHA256_HEX]; /* of the plain stream, or of bk_refs_write(); "" when it failed */
    struct bk_object *objects;  /* format archive */
    size_t n_objects;
    bool has_stream;           /* format repository */
    struct bk_refs stream;     /* a tree's records, a blob's bytes */
    struct bk_strv transforms; /* plugin names, in writing order */
    char *fingerprint;         /* or NULL */
    json_t *facts;             /* or NULL */
};

struct bk_manifest {
    char *id, *pipeline, *type, *parent; /* parent may be NULL */
    char *host, *engine;
    struct bk_strv tags;
    int64_t start_ns, end_ns;
    int encrypted;
    int has_level;
    int64_t compression_level;
    struct bk_mcomp *comps;
    size_t n_comps;
    uint64_t n_packs, packs_size;     /* of the object "packs" beside it, of a repository */
    char packs_sha256[BK_SHA256_HEX]; /* "": there is none */
    json_t *plugins;                  /* {"source-files": "0.1.0", ...} or NULL */
    json_t *pipeline_file;            /* secrets left out; or NULL */
};

void bk_manifest_free(struct bk_manifest *m); /* NULL is fine */
void bk_mcomp_release(struct bk_mcomp *c);

/* The sealed text, ready to put. */
int bk_manifest_write(const struct bk_manifest *m, struct bk_buf *out, struct bk_err *err);
/* Checks the seal, the version and every name in it: nothing outside of the backup's folder can
 * be named. `id` is where it was found; the manifest must agree. */
int bk_manifest_parse(const char *text, size_t n, const char *id, struct bk_manifest **ret,
                      struct bk_err *err);

/* No component failed or is partial. (Missing ones are the run's to find.) */
bool bk_manifest_good(const struct bk_manifest *m);
struct bk_mcomp *bk_manifest_find(const struct bk_manifest *m, const char *component);
const struct bk_object *bk_mcomp_object(const struct bk_mcomp *c, const char *role);
/* Sums over components. */
void bk_manifest_totals(const struct bk_manifest *m, uint64_t *bytes_in, uint64_t *bytes_stored,
                        uint64_t *entries, uint64_t *warnings);
/* The repository's parts (manifest_stream.c): NULL when out of memory. */
json_t *bk_mcomp_stream_json(const struct bk_mcomp *c);
int bk_mcomp_stream_parse(const json_t *j, const char *what, struct bk_mcomp *c,
                          struct bk_err *err);
json_t *bk_manifest_packs_json(const struct bk_manifest *m);
int bk_manifest_packs_parse(const json_t *j, const char *what, struct bk_manifest *m,
                            struct bk_err *err);
/* SHA-256 of bk_refs_write(). */
int bk_refs_digest(const struct bk_refs *r, char ret[BK_SHA256_HEX], struct bk_err *err);
/* The JSON document, for --json. A new reference; NULL: out of memory. */
json_t *bk_manifest_json(const struct bk_manifest *m);

#endif
