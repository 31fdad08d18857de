/* store/chunker: sizes, determinism, resynchronisation. */
#include "repokit.h"

#include "store/chunker.h"

struct cuts {
    size_t at[4096], n; /* ends */
};

static void cut_whole(const struct bk_chunker *c, const unsigned char *data, size_t n,
                      struct cuts *ret)
{
    size_t at = 0;

    ret->n = 0;
    while (at < n) {
        size_t len = bk_chunker_cut(c, data + at, n - at, true);

        assert_true(len > 0 && len <= n - at && len <= BK_CHUNK_MAX);
        assert_true(len >= BK_CHUNK_MIN || at + len == n);
        at += len;
        ret->at[ret->n++] = at;
    }
    assert_int_equal(bk_chunker_cut(c, data, 0, true), 0);
}

static void sizes(void **state)
{
    size_t n = 24u << 20;
    unsigned char *data = rk_bytes(n, 1);
    struct bk_chunker c;
    struct cuts cuts, again;

    (void)state;
    for (uint64_t seed = 0; seed < 3; seed++) {
        bk_chunker_init(&c, seed);
        cut_whole(&c, data, n, &cuts);
        assert_in_range(n / cuts.n, 56u << 10, 80u << 10);
        bk_chunker_init(&c, seed);
        cut_whole(&c, data, n, &again);
        assert_memory_equal(cuts.at, again.at, cuts.n * sizeof(cuts.at[0]));
    }
    free(data);
}

/* What cannot be cut by content is cut at the largest size; short ends are chunks. */
static void dull_and_short(void **state)
{
    size_t n = 3u * BK_CHUNK_MAX + 5;
    unsigned char *data = calloc(1, n);
    struct bk_chunker c;
    struct cuts cuts;

    (void)state;
    assert_non_null(data);
    bk_chunker_init(&c, 7);
    cut_whole(&c, data, n, &cuts);
    for (size_t i = 1; i + 1 < cuts.n; i++) /* all alike */
        assert_int_equal(cuts.at[i] - cuts.at[i - 1], cuts.at[0]);
    assert_int_equal(bk_chunker_cut(&c, data, 1, true), 1);
    assert_int_equal(bk_chunker_cut(&c, data, 1, false), 0);
    assert_int_equal(bk_chunker_cut(&c, data, BK_CHUNK_MIN, true), BK_CHUNK_MIN);
    assert_int_equal(bk_chunker_cut(&c, data, BK_CHUNK_MIN, false), 0);
    assert_int_equal(bk_chunker_cut(&c, data, 0, false), 0);
    assert_true(bk_chunker_cut(&c, data, BK_CHUNK_MAX, false) > 0);
    free(data);
}

/* As many chunk ids of b as are in a too. */
static size_t common(const unsigned char *a, const struct cuts *of_a, const unsigned char *b,
                     const struct cuts *of_b)
{
    size_t same = 0;

    for (size_t i = 0; i < of_b->n; i++) {
        size_t from = i ? of_b->at[i - 1] : 0, len = of_b->at[i] - from;
        bool found = false;

        for (size_t k = 0; k < of_a->n && !found; k++) {
            size_t start = k ? of_a->at[k - 1] : 0;

            found = of_a->at[k] - start == len && memcmp(a + start, b + from, len) == 0;
        }
        same += found;
    }
    return same;
}

static void insertion(void **state)
{
    size_t n = 16u << 20, more = 1234;
    unsigned char *data = rk_bytes(n, 3), *longer = rk_bytes(n + more, 4);
    struct bk_chunker c;
    struct cuts before, after;

    (void)state;
    memcpy(longer + more, data, n);
    bk_chunker_init(&c, 11);
    cut_whole(&c, data, n, &before);
    cut_whole(&c, longer, n + more, &after);
    assert_true(common(data, &before, longer, &after) + 8 >= before.n);
    memcpy(longer, data, n / 2); /* removed in the middle */
    memcpy(longer + n / 2, data + n / 2 + 999, n / 2 - 999);
    cut_whole(&c, longer, n - 999, &after);
    assert_true(common(data, &before, longer, &after) + 8 >= before.n);
    free(data);
    free(longer);
}

/* Fed in pieces of any size the cuts are the same. */
static void pieces(void **state)
{
    size_t n = 4u << 20;
    unsigned char *data = rk_bytes(n, 5);
    struct bk_chunker c;
    struct cuts whole;

    (void)state;
    bk_chunker_init(&c, 13);
    cut_whole(&c, data, n, &whole);
    for (size_t step = 777; step < n; step = step * 5 + 1) {
        size_t at = 0, known = 0, k = 0;

        while (at < n) {
            size_t len = bk_chunker_cut(&c, data + at, known - at, known == n);

            if (len == 0) {
                assert_true(known < n);
                known = known + step < n ? known + step : n;
                continue;
            }
            at += len;
            assert_int_equal(at, whole.at[k++]);
        }
        assert_int_equal(k, whole.n);
    }
    free(data);
}

static void seeds_differ(void **state)
{
    size_t n = 16u << 20, same = 0;
    unsigned char *data = rk_bytes(n, 6);
    struct bk_chunker c;
    struct cuts a, b;

    (void)state;
    bk_chunker_init(&c, 1);
    cut_whole(&c, data, n, &a);
    bk_chunker_init(&c, 2);
    cut_whole(&c, data, n, &b);
    for (size_t i = 0, k = 0; i < a.n; i++) {
        while (k < b.n && b.at[k] < a.at[i])
            k++;
        same += k < b.n && b.at[k] == a.at[i];
    }
    assert_true(same < a.n / 20 + 2); /* the end is one */
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(dull_and_short),
                                       cmocka_unit_test(insertion), cmocka_unit_test(pieces),
                                       cmocka_unit_test(seeds_differ)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
