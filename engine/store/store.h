/* A store: what stands in the sinks of a pipeline under bakengine.json. */
#ifndef BK_STORE_H
#define BK_STORE_H

#include "config/defaults.h"
#include "flow/chain.h"
#include "store/sink.h"

#include <pthread.h>

#define BK_FORMAT_VERSION 1
#define BK_STORE_ID_LEN   32 /* hex digits */

/* A transform that the pipeline does not name, with its options at their defaults. */
struct bk_default {
    struct bk_transform transform;
    struct bk_defaults options;
    struct bk_default *next;
};

struct bk_store {
    const struct bk_pipeline *pipeline;
    struct bk_registry *registry;
    struct bk_cancel *cancel;
    char id[BK_STORE_ID_LEN + 1];
    enum bk_format_id format;        /* as the store says, or will */
    uint64_t chunker_seed;           /* of a repository */
    struct bk_repo *repo;            /* a repository's shared parts (repo.h) */
    struct bk_bundles *bundles;      /* of the backup that is being written (bundle.c), or NULL */
    bool disagrees;                  /* with the pipeline: found while opening */
    struct bk_transform *transforms; /* the pipeline's, in writing order */
    size_t n_transforms;
    struct bk_sink *sinks;
    struct bk_err *failed; /* one per sink: rc != 0 once it is not used any more in this run */
    size_t n_sinks;
    pthread_mutex_t lock;        /* over failed[], held and lags */
    size_t held;                 /* groups, now: lag.h */
    struct bk_lag *lags;         /* what only one sink has */
    struct bk_default *defaults; /* transforms.c's, under its lock */
    pthread_mutex_t defaults_lock;
};

enum bk_store_mode {
    BK_STORE_READ, /* must be there (BK_E_NOSTORE); a sink that cannot be reached is left out */
    BK_STORE_WRITE /* made where it is not there yet */
};

void bk_store_free_defaults(struct bk_store *s); /* transforms.c's part of closing */

/* from: the name of the only sink to use, or NULL for all. The pipeline, registry and cancel must
 * outlive the store. Fails when no sink is usable. */
int bk_store_open(const struct bk_pipeline *p, struct bk_registry *reg, struct bk_cancel *cancel,
                  enum bk_store_mode mode, const char *from, struct bk_store **ret,
                  struct bk_err *err);
/* The same without any sink: for a dry run, which must not make a store. */
int bk_store_open_nothing(const struct bk_pipeline *p, struct bk_registry *reg,
                          struct bk_cancel *cancel, struct bk_store **ret, struct bk_err *err);
void bk_store_close(struct bk_store *s); /* NULL is fine */

/* Marks a sink as not usable any more in this run, with the reason. Any thread. */
void bk_store_sink_failed(struct bk_store *s, size_t sink, const struct bk_err *why);
bool bk_store_sink_ok(struct bk_store *s, size_t sink);
size_t bk_store_sinks_ok(struct bk_store *s);
/* Once no sink is usable: why, as a failure. */
int bk_store_none_usable(struct bk_store *s, struct bk_err *err);
/* The first sink that is usable: what is read is read from there. NULL: none. */
struct bk_sink *bk_store_base(struct bk_store *s);

/* Puts a small object into every usable sink; a sink that fails is marked. Fails when none is
 * left. */
int bk_store_put(struct bk_store *s, const char *name, const void *data, size_t n, uint32_t flags,
                 struct bk_err *err);
/* Removes an object from every usable sink; not being there is fine. */
int bk_store_remove(struct bk_store *s, const char *name, struct bk_err *err);

#endif
