/* The inside of fetch.h, shared by its files: fetch.c finds places, fetch_cache.c keeps segments,
 * fetch_get.c gets and decodes them, fetch_ahead.c does so before they are asked for, fetch_check.c
 * proves them. Functions say whether they want the lock. */
#ifndef BK_FETCH_PRIVATE_H
#define BK_FETCH_PRIVATE_H

#include "flow/chain.h"
#include "store/fetch.h"
#include "store/fetch_room.h"
#include "store/sealed.h"

/* One range of a pack: at most so many stored bytes. */
#define BK_FETCH_RANGE (16u << 20)

struct bk_fpack;

enum bk_seg_state {
    BK_SEG_COMING,   /* its bytes are on their way */
    BK_SEG_STORED,   /* they are here */
    BK_SEG_DECODING, /* a thread is at it */
    BK_SEG_READY,
    BK_SEG_FAILED /* not in the cache any more: goes with the last reference */
};

struct bk_seg { /* a segment in the cache */
    struct bk_fpack *pack;
    uint32_t index;
    enum bk_seg_state state;
    unsigned refs; /* who holds it or waits for it: it stays */
    bool ahead;    /* nobody has asked for it yet */
    unsigned char *stored, *plain;
    struct bk_seg *next;          /* of its pack */
    struct bk_seg *newer, *older; /* in the order of use */
};

struct bk_decoder { /* a chain that was made before */
    struct bk_chain *chain;
    unsigned char *out;
    size_t len, cap;
    struct bk_decoder *next;
};

struct bk_codec { /* the transforms of packs, once for all packs that have the same */
    struct bk_strv names;
    struct bk_transform *transforms;
    struct bk_decoder *idle[2]; /* [1]: without those that compress */
    struct bk_codec *next;
};

struct bk_ftable { /* a pack's own chunk table, while it is of use */
    struct bk_pack_table t;
    uint32_t *offsets; /* of its chunks within their segments */
    size_t first[BK_MAX_SEGMENTS + 1];
    size_t bytes;
    unsigned refs;
    struct bk_fpack *pack;
    struct bk_ftable *next; /* the most recently used first */
};

struct bk_fpack { /* what is known of a pack */
    struct bk_index_pack info;
    struct bk_codec *codec; /* NULL: its header was not read yet */
    struct bk_seg *segs;    /* those in the cache */
    uint64_t wanted;        /* a bit per segment */
    uint64_t bad, proven, checking;
    uint64_t mixed; /* not all of its chunks are good: each is looked at by itself */
    struct bk_ftable *table;
    bool loading; /* the table */
    bool table_bad;
    bool distrusted;          /* its places are asked of the index anew */
    bool listed;              /* in bk_fetch_bad_packs() */
    struct bk_err *why;       /* of `bad`; or NULL */
    struct bk_fpack *retired; /* what the index said before it was found to lie */
};

struct bk_place {
    struct bk_loc loc;
    struct bk_fpack *pack;
};

struct bk_recent { /* a place that was asked for not long ago */
    bk_id id;
    struct bk_loc loc;
    bool set;
};
#define BK_RECENT 16384u

struct bk_wish {
    struct bk_fpack *pack;
    uint32_t segment;
};
#define BK_WISHES  1024u
#define BK_WORKERS 2u
#define BK_DIGESTS 16u

struct bk_fetch {
    struct bk_store *store;
    struct bk_sink *sink;
    struct bk_index *index;
    struct bk_cancel *cancel;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed, work;
    struct bk_room room;
    size_t cache;
    unsigned starved; /* threads that wait for room */
    size_t ahead;     /* bytes of segments that nobody has asked for yet */
    unsigned busy;    /* threads that get or decode at this moment: they will wake who waits */
    struct bk_fpack **packs; /* by the index's numbers; NULL: not met yet */
    size_t n_packs;
    struct bk_seg *newest, *oldest;
    struct bk_codec *codecs;
    struct bk_ftable *tables;
    size_t table_bytes;
    struct bk_recent *recent;              /* BK_RECENT of them, once something was wanted */
    struct bk_sha256 *digests[BK_DIGESTS]; /* idle ones */
    size_t n_digests;
    struct bk_err *down; /* what ended all reading; or NULL */
    /* fetch_ahead.c */
    struct bk_wish wishes[BK_WISHES];
    size_t wish_at, n_wishes, n_go; /* n_go: of them may be begun */
    pthread_t workers[BK_WORKERS];
    size_t n_workers;
    bool ending;
    struct bk_cancel_sub sub;
};

