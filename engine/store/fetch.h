/* Chunks read back from one sink, through a cache of decoded segments that all threads of a session
 * share. What several ask for is fetched and decoded once; what is announced comes in long ranges,
 * ahead of those who will ask for it. Thread-safe. */
#ifndef BK_FETCH_H
#define BK_FETCH_H

#include "store/index.h"

struct bk_fetch;

/* Bytes that it may hold: stored pieces on their way and decoded segments. Beside it: at most 6 MiB
 * of tables and places, 250 bytes a pack, and a decoder's memory for each thread that decodes. */
#define BK_FETCH_CACHE (48u << 20)

/* Index and store must outlive it. cancel ends what blocks. */
int bk_fetch_new(struct bk_store *store, struct bk_sink *sink, struct bk_index *index,
                 struct bk_cancel *cancel, size_t cache, struct bk_fetch **ret, struct bk_err *err);
void bk_fetch_free(struct bk_fetch *f); /* NULL is fine */

struct bk_held { /* a chunk's bytes, lent by the cache */
    const void *data;
    size_t n;
    void *segment; /* NULL: nothing is held */
    void *digest;  /* the cache's own */
};

/* Lends the chunk's bytes, checked against its id, until bk_fetch_release(). length: what the
 * reference says; 0: not known. BAKE_E_NOTFOUND, BAKE_E_CORRUPT, BAKE_E_IO: it is in no pack, or
 * not whole in any; the text names the chunk, the pack and the sink. Every other failure is not
 * this chunk's alone. */
int bk_fetch_hold(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_held *ret,
                  struct bk_err *err);
void bk_fetch_release(struct bk_fetch *f, struct bk_held *h); /* also of one that holds nothing */
/* The same, with the bytes appended to out. */
int bk_fetch_chunk(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_buf *out,
                   struct bk_err *err);
/* Proves the chunk without handing it out; each segment is fetched and checked once in the life of
 * f, with all the chunks in it, whoever asks. */
int bk_fetch_check(struct bk_fetch *f, const bk_id *id, uint64_t length, struct bk_err *err);
/* It will be asked for soon: its segment is fetched and decoded ahead, in one range with others of
 * its pack that are wanted. What is not known, or was proven by bk_fetch_check(), is ignored.
 * Nothing is begun before bk_fetch_go(), or before somebody asks for a chunk of that pack. */
void bk_fetch_want(struct bk_fetch *f, const bk_id *id);
void bk_fetch_go(struct bk_fetch *f);
/* True for failures that are about one chunk or pack, not about all of the store. */
bool bk_fetch_is_damage(int rc);
/* Packs that turned out damaged or missing: each once. The array is the caller's. */
int bk_fetch_bad_packs(struct bk_fetch *f, bk_id **ret, size_t *ret_n, struct bk_err *err);

#endif
