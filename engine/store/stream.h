/* Streams as lists of chunks. A short list stands where it is used; a longer one is itself cut
 * into chunks of references (by content, so that a change moves only the cuts near it), and so on
 * until it is short. */
#ifndef BK_STREAM_H
#define BK_STREAM_H

#include "base/codec.h"
#include "store/pack.h"

#define BK_REFS_INLINE 16u   /* at most so many stand in place */
#define BK_REFS_CHUNK  2048u /* at most so many in a chunk of references */
#define BK_REFS_LEVELS 8u

struct bk_ref { /* a chunk, and how much of the stream lies below it */
    bk_id id;
    uint64_t length; /* plain bytes of the stream itself */
};

struct bk_refs {     /* where a stream begins */
    uint32_t levels; /* 0: refs are the stream's own chunks; else chunks of references */
    size_t n;
    struct bk_ref *refs;
    size_t cap;
    uint64_t length; /* of the stream */
};
int bk_refs_add(struct bk_refs *r, const bk_id *id, uint64_t length);
void bk_refs_clear(struct bk_refs *r);
void bk_refs_release(struct bk_refs *r);
void bk_ref_write(const struct bk_ref *ref, struct bk_buf *out);
void bk_refs_write(const struct bk_refs *r, struct bk_buf *out);
/* False: damaged. */
bool bk_refs_parse(struct bk_reader *in, struct bk_refs *ret);
/* A chunk of references: (length varint, id) one after another. */
bool bk_refs_parse_chunk(const void *data, size_t n, struct bk_refs *ret);

/* Takes chunks: asked whether it has one, given those it has not. */
struct bk_chunk_sink {
    void *arg;
    /* Stores the chunk unless it is known. */
    int (*put)(void *arg, enum bk_pack_kind kind, const bk_id *id, const void *data, size_t n,
               struct bk_err *err);
};

/* Writing: bytes in, references out. One stream at a time; one thread. Of a long stream the chunks
 * are digested and put on a thread of its own, while the caller reads and cuts on. */
struct bk_streamw;
int bk_streamw_new(const struct bk_chunker *chunker, struct bk_chunk_sink sink,
                   enum bk_pack_kind kind, struct bk_streamw **ret, struct bk_err *err);
int bk_streamw_write(struct bk_streamw *w, const void *data, size_t n, struct bk_err *err);
/* For streams of records: appends one. Chunks end where a record ends whose hash says so (of what
 * does not change when the record does), so that a change stays in one chunk; only a record longer
 * than a chunk is cut as any bytes are. Not to be mixed with bk_streamw_write(). */
int bk_streamw_record(struct bk_streamw *w, const void *record, size_t n, uint64_t hash,
                      struct bk_err *err);
/* Ends the stream, so that the next begins with a chunk of its own. */
int bk_streamw_end(struct bk_streamw *w, struct bk_refs *ret, struct bk_err *err);
void bk_streamw_free(struct bk_streamw *w);

#endif
