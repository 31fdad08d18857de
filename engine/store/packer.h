/* Makes packs: chunks are appended by any number of threads, segments go through the transforms on
 * threads of the packer's own, whole packs are put into every usable sink, durably. Memory is
 * bounded: appending waits while too much is under way. */
#ifndef BK_PACKER_H
#define BK_PACKER_H

#include "store/pack.h"
#include "store/store.h"

struct bk_packer;

struct bk_packer_opts {
    size_t lanes; /* threads */
    /* A pack that is durable, the size of its header, and its chunks. On a thread of the packer's,
     * one at a time. */
    int (*stored)(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                  const struct bk_pack_table *table, struct bk_err *err);
    void *arg;
};

int bk_packer_new(struct bk_store *store, struct bk_cancel *cancel,
                  const struct bk_packer_opts *opts, struct bk_packer **ret, struct bk_err *err);
/* Any thread. Copies the chunk. Fails with the reason once any lane has failed. */
int bk_packer_add(struct bk_packer *p, enum bk_pack_kind kind, const bk_id *id, const void *data,
                  size_t n, struct bk_err *err);
/* Closes what is open and waits until all of it is stored. Further chunks may follow. */
int bk_packer_flush(struct bk_packer *p, struct bk_err *err);
uint64_t bk_packer_stored(struct bk_packer *p); /* bytes of the packs put so far */
void bk_packer_free(struct bk_packer *p);       /* what was not flushed is dropped; NULL is fine */
uint64_t bk_packer_memory(const struct bk_store *store, size_t lanes);

#endif
