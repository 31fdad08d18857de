/* Feeding a dump to the scanner, whole and in pieces: the outcome must be the same. */
#ifndef PG_SCAN_KIT_H
#define PG_SCAN_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scan.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    int rc;
    bool counted;
    char why[256];
    char *facts; /* to be freed */
};

static inline struct outcome scan_pieces(int format, const void *data, size_t n, size_t piece)
{
    struct pg_scan *s = NULL;
    struct outcome o = {0};
    const char *why = "";
    assert_int_equal(pg_scan_new(format, &s), BAKE_OK);
    for (size_t at = 0; at < n; at += piece) {
        size_t k = n - at < piece ? n - at : piece;
        char *exact = malloc(k); /* so that a sanitizer sees what is read beyond it */
        assert_non_null(exact);
        memcpy(exact, (const char *)data + at, k);
        assert_int_equal(pg_scan_feed(s, exact, k), BAKE_OK);
        free(exact);
    }
    o.rc = pg_scan_end(s, &why);
    o.counted = pg_scan_counted(s);
    (void)snprintf(o.why, sizeof(o.why), "%s", why);
    json_t *j = json_object();
    assert_int_equal(pg_scan_facts(s, j), BAKE_OK);
    o.facts = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    pg_scan_free(s);
    return o;
}

static inline struct outcome scan_bytes(int format, const void *data, size_t n)
{
    static const size_t pieces[] = {1, 2, 3, 7, 64};
    struct outcome whole = scan_pieces(format, data, n, n ? n : 1);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct outcome o = scan_pieces(format, data, n, pieces[i]);
        assert_int_equal(o.rc, whole.rc);
        assert_string_equal(o.why, whole.why);
        assert_string_equal(o.facts, whole.facts);
        free(o.facts);
    }
    return whole;
}

#endif
