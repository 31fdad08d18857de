/* Inside the scanner. */
#ifndef MY_SCAN_IMPL_H
#define MY_SCAN_IMPL_H

#include "scan.h"

#define MY_SCAN_NAME 1024 /* a table's name in quotes has at most 64 characters */

struct my_scan_set { /* tables by name; a hash over an array */
    struct my_scan_table *items;
    uint32_t *slots; /* index + 1 */
    size_t n, cap, n_slots;
    uint64_t beyond; /* CREATE TABLEs that found no room */
};

/* *ret NULL: there is no room any more. BAKE_E_NOMEM. */
int my_scan_set_at(struct my_scan_set *set, const char *name, struct my_scan_table **ret);
void my_scan_set_sort(struct my_scan_set *set);
void my_scan_set_release(struct my_scan_set *set);

struct my_scan_values { /* within the VALUES of an INSERT */
    bool in_string, escaped;
};

/* Counts '(' outside of strings up to the statement's ';'. Returns how many bytes were taken;
 * *ended when the last of them was that ';'. */
size_t my_scan_values(struct my_scan_values *v, const char *data, size_t n, uint64_t *rows,
                      bool *ended);

#endif
