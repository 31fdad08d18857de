/* The log archive: what a database writes between two backups (WAL segments, binary logs), one
 * object each, wal/<stream>/<name>. Put if absent, through the pipeline's transforms, never
 * changed. docs/format.md has the layout: a clear header, then, transformed, size and SHA-256 of
 * the log and its bytes, so that an object is verified by itself. */
#ifndef BK_WAL_H
#define BK_WAL_H

#include "base/digest.h"
#include "store/manifest.h"
#include "store/store.h"

#define BK_WAL          "wal/"
#define BK_WAL_NAME_CAP 256
#define BK_WAL_HEAD_MAX 4096u /* of the clear header */
#define BK_WAL_SMALL    (16u << 20)

/* Letters, digits, '-', '_' and '.', not beginning with '.'; at most 100 bytes. */
bool bk_wal_stream_ok(const char *stream);
/* One such part, or two with a '/' between. */
bool bk_wal_name_ok(const char *name);
/* The object's name; BK_E_USAGE if one of the two cannot be. */
int bk_wal_object(const char *stream, const char *name, char ret[BK_WAL_NAME_CAP],
                  struct bk_err *err);

/* ---- the format ------------------------------------------------------------------------------ */

struct bk_wal_head {
    size_t size; /* where the transformed bytes begin */
    struct bk_strv transforms;
};
/* transforms: plugin names, in writing order. */
void bk_wal_head_write(const struct bk_strv *transforms, struct bk_buf *out);
/* BAKE_END: data ends within the header. */
int bk_wal_head_parse(const void *data, size_t n, struct bk_wal_head *ret, struct bk_err *err);

#define BK_WAL_FACTS 40u /* the first transformed bytes */
struct bk_wal_facts {
    uint64_t size;
    unsigned char sha256[BK_SHA256_LEN];
};

/* Takes a log as it is read. begin() comes first, and again when the read starts over: what came
 * before is void. */
struct bk_wal_taker {
    int (*begin)(void *arg, const struct bk_wal_facts *facts, struct bk_err *err);
    int (*data)(void *arg, const void *data, size_t n, struct bk_err *err);
    void *arg;
    /* Optional: the object as it is stored. first: the read begins, or starts over. */
    int (*raw)(void *arg, const void *data, size_t n, bool first, struct bk_err *err);
};
/* Reads an object of one sink; what is transient is tried again. OK once all of it came and has
 * its digest. Damage is BAKE_E_CORRUPT. */
int bk_wal_read(struct bk_store *s, struct bk_sink *sink, const char *object,
                const struct bk_wal_taker *taker, struct bk_err *err);

/* So many sinks have every log that was ever stored, at least: the pipeline's `require`, as far as
 * the store has so many. */
size_t bk_wal_required(const struct bk_store *s);

/* ---- logs ------------------------------------------------------------------------------------ */

/* Puts the file into every usable sink. OK once it stands durably in as many as the pipeline's
 * `require` asks for; those that lack it are said as warnings. Where it is already with the same
 * bytes it counts; with others: BAKE_E_EXISTS, and nothing is changed. Other puts of the same log
 * may go on, here or elsewhere. */
int bk_wal_put(struct bk_store *s, const char *stream, const char *name, const char *path,
               struct bk_err *err);

/* Makes the file, mode 0600: it appears whole and durable, or not at all; what has its name is
 * replaced. A sink that cannot give it is passed over. BAKE_E_NOTFOUND only if it is certain that
 * it was never stored: so many sinks could be asked that one would have it. */
int bk_wal_get(struct bk_store *s, const char *stream, const char *name, const char *path,
               struct bk_err *err);
/* A small one of one sink, whole, in place of what is in out. */
int bk_wal_read_small(struct bk_store *s, struct bk_sink *sink, const char *object,
                      struct bk_buf *out, struct bk_err *err);
/* Copies an object as it is, checked on the way: it appears only if it is whole. One that is there
 * already is left alone. */
int bk_wal_copy(struct bk_store *s, struct bk_sink *from, struct bk_sink *to, const char *object,
                struct bk_err *err);
/* Decodes an object of one sink and checks it. */
int bk_wal_check(struct bk_store *s, struct bk_sink *sink, const char *object, uint64_t *ret_bytes,
                 struct bk_err *err);

struct bk_wal_log {
    char *stream, *name;
    uint64_t size; /* as stored */
    int64_t mtime_ns;
};
struct bk_wal_list {
    struct bk_wal_log *logs; /* by stream, then name (bytes) */
    size_t n, cap;
};
/* Of one sink, or what any usable sink has. stream NULL: all. What does not look like a log's
 * object is passed over. */
int bk_wal_list_sink(struct bk_sink *sink, const char *stream, struct bk_wal_list *ret,
                     struct bk_err *err);
int bk_wal_list_store(struct bk_store *s, const char *stream, struct bk_wal_list *ret,
                      struct bk_err *err);
void bk_wal_list_release(struct bk_wal_list *l);

/* ---- what backups need ----------------------------------------------------------------------- */

struct bk_wal_need {           /* facts' "wal" of a component; borrowed */
    const char *stream, *from; /* the first log that is needed */
    int64_t end_ns;            /* when the backup had ended, by the server's clock; 0: not said */
    uint64_t segment_size;     /* 0: not said */
};
/* False: the component needs no logs. */
bool bk_mcomp_wal(const struct bk_mcomp *c, struct bk_wal_need *ret);

#endif
