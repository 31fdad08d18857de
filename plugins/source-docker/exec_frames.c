/* Taking a multiplexed stream apart. */
#include "exec_frames.h"

#include <string.h>

int dk_frames_next(struct dk_frames *f, const char **data, size_t *n, struct dk_piece *ret)
{
    while (f->left == 0) {
        size_t take = sizeof(f->head) - f->n_head;
        if (f->n_head == sizeof(f->head)) { /* the frame before is over */
            f->n_head = 0;
            continue;
        }
        if (take > *n)
            take = *n;
        memcpy(f->head + f->n_head, *data, take);
        f->n_head += (unsigned)take;
        *data += take;
        *n -= take;
        if (f->n_head < sizeof(f->head))
            return BAKE_END;
        const unsigned char *h = f->head;
        if (h[0] > 3 || h[1] || h[2] || h[3])
            return BAKE_E_CORRUPT;
        f->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
    }
    if (*n == 0)
        return BAKE_END;
    ret->stream = f->head[0] >= 2 ? 2 : 1;
    ret->data = *data;
    ret->n = *n < f->left ? *n : f->left;
    f->left -= (uint32_t)ret->n;
    *data += ret->n;
    *n -= ret->n;
    return BAKE_OK;
}

bool dk_frames_whole(const struct dk_frames *f)
{
    return f->left == 0 && (f->n_head == 0 || f->n_head == sizeof(f->head));
}
