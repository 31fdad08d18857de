/* store/filesum: the digest of a file with holes is that of what it reads as. */
#include "storekit.h"

#include "store/filesum.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Feeds the extents' bytes of `logical` in pieces of `piece` bytes. */
static void check(const char *logical, size_t size, const struct bake_extent *x, size_t n,
                  size_t piece)
{
    struct bake_entry e = {.type = BAKE_FILE, .size = size, .extents = x, .n_extents = n};
    struct bk_filesum s;
    char expect[BK_FILESUM_HEX], got[BK_FILESUM_HEX], *data = malloc(size + 1);
    XXH128_canonical_t canonical;
    size_t have = 0;

    assert_non_null(data);
    for (size_t i = 0; i < n; i++) {
        memcpy(data + have, logical + x[i].offset, (size_t)x[i].length);
        have += (size_t)x[i].length;
    }
    if (!x) {
        memcpy(data, logical, size);
        have = size;
    }
    assert_int_equal(bk_entry_data_size(&e), have);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(logical, size));
    bk_hex(canonical.digest, sizeof(canonical.digest), expect);
    assert_int_equal(bk_filesum_init(&s, NULL), 0);
    for (int again = 0; again < 2; again++) { /* one sum serves file after file */
        bk_filesum_begin(&s, &e);
        for (size_t at = 0; at < have; at += piece)
            bk_filesum_add(&s, data + at, have - at < piece ? have - at : piece);
        bk_filesum_end(&s, got);
        assert_string_equal(got, expect);
    }
    bk_filesum_release(&s);
    free(data);
}

static void holes(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    static const struct bake_extent layouts[][3] = {
        {{0, 10}, {20, 5}, {100, 1}},
        {{1, 1}, {299999, 1}, {0, 0}},
        {{0, 300000}, {0, 0}, {0, 0}},
        {{100000, 100000}, {0, 0}, {0, 0}},
        {{4096, 8192}, {12288, 4096}, {131072, 70000}},
    };
    static const size_t pieces[] = {1, 7, 4096, 1000000};

    for (size_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]); l++) {
        char *logical = calloc(1, SIZE), *data = kit_bytes(SIZE, l + 1);
        size_t n = 0;

        assert_non_null(logical);
        while (n < 3 && layouts[l][n].length > 0) {
            memcpy(logical + layouts[l][n].offset, data + layouts[l][n].offset,
                   (size_t)layouts[l][n].length);
            n++;
        }
        for (size_t p = 0; p < 4; p++)
            check(logical, SIZE, layouts[l], n, pieces[p]);
        free(logical);
        free(data);
    }
}

static void plain_and_empty(void **state)
{
    (void)state;
    static const struct bake_extent none = {0, 0};
    char *data = kit_bytes(100000, 9), *zeros = calloc(1, 200000);

    assert_non_null(zeros);
    check(data, 100000, NULL, 0, 333);
    check(data, 0, NULL, 0, 1);
    check(zeros, 200000, &none, 0, 1); /* all hole */
    check(zeros, 0, &none, 0, 1);
    free(data);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(holes), cmocka_unit_test(plain_and_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
