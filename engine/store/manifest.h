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

struct bk_bundle { /* one object at the sink's root that holds the components of a group */
    char *name;
    uint64_t size;                    /* as stored */
    char sha256[BK_SHA256_HEX];       /* as stored; "": not known (a foreign archive) */
    char plain_sha256[BK_SHA256_HEX]; /* of the tar; "": not known */
    struct bk_strv transforms;        /* plugin names, in writing order */
};

struct bk_part_of { /* where a component stands in a bundle */
    char *bundle;   /* its name; NULL: the component has objects of its own */
    char *path;     /* within the tar */
    uint64_t first; /* its first entry, counted from 0; not known of a foreign archive: there its */
    uint64_t count; /* entries, which these are, are found by their paths */
};

enum bk_status { BK_STATUS_OK = 0, BK_STATUS_PARTIAL = 1, BK_STATUS_FAILED = 2 };
const char *bk_status_name(enum bk_status s); /* "ok", "partial", "failed" */

struct bk_mcomp {                         /* a component as the manifest has it */
    char *name, *group, *source, *plugin; /* group may be NULL */
    uint32_t kind;                        /* enum bake_component_kind */
    int unordered;                        /* a tree whose entries are not in the order of paths */
    enum bk_status status;
    char *error; /* why it failed; else NULL */
    char *hint;  /* what to do about that, or NULL: said, but not kept */
    uint64_t bytes_in, bytes_stored, entries, warnings, missing;
    uint64_t bytes_new; /* of a repository: bytes before compression that it did not hold yet */
    uint64_t unchanged; /* entries that were not read, since the parent has them */
    uint64_t duration_ms;
    char sha256[BK_SHA256_HEX]; /* of the plain stream, or of bk_refs_write(); "" when it failed */
    struct bk_object *objects;  /* format archive */
    size_t n_objects;
    struct bk_part_of in;      /* format archive with bundles */
    bool has_stream;           /* format repository */
    struct bk_refs stream;     /* a tree's records, a blob's bytes */
    struct bk_strv transforms; /* plugin names, in writing order */
    char *fingerprint;         /* or NULL */
    json_t *facts;             /* or NULL */
};

struct bk_mgroup { /* a group that was held while it was read */
    char *name, *source;
    uint64_t held_ms; /* from the call that held it until it was released */
    char *error;      /* why it could not be held or released; else NULL */
    json_t *facts;    /* the source's: what was stopped, for how long; or NULL */
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
    struct bk_bundle *bundles;
    size_t n_bundles;
    struct bk_mgroup *groups;
    size_t n_groups;
    json_t *plugins;       /* {"source-files": "0.1.0", ...} or NULL */
    json_t *pipeline_file; /* secrets left out; or NULL */
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
/* The bundles' parts (manifest_bundle.c): NULL when out of memory. */
json_t *bk_manifest_bundles_json(const struct bk_manifest *m);
int bk_manifest_bundles_parse(const json_t *j, const char *what, struct bk_manifest *m,
                              struct bk_err *err);
void bk_manifest_bundles_release(struct bk_manifest *m);
json_t *bk_part_of_json(const struct bk_part_of *p);
/* m: its bundles are there already. */
int bk_part_of_parse(const json_t *j, const char *what, const struct bk_manifest *m,
                     struct bk_part_of *ret, struct bk_err *err);
void bk_part_of_release(struct bk_part_of *p);
/* Of a component that stands in a bundle; NULL: it does not. */
const struct bk_bundle *bk_mcomp_bundle(const struct bk_manifest *m, const struct bk_mcomp *c);
/* The groups' parts (manifest_groups.c). */
void bk_mgroup_release(struct bk_mgroup *g);
void bk_manifest_groups_release(struct bk_manifest *m);
json_t *bk_manifest_groups_json(const struct bk_manifest *m); /* NULL: out of memory */
int bk_manifest_groups_parse(const json_t *j, const char *what, struct bk_manifest *m,
                             struct bk_err *err);
/* NULL: it was not held. */
const struct bk_mgroup *bk_manifest_group(const struct bk_manifest *m, const char *source,
                                          const char *name);
/* SHA-256 of bk_refs_write(). */
int bk_refs_digest(const struct bk_refs *r, char ret[BK_SHA256_HEX], struct bk_err *err);
/* The JSON document, for --json. A new reference; NULL: out of memory. */
json_t *bk_manifest_json(const struct bk_manifest *m);

#endif
