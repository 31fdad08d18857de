/* Maps of a YAML tree: duplicate keys, merge keys, lookup. */
#include "config/yaml_internal.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define STOP       1
#define MAX_MERGED 1000 /* keys of a map with "<<": they are compared one with another */

static struct bk_ynode *own(const struct bk_node *node) { return (struct bk_ynode *)node; }

/* ---- keys -------------------------------------------------------------------------------------
 */

struct slot {
    const struct bk_node *key;
    size_t index;
};

static int by_key(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    int order = strcmp(x->key->text, y->key->text);
    return order ? order : x->index < y->index ? -1 : 1;
}

/* The map's keys sorted; NULL: out of memory (or there are none). */
static struct slot *sorted_keys(const struct bk_node *map)
{
    struct slot *slots = calloc(map->n ? map->n : 1, sizeof(*slots));
    if (!slots)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        slots[i] = (struct slot){map->keys[i], i};
    qsort(slots, map->n, sizeof(*slots), by_key);
    return slots;
}

static bool has_key(const struct slot *slots, size_t n, const char *key)
{
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        int order = strcmp(slots[middle].key->text, key);
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            n = middle;
    }
    return false;
}

static int note_duplicates(struct bk_yaml *y, struct bk_ynode *map, const struct slot *slots,
                           struct bk_err *err)
{
    const struct bk_node *first = NULL;
    for (size_t i = 0; i < map->node.n; i++) {
        if (!first || strcmp(first->text, slots[i].key->text) != 0) {
            first = slots[i].key;
            continue;
        }
        struct bk_ydup *dup = bk_optmem_alloc(y->mem, sizeof(*dup));
        if (!dup)
            return bk_nomem(err);
        *dup = (struct bk_ydup){map->dups, slots[i].key, first};
        map->dups = dup;
    }
    return 0;
}

static bool keys_are_texts(const struct bk_node *map, struct bk_diags *diags)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->keys[i]->type == BK_SCALAR)
            continue;
        bk_diag_error(diags, map->keys[i]->at, "a key must be a word, got %s",
                      bk_node_kind(map->keys[i]));
        return false;
    }
    return true;
}

/* ---- "<<" -------------------------------------------------------------------------------------
 */

static bool is_merge(const struct bk_node *key)
{
    return !key->quoted && strcmp(key->text, "<<") == 0;
}

/* The maps that the value of "<<" names, at most n; false: reported. */
static bool merge_sources(const struct bk_node *value, struct bk_node *const **ret, size_t *ret_n,
                          struct bk_node *const *self, struct bk_diags *diags)
{
    *ret = value->type == BK_SEQ ? value->items : self;
    *ret_n = value->type == BK_SEQ ? value->n : 1;
    for (size_t i = 0; i < *ret_n; i++) {
        if ((*ret)[i]->type == BK_MAP)
            continue;
        bk_diag_error(diags, (*ret)[i]->at, "'<<' takes a map or a list of maps, got %s",
                      bk_node_kind((*ret)[i]));
        return false;
    }
    return true;
}

struct merge {
    struct bk_node **keys, **items; /* the map's new lists */
    size_t n;
    const struct slot *own; /* the map's own keys, sorted */
    size_t n_own;
    size_t weight;
};

static bool merged_before(const struct merge *m, size_t from, const char *key)
{
    for (size_t i = from; i < m->n; i++) {
        if (strcmp(m->keys[i]->text, key) == 0)
            return true;
    }
    return false;
}

/* The map's own keys win, then those of maps named earlier. */
static void merge_one(struct merge *m, size_t from, const struct bk_node *source)
{
    const size_t before = m->n;
    for (size_t i = 0; i < source->n; i++) {
        const char *key = source->keys[i]->text;
        if (has_key(m->own, m->n_own, key))
            continue;
        if (before > from && merged_before(m, from, key))
            continue;
        m->keys[m->n] = source->keys[i];
        m->items[m->n++] = source->items[i];
        m->weight += 1 + own(source->items[i])->weight;
    }
}

static void copy_own(struct merge *m, const struct bk_node *map, size_t skip)
{
    for (size_t i = 0; i < map->n; i++) {
        if (i == skip)
            continue;
        m->keys[m->n] = map->keys[i];
        m->items[m->n++] = map->items[i];
    }
}

static int resolve_merge(struct bk_yaml *y, struct bk_ynode *map, size_t at,
                         const struct slot *slots, struct bk_diags *diags, struct bk_err *err)
{
    struct bk_node *const *sources = NULL;
    size_t n_sources = 0, room = map->node.n;
    if (!merge_sources(map->node.items[at], &sources, &n_sources, &map->node.items[at], diags))
        return STOP;
    for (size_t i = 0; i < n_sources; i++)
        room += sources[i]->n;
    if (room > MAX_MERGED) {
        bk_diag_error(diags, map->node.keys[at]->at, "'<<' brings in more than %d keys",
                      MAX_MERGED);
        return STOP;
    }
    struct bk_node **lists = bk_optmem_array(y->mem, room * 2, sizeof(struct bk_node *));
    if (!lists)
        return bk_nomem(err);
    struct merge m = {.keys = lists, .items = lists + room, .own = slots, .n_own = map->node.n};
    copy_own(&m, &map->node, at);
    size_t from = m.n;
    for (size_t i = 0; i < n_sources; i++)
        merge_one(&m, from, sources[i]);
    map->node.keys = m.keys;
    map->node.items = m.items;
    map->node.n = m.n;
    map->weight += m.weight;
    return 0;
}

int bk_yaml_finish_map(struct bk_yaml *y, struct bk_ynode *map, struct bk_diags *diags,
                       struct bk_err *err)
{
    if (!keys_are_texts(&map->node, diags))
        return STOP;
    struct slot *slots BK_FREE = sorted_keys(&map->node);
    if (!slots)
        return bk_nomem(err);
    int rc = note_duplicates(y, map, slots, err);
    for (size_t i = 0; rc == 0 && i < map->node.n; i++) {
        if (is_merge(map->node.keys[i])) /* a second one is a duplicate key: reported */
            return resolve_merge(y, map, i, slots, diags, err);
    }
    return rc;
}

/* ---- lookup -----------------------------------------------------------------------------------
 */

const struct bk_node *bk_map_get(const struct bk_node *map, const char *key,
                                 const struct bk_node **ret_key)
{
    if (!map || map->type != BK_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) != 0)
            continue;
        if (ret_key)
            *ret_key = map->keys[i];
        return map->items[i];
    }
    return NULL;
}

bool bk_node_is_null(const struct bk_node *n)
{
    if (!n)
        return true;
    if (n->type != BK_SCALAR || n->quoted)
        return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < BK_LEN(nulls); i++) {
        if (strcmp(n->text, nulls[i]) == 0)
            return true;
    }
    return false;
}

bool bk_node_has_bad(const struct bk_node *n)
{
    if (!n || n->type == BK_SCALAR)
        return n && n->bad;
    for (size_t i = 0; i < n->n; i++) {
        if (bk_node_has_bad(n->items[i]))
            return true;
    }
    return false;
}

const char *bk_node_kind(const struct bk_node *n)
{
    return n->type == BK_MAP ? "a map" : n->type == BK_SEQ ? "a list" : "text";
}