static inline uint64_t bk_seg_bit(uint32_t segment) { return (uint64_t)1 << segment; }

/* ---- fetch.c --------------------------------------------------------------------------------- */

struct bk_search { /* the places of a chunk, one after the other */
    const bk_id *id;
    uint64_t length;
    struct bk_place tried[4];
    size_t n;
    struct bk_err first; /* why the first was not good */
};
/* Without the lock. The next place; damage says why the last one was not good. When there is none
 * left: what was wrong with the first. */
int bk_fetch_next_place(struct bk_fetch *f, struct bk_search *s, const struct bk_err *damage,
                        struct bk_place *ret, struct bk_err *err);
/* Under the lock: an idle one, or NULL; and back (NULL is fine). */
struct bk_sha256 *bk_digest_take(struct bk_fetch *f);
void bk_digest_give(struct bk_fetch *f, struct bk_sha256 *sha);
/* Without the lock. *ret_ok: these are the chunk's bytes. *sha is made when it is NULL. */
int bk_digest_check(struct bk_sha256 **sha, const bk_id *id, const void *data, size_t n,
                    bool *ret_ok, struct bk_err *err);
/* Under the lock: the segments of a pack are not to be had; what for. err may be what is wrong with
 * one chunk. */
void bk_fetch_mark_bad(struct bk_fpack *p, uint64_t segments, const struct bk_err *why);
/* "sink 'x': 'packs/...': " before what is there. */
int bk_fetch_prefix(const struct bk_fetch *f, const struct bk_fpack *p, struct bk_err *err);

/* ---- fetch_cache.c: all under the lock ------------------------------------------------------- */

/* A decoded segment, with a reference. May let go of the lock. */
int bk_seg_hold(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment, struct bk_seg **ret,
                struct bk_err *err);
void bk_seg_release(struct bk_fetch *f, struct bk_seg *s);
/* Gets a segment, and those after it that are wanted. OK: the first is here, or all has changed and
 * must be looked at again. wait false: only if there is room at once (else BAKE_END). */
int bk_seg_fetch(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment, bool wait,
                 struct bk_err *err);
/* STORED to READY. As above. */
int bk_seg_decode(struct bk_fetch *f, struct bk_seg *s, bool wait, struct bk_err *err);
struct bk_seg *bk_seg_find(const struct bk_fpack *p, uint32_t segment);
void bk_seg_arrived(struct bk_fetch *f, struct bk_seg *s); /* takes the lock */
void bk_segs_free(struct bk_fetch *f);                     /* at the end */

/* ---- fetch_get.c: without the lock ----------------------------------------------------------- */

struct bk_range { /* segments that are fetched with one get */
    struct bk_fpack *pack;
    uint64_t offset, bytes;               /* of the first segment; of all, gaps too */
    uint32_t first, n;                    /* segments, gaps too */
    struct bk_seg *segs[BK_MAX_SEGMENTS]; /* NULL: a gap */
};
/* Each segment is said to have arrived as soon as it is whole. */
int bk_fetch_range(struct bk_fetch *f, const struct bk_range *r, struct bk_err *err);
/* s->stored to s->plain. */
int bk_fetch_decode(struct bk_fetch *f, struct bk_seg *s, struct bk_err *err);
/* *ret_ok: the whole pack has the digest that its name says. */
int bk_fetch_name_ok(struct bk_fetch *f, const struct bk_fpack *p, bool *ret_ok,
                     struct bk_err *err);
void bk_codecs_free(struct bk_fetch *f);

/* ---- fetch_ahead.c --------------------------------------------------------------------------- */

void bk_fetch_wish(struct bk_fetch *f, struct bk_fpack *p, uint32_t segment); /* under the lock */
size_t bk_fetch_ahead_max(const struct bk_fetch *f);
void bk_fetch_end_workers(struct bk_fetch *f); /* without it */

/* ---- fetch_check.c --------------------------------------------------------------------------- */

/* Without the lock. A chunk was not what it should be: is its pack damaged, or does the index lie?
 * If the pack is, it is listed. */
void bk_fetch_judge(struct bk_fetch *f, const struct bk_place *at, const bk_id *id);
void bk_tables_free(struct bk_fetch *f);

#endif
