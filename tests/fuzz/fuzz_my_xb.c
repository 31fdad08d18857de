/* Feeds bytes to what looks into xbstreams, whole and in pieces: both must see the same. */
#include "xb.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct my_xb *look(const uint8_t *data, size_t size, size_t piece, int *ret)
{
    struct my_xb *x = NULL;
    if (my_xb_new(data[0] & 128, &x) != BAKE_OK)
        abort();
    *ret = BAKE_OK;
    for (size_t at = 1; at < size && *ret == BAKE_OK; at += piece)
        *ret = my_xb_feed(x, data + at, size - at < piece ? size - at : piece);
    if (*ret == BAKE_OK)
        *ret = my_xb_end(x);
    if (*ret == BAKE_E_CORRUPT && !my_xb_why(x)[0])
        abort();
    return x;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int rc[2];
    struct my_xb *x[2] = {look(data, size, size, &rc[0]),
                          look(data, size, (size_t)(data[0] & 127) + 1, &rc[1])};
    if (rc[0] != rc[1] || my_xb_files(x[0]) != my_xb_files(x[1]) ||
        my_xb_bytes(x[0]) != my_xb_bytes(x[1]))
        abort();
    my_xb_free(x[0]);
    my_xb_free(x[1]);
    return 0;
}
