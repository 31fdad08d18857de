/* What the components of a repository share: indexes, what is read of packs, and, in a run, the
 * packs that are being made. Hangs on the store; made when first needed. */
#ifndef BK_REPO_H
#define BK_REPO_H

#include "store/fetch.h"
#include "store/manifest.h"
#include "store/packer.h"

struct bk_repo_side { /* one sink's */
    struct bk_sink *sink;
    struct bk_index *index;
    struct bk_fetch *fetch;
    struct bk_repo_side *next;
};

struct bk_repo {
    pthread_mutex_t lock; /* over sides */
    struct bk_repo_side *sides;
    struct bk_chunker chunker;
    struct bk_packer *packer;   /* NULL but between begin and end of a run */
    struct bk_repo_side *write; /* the base sink's, opened for writing */
};

/* The side of a sink, opened for reading if it is not there yet. It lives as long as the store (or
 * until bk_repo_forget). Any thread. */
int bk_repo_side_of(struct bk_store *store, struct bk_sink *sink, struct bk_repo_side **ret,
                    struct bk_err *err);
/* Drops what is known of the packs: prune has changed them. Nothing may be in use. */
void bk_repo_forget(struct bk_store *store);
int bk_repo_new(struct bk_store *store, struct bk_err *err); /* store.c's, as the next */
void bk_repo_free(struct bk_store *store);

/* A run: see bk_backup_begin() and so on. */
int bk_repo_begin(struct bk_store *store, struct bk_err *err);
int bk_repo_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err);
void bk_repo_end(struct bk_store *store);
uint64_t bk_repo_shared_memory(const struct bk_store *store);

/* Puts a chunk unless it is stored; *ret_new is true if it was not. */
int bk_repo_put(struct bk_repo *repo, enum bk_pack_kind kind, const bk_id *id, const void *data,
                size_t n, bool *ret_new, struct bk_err *err);

#endif
