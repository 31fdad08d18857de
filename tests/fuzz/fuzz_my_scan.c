/* Feeds bytes to the scanner of dumps, whole and in pieces (the first byte says how big): both must
 * see the same. */
#include "scan.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct my_scan *scan(const uint8_t *data, size_t size, size_t piece, const char **why)
{
    struct my_scan *s = NULL;
    if (my_scan_new(&s) != BAKE_OK)
        abort();
    for (size_t at = 0; at < size; at += piece)
        if (my_scan_feed(s, data + at, size - at < piece ? size - at : piece) != BAKE_OK)
            abort();
    if ((my_scan_end(s, why) == BAKE_OK) != (*why == NULL))
        abort();
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *why[2] = {NULL, NULL};
    const struct my_scan_table *t[2];
    struct my_scan_made made[2];
    uint64_t rows = 0, position[2];
    struct my_scan *s[2] = {scan(data + 1, size - 1, size, &why[0]),
                            scan(data + 1, size - 1, (size_t)(data[0] & 127) + 1, &why[1])};
    size_t n = my_scan_tables(s[0], &t[0]);
    if (my_scan_tables(s[1], &t[1]) != n || why[0] != why[1] ||
        my_scan_rows(s[0]) != my_scan_rows(s[1]))
        abort();
    for (size_t i = 0; i < n; i++) {
        rows += t[0][i].rows;
        if (strcmp(t[0][i].name, t[1][i].name) != 0 || t[0][i].rows != t[1][i].rows ||
            (i > 0 && strcmp(t[0][i - 1].name, t[0][i].name) >= 0))
            abort();
    }
    my_scan_made(s[0], &made[0]);
    my_scan_made(s[1], &made[1]);
    if (rows > my_scan_rows(s[0]) || memcmp(&made[0], &made[1], sizeof(made[0])) != 0 ||
        strcmp(my_scan_binlog(s[0], &position[0]), my_scan_binlog(s[1], &position[1])) != 0)
        abort();
    json_t *o = json_object();
    if (!o || my_scan_facts(s[0], o) != BAKE_OK)
        abort();
    json_decref(o);
    my_scan_free(s[0]);
    my_scan_free(s[1]);
    return 0;
}
