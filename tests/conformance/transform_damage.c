/* Damage: a stream that was cut, changed or added to is never taken for a good one. */
#include "transform.h"

#include <stdlib.h>
#include <string.h>

static const struct cutting whole = {0, 0, 0, 1};

#define PLAIN 3000u

static bool make(struct transform *t, unsigned char *plain, struct bytes *stored)
{
    cf_fill(plain, PLAIN / 2, 11);
    memset(plain + PLAIN / 2, 'x', PLAIN - PLAIN / 2);
    memset(stored, 0, sizeof(*stored));
    return cf_check(t->r, transform_run(t, BAKE_FORWARD, plain, PLAIN, &whole, stored) == BAKE_OK,
                    "forward: %s", t->text);
}

/* What it must be called: broken data, not a bug, a missing key or anything else. */
static void want_corrupt(struct transform *t, const void *data, size_t n, const char *what,
                         size_t where)
{
    static const struct cutting bytewise = {1, 0, 0, 2};
    struct bytes out = {0};
    int rc = transform_run(t, BAKE_REVERSE, data, n, &whole, &out);

    cf_check(t->r, rc == BAKE_E_CORRUPT, "%s at %zu: %s: %s", what, where, cf_rc_name(rc), t->text);
    out.n = 0;
    rc = transform_run(t, BAKE_REVERSE, data, n, &bytewise, &out);
    cf_check(t->r, rc == BAKE_E_CORRUPT, "%s at %zu, byte by byte: %s: %s", what, where,
             cf_rc_name(rc), t->text);
    bytes_free(&out);
}

static void cut_short(struct transform *t)
{
    unsigned char plain[PLAIN];
    struct bytes stored;

    if (make(t, plain, &stored))
        for (size_t n = 0; n < stored.n && !t->r->bad; n++)
            want_corrupt(t, stored.data, n, "cut", n);
    bytes_free(&stored);
}

static void added_to(struct transform *t)
{
    static const size_t more[] = {1, 2, 3, 4, 5, 16, 1000};
    unsigned char plain[PLAIN], *data;
    struct bytes stored;

    if (!make(t, plain, &stored))
        return;
    data = malloc(stored.n + 1000);
    for (size_t i = 0; data && i < sizeof(more) / sizeof(more[0]); i++) {
        memcpy(data, stored.data, stored.n);
        memset(data + stored.n, 0, more[i]);
        want_corrupt(t, data, stored.n + more[i], "zeros added", more[i]);
        cf_fill(data + stored.n, more[i], i + 77);
        want_corrupt(t, data, stored.n + more[i], "noise added", more[i]);
    }
    free(data);
    bytes_free(&stored);
}

/* Every bit and every byte: refused, or without any effect (a header may have bits that do not
 * matter to what comes out); never other bytes that pass for good. */
static void flip(struct transform *t, const unsigned char *plain, struct bytes *stored, size_t at,
                 unsigned char mask)
{
    struct bytes out = {0};
    int rc;

    stored->data[at] ^= mask;
    rc = transform_run(t, BAKE_REVERSE, stored->data, stored->n, &whole, &out);
    stored->data[at] ^= mask;
    if (rc == BAKE_OK)
        cf_check(t->r, out.n == PLAIN && memcmp(out.data, plain, PLAIN) == 0,
                 "byte %zu changed by 0x%02x goes unnoticed: other bytes come out", at, mask);
    else
        cf_check(t->r, rc == BAKE_E_CORRUPT || rc == BAKE_E_KEY || rc == BAKE_E_NOMEM,
                 "byte %zu changed by 0x%02x: %s: %s", at, mask, cf_rc_name(rc), t->text);
    bytes_free(&out);
}

static void flipped(struct transform *t)
{
    unsigned char plain[PLAIN];
    struct bytes stored;

    if (make(t, plain, &stored))
        for (size_t at = 0; at < stored.n && !t->r->bad; at++) {
            flip(t, plain, &stored, at, 0xff);
            for (unsigned bit = 0; bit < 8; bit++)
                flip(t, plain, &stored, at, (unsigned char)(1u << bit));
        }
    bytes_free(&stored);
}

static void not_ours(struct transform *t)
{
    unsigned char data[5000];

    want_corrupt(t, NULL, 0, "an empty stream", 0);
    for (uint64_t i = 0; i < 20; i++) {
        cf_fill(data, sizeof(data), 1000 + i);
        want_corrupt(t, data, sizeof(data), "noise", (size_t)i);
    }
    memset(data, 0, sizeof(data));
    want_corrupt(t, data, sizeof(data), "zeros", 0);
    memset(data, '\n', sizeof(data));
    want_corrupt(t, data, sizeof(data), "text", 0);
}

void transform_damage_cases(struct transform *t)
{
    transform_case(t, "a stream cut anywhere is BAKE_E_CORRUPT", cut_short);
    transform_case(t, "bytes after the end are BAKE_E_CORRUPT", added_to);
    transform_case(t, "a flipped bit never passes for other data", flipped);
    transform_case(t, "what is no such stream is BAKE_E_CORRUPT", not_ours);
}
