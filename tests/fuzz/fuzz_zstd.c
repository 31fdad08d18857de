/* The way back of transform-zstd with whatever bytes: no crash, no endless loop, END only after a
 * whole stream, and every error with its words. The first byte chooses how it is cut up. */
#include "../../plugins/transform-zstd/zstd-stream.h"
#include "../conformance/host.h"

#include <stdlib.h>

#define MOST_OUT (16u << 20) /* a few bytes can stand for as much as one likes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns the last result of process(). */
static int drive(void *self, const uint8_t *data, size_t size, size_t piece, size_t room)
{
    static unsigned char buffer[1 << 16];
    struct bake_in in = {data, 0, 0};
    size_t total = 0;
    int idle = 0, rc = BAKE_OK;

    while (rc == BAKE_OK && total < MOST_OUT) {
        struct bake_out out = {buffer, room, 0};
        size_t before = in.pos;

        if (in.pos == in.size && in.size < size)
            in.size = size - in.size < piece ? size : in.size + piece;
        rc = zstd_process(self, &in, &out, in.size == size ? BAKE_FINISH : BAKE_CONTINUE);
        idle = in.pos == before && out.pos == 0 && rc == BAKE_OK ? idle + 1 : 0;
        if (in.pos > in.size || out.pos > out.size || idle > 1)
            abort();
        total += out.pos;
    }
    if (rc == BAKE_END && (in.pos != size || size == 0))
        abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct zstd_cfg cfg = {3, 1, 0, 4 << 20};
    struct cf_ctx ctx;
    void *self;
    int rc;

    if (size == 0)
        return 0;
    cf_ctx_init(&ctx);
    if (zstd_open(&ctx.base, &cfg, BAKE_REVERSE, BAKE_SMALL_OBJECT, &self) == BAKE_OK) {
        rc = drive(self, data + 1, size - 1, 1 + data[0] % 16u * 13u, 1 + data[0] / 16u * 4000u);
        if (rc < 0 && (ctx.rc != rc || !ctx.text[0]))
            abort();
        if (zstd_reset(self) != BAKE_OK)
            abort();
        (void)drive(self, data + 1, size - 1, size, 1 << 16);
        zstd_close(self);
    }
    cf_ctx_free(&ctx);
    return 0;
}
