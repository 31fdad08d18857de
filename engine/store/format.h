/* What a store's format provides: the calls of comp.h, dispatched by comp_write.c and comp_read.c.
 * A writer or reader of a format begins with the base below. */
#ifndef BK_FORMAT_H
#define BK_FORMAT_H

#include "flow/flow.h"
#include "store/comp.h"

struct bk_compw_ops { /* comp.h says what each does; NULL: there is nothing to do, or BAKE_END */
    int (*build_on)(struct bk_compw *w, const struct bk_manifest *m, const struct bk_mcomp *c,
                    struct bk_err *err);
    int (*reuse)(struct bk_compw *w, uint64_t *ret_bytes, uint64_t *ret_entries,
                 struct bk_err *err);
    int (*unchanged)(struct bk_compw *w, const struct bake_entry *e, uint64_t *ret_bytes,
                     struct bk_err *err);
    int (*entry)(struct bk_compw *w, const struct bake_entry *e, struct bk_err *err);
    int (*data)(struct bk_compw *w, const void *data, size_t n, struct bk_err *err);
    int (*entry_end)(struct bk_compw *w, bool sure, struct bk_err *err);
    int (*finish)(struct bk_compw *w, struct bk_mcomp *ret, struct bk_err *err);
    void (*removed)(struct bk_compw *w); /* aborted: its stages have ended; what was put goes */
    void (*free)(struct bk_compw *w);
};

struct bk_compw {
    const struct bk_compw_ops *ops;
    struct bk_flow *flow; /* freed by the ops */
};

struct bk_compr_ops {
    int (*next)(struct bk_compr *r, struct bake_entry *ret, struct bk_err *err);
    const char *(*identity)(struct bk_compr *r);
    int (*read)(struct bk_compr *r, struct bake_out *out, struct bk_err *err);
    bool (*bad_entry)(const struct bk_compr *r);
    int (*finish)(struct bk_compr *r, struct bk_err *err);
    void (*lost)(struct bk_compr *r, void (*each)(void *arg, const char *path), void *arg);
    void (*free)(struct bk_compr *r);
    int (*detach)(struct bk_compr *r, struct bk_content **ret, struct bk_err *err); /* or NULL */
    int (*content_read)(struct bk_content *c, struct bake_out *out, struct bk_err *err);
    int (*content_check)(struct bk_content *c, uint64_t *ret_bytes, struct bk_err *err);
    void (*content_free)(struct bk_content *c);
};

struct bk_compr {
    const struct bk_compr_ops *ops;
};

struct bk_content {
    const struct bk_compr_ops *ops;
};

struct bk_format {
    int (*begin)(struct bk_store *store, struct bk_err *err); /* or NULL */
    int (*seal)(struct bk_store *store, struct bk_manifest *m, struct bk_err *err);
    void (*end)(struct bk_store *store); /* or NULL */
    uint64_t (*shared_memory)(const struct bk_store *store);
    uint64_t (*memory)(const struct bk_store *store, uint32_t kind);
    char *(*object_name)(const struct bk_store *store, const char *component, uint32_t kind);
    int (*open_writer)(struct bk_store *store, const char *id, struct bk_cancel *parent,
                       const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err);
    int (*open_reader)(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                       const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                       struct bk_compr **ret, struct bk_err *err);
    int (*look)(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                struct bk_look *look, struct bk_err *err);
    int (*distrust)(struct bk_store *store, struct bk_sink *sink, const char *host, uint64_t *ret,
                    struct bk_err *err); /* or NULL */
};

extern const struct bk_format bk_format_archive, bk_format_repository;

/* Their readers stand in files of their own. */
int bk_archive_open_reader(struct bk_store *store, struct bk_sink *sink,
                           const struct bk_manifest *m, const struct bk_mcomp *c, unsigned flags,
                           struct bk_cancel *parent, struct bk_compr **ret, struct bk_err *err);
int bk_repo_open_reader(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                        const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                        struct bk_compr **ret, struct bk_err *err);

int bk_bundle_open_cat(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                       const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                       struct bk_compr **ret, struct bk_err *err);
char *bk_archive_listing_name(const struct bk_store *store, const char *component);

/* And what checks a backup. */
int bk_archive_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                    struct bk_look *look, struct bk_err *err);
int bk_repo_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                 struct bk_look *look, struct bk_err *err);
int bk_repo_distrust(struct bk_store *store, struct bk_sink *sink, const char *host, uint64_t *ret,
                     struct bk_err *err);

const struct bk_format *bk_format_of(const struct bk_store *store);

#endif
