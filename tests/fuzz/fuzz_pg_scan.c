/* Feeds bytes to the scanner of PostgreSQL dumps, whole and in pieces: both must come to the same.
 * The first byte says how: bit 0: pg_dump's own format; the rest: the size of the pieces. */
#include "scan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    int rc;
    char why[256];
    char *facts;
};

static struct outcome scan(int format, const uint8_t *data, size_t n, size_t piece)
{
    struct pg_scan *s = NULL;
    struct outcome o = {0};
    const char *why = "";
    if (pg_scan_new(format, &s) != BAKE_OK)
        abort();
    for (size_t at = 0; at < n; at += piece)
        if (pg_scan_feed(s, data + at, n - at < piece ? n - at : piece) != BAKE_OK)
            abort();
    o.rc = pg_scan_end(s, &why);
    if (o.rc != BAKE_OK && (o.rc != BAKE_E_CORRUPT || !*why))
        abort();
    (void)snprintf(o.why, sizeof(o.why), "%s", why);
    json_t *j = json_object();
    if (pg_scan_facts(s, j) != BAKE_OK)
        abort();
    o.facts = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(j);
    pg_scan_free(s);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int format = data[0] & 1 ? PG_CUSTOM : PG_PLAIN;
    size_t piece = (size_t)(data[0] >> 1) + 1;
    struct outcome a = scan(format, data + 1, size - 1, size);
    struct outcome b = scan(format, data + 1, size - 1, piece);
    if (a.rc != b.rc || strcmp(a.why, b.why) != 0 || strcmp(a.facts, b.facts) != 0)
        abort();
    free(a.facts);
    free(b.facts);
    return 0;
}
