/* The tables that a dump names, and their rows. */
#include "scan_impl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *name)
{
    uint64_t h = 1469598103934665603U;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211U;
    return h ^ h >> 29;
}

static size_t slot_of(const struct my_scan_set *set, const char *name)
{
    size_t at = hash_of(name) & (set->n_slots - 1);
    while (set->slots[at] && strcmp(set->items[set->slots[at] - 1].name, name) != 0)
        at = (at + 1) & (set->n_slots - 1);
    return at;
}

static int grow(struct my_scan_set *set)
{
    size_t cap = set->cap ? set->cap * 2 : 64, n_slots = cap * 2;
    struct my_scan_table *items = realloc(set->items, cap * sizeof(*items));
    if (!items)
        return BAKE_E_NOMEM;
    set->items = items;
    uint32_t *slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return BAKE_E_NOMEM;
    free(set->slots);
    set->slots = slots;
    set->cap = cap;
    set->n_slots = n_slots;
    for (size_t i = 0; i < set->n; i++)
        slots[slot_of(set, items[i].name)] = (uint32_t)i + 1;
    return BAKE_OK;
}

int my_scan_set_at(struct my_scan_set *set, const char *name, struct my_scan_table **ret)
{
    *ret = NULL;
    if (set->n == set->cap && grow(set) != BAKE_OK)
        return BAKE_E_NOMEM;
    size_t slot = slot_of(set, name);
    if (set->slots[slot]) {
        *ret = &set->items[set->slots[slot] - 1];
        return BAKE_OK;
    }
    if (set->n >= MY_SCAN_TABLES)
        return BAKE_OK;
    char *copy = strdup(name);
    if (!copy)
        return BAKE_E_NOMEM;
    set->items[set->n] = (struct my_scan_table){.name = copy};
    set->slots[slot] = (uint32_t)++set->n;
    *ret = &set->items[set->n - 1];
    return BAKE_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct my_scan_table *x = a, *y = b;
    return strcmp(x->name, y->name);
}

void my_scan_set_sort(struct my_scan_set *set)
{
    if (set->n)
        qsort(set->items, set->n, sizeof(*set->items), by_name);
}

void my_scan_set_release(struct my_scan_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free((char *)(uintptr_t)set->items[i].name);
    free(set->items);
    free(set->slots);
}
