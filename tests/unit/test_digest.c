/* base/digest: the standard's own vectors, hexadecimal, randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/digest.h"

#include <stdlib.h>
#include <string.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define TWO   "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
#define MILL  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void at_once(void **state)
{
    (void)state;
    char hex[BK_SHA256_HEX];
    assert_int_equal(bk_sha256_hex_of("abc", 3, hex), 0);
    assert_string_equal(hex, ABC);
    assert_int_equal(bk_sha256_hex_of(NULL, 0, hex), 0);
    assert_string_equal(hex, EMPTY);
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    assert_int_equal(bk_sha256_hex_of(two, strlen(two), hex), 0);
    assert_string_equal(hex, TWO);
}

static void in_parts(void **state)
{
    (void)state;
    struct bk_sha256 *s = NULL;
    struct bk_err err = {0};
    char hex[BK_SHA256_HEX];
    assert_int_equal(bk_sha256_new(&s, &err), 0);
    bk_sha256_end_hex(s, hex);
    assert_string_equal(hex, EMPTY);
    bk_sha256_add(s, "a", 1);
    bk_sha256_add(s, NULL, 0);
    bk_sha256_add(s, "bc", 2);
    bk_sha256_end_hex(s, hex);
    assert_string_equal(hex, ABC);
    /* the stream starts anew after each end */
    char *as = malloc(1000);
    assert_non_null(as);
    memset(as, 'a', 1000);
    for (int i = 0; i < 1000; i++)
        bk_sha256_add(s, as, 1000);
    unsigned char raw[BK_SHA256_LEN];
    bk_sha256_end(s, raw);
    bk_hex(raw, sizeof(raw), hex);
    assert_string_equal(hex, MILL);
    free(as);
    bk_sha256_free(s);
    bk_sha256_free(NULL);
}

static void hexadecimal(void **state)
{
    (void)state;
    unsigned char bytes[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    bk_hex(bytes, 256, hex);
    assert_int_equal(strlen(hex), 512);
    assert_memory_equal(hex, "000102", 6);
    assert_string_equal(hex + 506, "fdfeff");
    assert_true(bk_unhex(hex, back, 256));
    assert_memory_equal(back, bytes, 256);
    bk_hex(bytes, 0, hex);
    assert_string_equal(hex, "");
    assert_true(bk_unhex("", back, 0));
    static const char *const bad[] = {"",     "0",    "00",   "000",  "00000", "00AA",
                                      "00g0", "0x00", " 000", "000 ", "-000",  "000\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (bk_unhex(bad[i], back, 2))
            fail_msg("'%s'", bad[i]);
}

static void randomness(void **state)
{
    (void)state;
    struct bk_err err = {0};
    unsigned char a[1000] = {0}, b[1000] = {0};
    assert_int_equal(bk_random(a, sizeof(a), &err), 0);
    assert_int_equal(bk_random(b, sizeof(b), &err), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    int seen[256] = {0}, kinds = 0;
    for (size_t i = 0; i < sizeof(a); i++)
        kinds += seen[a[i]]++ == 0;
    assert_true(kinds > 200);
    assert_int_equal(bk_random(a, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_once), cmocka_unit_test(in_parts),
                                       cmocka_unit_test(hexadecimal), cmocka_unit_test(randomness)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
