/* One instance: a compressor or a decompressor, and where in the stream it stands. */
#include "zstd-stream.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd_errors.h>

/* Windows that are accepted on the way back: all that `long` can write; for small objects, which
 * are written with small windows, what zstd itself takes by default. */
#define WINDOW_LOG_MAX       31
#define WINDOW_LOG_MAX_SMALL 27

struct stream {
    struct bake_ctx *ctx;
    ZSTD_CCtx *c; /* one of the two */
    ZSTD_DCtx *d;
    bool ended;   /* forward: the frame is complete and all of it is out */
    bool started; /* reverse: some of a frame was seen */
    bool whole;   /* reverse: the last frame is complete and all of it is out */
    bool held;    /* reverse: there may be more to come out without further input */
};

static int fail(const struct stream *s, const char *what, size_t code)
{
    char reason[160];
    int rc = s->d ? BAKE_E_CORRUPT : BAKE_E_INTERNAL;

    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
        rc = BAKE_E_NOMEM;
    (void)snprintf(reason, sizeof(reason), "%s", ZSTD_getErrorName(code));
    reason[0] = (char)tolower((unsigned char)reason[0]);
    return bake_fail(s->ctx, rc, "%s: %s", what, reason);
}

static int open_forward(struct stream *s, const struct zstd_cfg *c, uint32_t flags,
                        ZSTD_customMem mem)
{
    ZSTD_CCtx_params *p = zstd_params(c, flags, zstd_workers(c, flags));
    size_t code;

    if (!p)
        return bake_fail(s->ctx, BAKE_E_CONFIG, "zstd %s refuses these options or memory is short",
                         ZSTD_versionString());
    s->c = ZSTD_createCCtx_advanced(mem);
    if (!s->c) {
        (void)ZSTD_freeCCtxParams(p);
        return bake_fail(s->ctx, BAKE_E_NOMEM, "out of memory");
    }
    code = ZSTD_CCtx_setParametersUsingCCtxParams(s->c, p);
    (void)ZSTD_freeCCtxParams(p);
    return ZSTD_isError(code) ? fail(s, "cannot set up zstd", code) : BAKE_OK;
}

static int open_reverse(struct stream *s, uint32_t flags, ZSTD_customMem mem)
{
    ZSTD_bounds b = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    int log = flags & BAKE_SMALL_OBJECT ? WINDOW_LOG_MAX_SMALL : WINDOW_LOG_MAX;
    size_t code;

    s->d = ZSTD_createDCtx_advanced(mem);
    if (!s->d)
        return bake_fail(s->ctx, BAKE_E_NOMEM, "out of memory");
    if (!ZSTD_isError(b.error) && log > b.upperBound)
        log = b.upperBound; /* 30 where addresses have 32 bits */
    code = ZSTD_DCtx_setParameter(s->d, ZSTD_d_windowLogMax, log);
    return ZSTD_isError(code) ? fail(s, "cannot set up zstd", code) : BAKE_OK;
}

int zstd_open_with(struct bake_ctx *ctx, const struct zstd_cfg *c, int dir, uint32_t flags,
                   ZSTD_customMem mem, void **ret_self)
{
    struct stream *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    s->ctx = ctx;
    rc = dir == BAKE_FORWARD ? open_forward(s, c, flags, mem) : open_reverse(s, flags, mem);
    if (rc < 0) {
        zstd_close(s);
        return rc;
    }
    *ret_self = s;
    return BAKE_OK;
}

int zstd_open(struct bake_ctx *ctx, const void *cfg, int dir, uint32_t flags, void **ret_self)
{
    const ZSTD_customMem mem = {NULL, NULL, NULL};

    return zstd_open_with(ctx, cfg, dir, flags, mem, ret_self);
}

static int compress(struct stream *s, struct bake_in *in, struct bake_out *out, int op)
{
    static const ZSTD_EndDirective ops[] = {ZSTD_e_continue, ZSTD_e_flush, ZSTD_e_end};
    ZSTD_inBuffer i = {in->data, in->size, in->pos};
    ZSTD_outBuffer o = {out->data, out->size, out->pos};
    size_t left;

    if (s->ended)
        return in->pos == in->size
                   ? BAKE_END
                   : bake_fail(s->ctx, BAKE_E_INTERNAL, "data after the end of the stream");
    left = ZSTD_compressStream2(s->c, &o, &i, ops[op]);
    if (ZSTD_isError(left))
        return fail(s, "cannot compress", left);
    in->pos = i.pos;
    out->pos = o.pos;
    if (op == BAKE_CONTINUE || left > 0 || i.pos < i.size)
        return BAKE_OK;
    s->ended = op == BAKE_FINISH;
    return BAKE_END;
}

/* As much as there is input and room for. */
static int decompress_some(struct stream *s, struct bake_in *in, struct bake_out *out)
{
    while (in->pos < in->size || s->held) {
        ZSTD_inBuffer i = {in->data, in->size, in->pos};
        ZSTD_outBuffer o = {out->data, out->size, out->pos};
        size_t left;

        if (s->held && o.pos == o.size)
            break; /* the library counts calls that cannot get on as errors */
        left = ZSTD_decompressStream(s->d, &o, &i);
        if (ZSTD_isError(left)) {
            bool after = s->whole && ZSTD_getErrorCode(left) == ZSTD_error_prefix_unknown;

            return fail(s, after ? "what follows the zstd stream is not zstd" : "cannot decompress",
                        left);
        }
        s->started = true;
        s->whole = left == 0;
        s->held = !s->whole && o.pos == o.size;
        if (i.pos == in->pos && o.pos == out->pos)
            break;
        in->pos = i.pos;
        out->pos = o.pos;
        if (o.pos == o.size)
            break;
    }
    return BAKE_OK;
}

static int decompress(struct stream *s, struct bake_in *in, struct bake_out *out, int op)
{
    int rc = decompress_some(s, in, out);

    if (rc < 0 || op == BAKE_CONTINUE || in->pos < in->size || s->held)
        return rc;
    if (op == BAKE_FLUSH || s->whole)
        return BAKE_END;
    return bake_fail(s->ctx, BAKE_E_CORRUPT,
                     s->started ? "the zstd stream is cut" : "the zstd stream is empty");
}

int zstd_process(void *self, struct bake_in *in, struct bake_out *out, int op)
{
    struct stream *s = self;

    if (op < BAKE_CONTINUE || op > BAKE_FINISH)
        return bake_fail(s->ctx, BAKE_E_INTERNAL, "unknown operation %d", op);
    return s->c ? compress(s, in, out, op) : decompress(s, in, out, op);
}

int zstd_reset(void *self)
{
    struct stream *s = self;
    size_t code = s->c ? ZSTD_CCtx_reset(s->c, ZSTD_reset_session_only)
                       : ZSTD_DCtx_reset(s->d, ZSTD_reset_session_only);

    s->ended = s->started = s->whole = s->held = false;
    return ZSTD_isError(code) ? fail(s, "cannot start over", code) : BAKE_OK;
}

void zstd_close(void *self)
{
    struct stream *s = self;

    (void)ZSTD_freeCCtx(s->c); /* waits for its workers; NULL is fine for both */
    (void)ZSTD_freeDCtx(s->d);
    free(s);
}
