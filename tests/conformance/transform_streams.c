/* Streams of all sizes, cut up in all ways, forward and back. */
#include "transform.h"

#include <stdlib.h>
#include <string.h>

static const struct cutting whole = {0, 0, 0, 1};

/* Half of it like text, half of it like noise: both sides of a compressor. */
static void mixed(unsigned char *data, size_t n, uint64_t seed)
{
    static const char words[] = "a component is backed up and restored by itself; ";

    cf_fill(data, n, seed);
    for (size_t i = 0; i < n; i++)
        if (i / 5000 % 2 == 0)
            data[i] = (unsigned char)words[i % (sizeof(words) - 1)];
}

static void sizes(struct transform *t)
{
    static const size_t all[] = {0, 1, 2, 3, 100, 65535, 65536, 65537, 1 << 20, (3 << 20) + 1};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        unsigned char *data = malloc(all[i] + 1);

        if (!data)
            return;
        mixed(data, all[i], i);
        transform_both(t, data, all[i], &whole, &whole);
        free(data);
    }
}

static void cuts(struct transform *t)
{
    enum { N = 150000 };
    unsigned char *data = malloc(N);
    uint64_t state = t->seed;

    if (!data)
        return;
    mixed(data, N, t->seed);
    for (int i = 0; i < 40 && !t->r->bad; i++) {
        size_t n = (size_t)(cf_random(&state) % N);
        const struct cutting out = {1 + (size_t)(cf_random(&state) % (n / 8 + 1)),
                                    1 + (size_t)(cf_random(&state) % (n / 8 + 1)), 0,
                                    cf_random(&state)};
        const struct cutting back = {1 + (size_t)(cf_random(&state) % (n / 8 + 1)),
                                     1 + (size_t)(cf_random(&state) % (n / 8 + 1)), 0,
                                     cf_random(&state)};

        transform_both(t, data, n, &out, &back);
    }
    free(data);
}

static void byte_by_byte(struct transform *t)
{
    static const struct cutting in = {1, 0, 0, 2}, out = {0, 1, 0, 2}, both = {1, 1, 0, 1};
    unsigned char data[20000];

    mixed(data, sizeof(data), 5);
    transform_both(t, data, sizeof(data), &in, &in);
    transform_both(t, data, sizeof(data), &out, &out);
    transform_both(t, data, sizeof(data), &both, &both);
    transform_both(t, NULL, 0, &both, &both);
}

static void flushes(struct transform *t)
{
    unsigned char data[60000];

    mixed(data, sizeof(data), 6);
    for (unsigned every = 1; every < 5; every++) {
        const struct cutting cut = {4000, 3000, every, every}, tight = {700, 3, every, every};

        transform_both(t, data, sizeof(data), &cut, &cut);
        transform_both(t, data, sizeof(data), &tight, &cut);
    }
}

static void traits(struct transform *t)
{
    static const char secret[] = "correct horse battery staple";
    struct bytes stored = {0};
    unsigned char *data = calloc(1, 1 << 20);

    if (!data)
        return;
    if (t->ops->traits & BAKE_COMPRESSES) {
        cf_check(t->r, transform_run(t, BAKE_FORWARD, data, 1 << 20, &whole, &stored) == BAKE_OK,
                 "zeros: %s", t->text);
        cf_check(t->r, stored.n < 100000, "1 MiB of zeros are compressed to %zu bytes", stored.n);
        bytes_free(&stored);
    }
    if (t->ops->traits & BAKE_ENCRYPTS) {
        for (size_t i = 0; i + sizeof(secret) < 1 << 20; i += sizeof(secret))
            memcpy(data + i, secret, sizeof(secret));
        cf_check(t->r, transform_run(t, BAKE_FORWARD, data, 1 << 20, &whole, &stored) == BAKE_OK,
                 "secret: %s", t->text);
        cf_check(t->r, stored.n > 0 && !memmem(stored.data, stored.n, secret, 16),
                 "the plain text can be read in what is encrypted");
        bytes_free(&stored);
    }
    free(data);
}

static void memory(struct transform *t)
{
    for (int dir = BAKE_FORWARD; dir <= BAKE_REVERSE; dir++) {
        uint64_t n = t->ops->memory(t->subject.config.cfg, dir, t->flags);

        cf_check(t->r, n > 0 && n < UINT64_C(1) << 40, "memory() says %llu", (unsigned long long)n);
    }
    cf_check(t->r,
             t->ops->memory(t->subject.config.cfg, BAKE_FORWARD, BAKE_SMALL_OBJECT) <= 16u << 20,
             "more than 16 MiB for a small object");
}

void transform_stream_cases(struct transform *t)
{
    transform_case(t, "streams of all sizes come back", sizes);
    transform_case(t, "streams come back however they are cut up", cuts);
    transform_case(t, "one byte at a time", byte_by_byte);
    transform_case(t, "flushes in between", flushes);
    transform_case(t, "it does what its traits say", traits);
    transform_case(t, "memory() is stated", memory);
}
