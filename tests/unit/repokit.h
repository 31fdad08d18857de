/* What the repository's tests share: bytes that look random, ids, comparison. */
#ifndef REPOKIT_H
#define REPOKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bytewise.h"
#include "store/pack.h"

#include <stdlib.h>
#include <string.h>

BYTEWISE static inline uint64_t rk_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

BYTEWISE static inline void rk_fill(void *data, size_t n, uint64_t seed)
{
    unsigned char *to = data;

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = rk_next(&seed);

        memcpy(to + i, &v, n - i < 8 ? n - i : 8);
    }
}

/* n bytes; the caller's */
static inline unsigned char *rk_bytes(size_t n, uint64_t seed)
{
    unsigned char *data = malloc(n + 1);

    assert_non_null(data);
    rk_fill(data, n, seed);
    return data;
}

/* An id that stands for a number. */
static inline bk_id rk_id(uint64_t number)
{
    bk_id id;

    rk_fill(id.b, sizeof(id.b), number * 0x9e3779b97f4a7c15u + 99);
    return id;
}

static inline bk_id rk_id_of(const void *data, size_t n)
{
    bk_id id;

    assert_int_equal(bk_id_of(data, n, &id, NULL), 0);
    return id;
}

#endif
