/* conform_transform: what its cases share. */
#ifndef CF_TRANSFORM_H
#define CF_TRANSFORM_H

#include "subject.h"

#include <stddef.h>

struct transform {
    struct cf_subject subject;
    struct cf_report *r;
    const struct bake_transform_ops *ops;
    uint32_t flags;  /* for open(): the cases run without any and with BAKE_SMALL_OBJECT */
    char text[2048]; /* the plugin's words in the last run through a helper */
    uint64_t seed;
};

struct bytes {
    unsigned char *data;
    size_t n, cap;
};
void bytes_free(struct bytes *b);

/* How a stream is cut up on its way: pieces of 1..max bytes on both ends, chosen by seed; 0: as
 * large as can be. flush: BAKE_FLUSH after every so many pieces; 0: never. */
struct cutting {
    size_t max_in, max_out;
    unsigned flush;
    uint64_t seed;
};

/* A case is a function; neither descriptors nor threads may be left after it. */
void transform_case(struct transform *t, const char *name, void (*fn)(struct transform *));

int transform_open(struct transform *t, struct cf_ctx *ctx, int dir, void **ret_self);
/* Feeds n bytes to an open instance and finishes; appends what comes out to ret. Checks progress:
 * two calls in a row that neither take nor give are a bug. BAKE_OK or the error. */
int transform_feed(struct transform *t, void *self, const void *data, size_t n,
                   const struct cutting *cut, struct bytes *ret);
/* Opens, feeds, closes. */
int transform_run(struct transform *t, int dir, const void *data, size_t n,
                  const struct cutting *cut, struct bytes *ret);
/* Forward and back; checks that it is the same. */
void transform_both(struct transform *t, const void *data, size_t n, const struct cutting *out,
                    const struct cutting *back);

void transform_stream_cases(struct transform *t); /* transform_streams.c */
void transform_damage_cases(struct transform *t); /* transform_damage.c */
void transform_reuse_cases(struct transform *t);  /* transform_reuse.c */

#endif
