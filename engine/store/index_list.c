/* What a sink lists: packs, index objects, and which packs do not count. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "store/index_private.h"

#include <stdlib.h>

#define CONDEMNED       "gc/condemned-"
#define CONDEMNED_LIMIT (256u << 20)

struct packs { /* while they are listed */
    struct bk_index_listed *items;
    size_t n, cap;
    bool no_memory;
};

static int on_pack(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct packs *l = arg;

    (void)mtime_ns;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        struct bk_index_listed *more = realloc(l->items, cap * sizeof(*more));

        l->no_memory |= !more;
        if (!more)
            return BAKE_E_NOMEM;
        l->items = more;
        l->cap = cap;
    }
    if (bk_pack_name_parse(name, &l->items[l->n].id)) {
        l->items[l->n].size = size;
        l->items[l->n++].counts = true;
    }
    return 0;
}

static int on_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    return bk_strv_add(arg, name);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct bk_index_listed *)a)->id.b,
                  ((const struct bk_index_listed *)b)->id.b, sizeof(bk_id));
}

static struct bk_index_listed *listed_as(const struct bk_index_listing *l, const bk_id *id)
{
    struct bk_index_listed key = {.id = *id};

    return l->n ? bsearch(&key, l->packs, l->n, sizeof(key), by_id) : NULL;
}

int bk_index_listed_rank(const struct bk_index_listing *l, const bk_id *id, uint64_t size)
{
    const struct bk_index_listed *at = listed_as(l, id);

    if (!at || at->size != size)
        return BK_RANK_GONE;
    return at->counts ? BK_RANK_COUNTS : BK_RANK_PRESENT;
}

int bk_index_list_objects(struct bk_index *x, struct bk_strv *ret, struct bk_err *err)
{
    int rc = bk_sink_list(x->sink, BK_INDEX_DIR, on_name, ret, err);

    bk_strv_sort(ret);
    return rc < 0 ? rc : BAKE_OK;
}

/* ---- packs that do not count ----------------------------------------------------------------- */

static int add_hex(struct bk_strv *to, const char *hex, struct bk_err *err)
{
    bk_id id;

    if (!hex || !bk_unhex(hex, id.b, sizeof(id.b)))
        return bk_fail(err, BAKE_E_CORRUPT, "'%s' is not the name of a pack", hex ? hex : "");
    return bk_strv_add(to, hex) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int read_condemned(struct bk_sink *sink, const char *name, struct bk_strv *to,
                          struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = NULL;
    const json_t *packs;
    int rc = bk_sink_get(sink, name, CONDEMNED_LIMIT, &text, err);

    if (rc < 0 || (rc = bk_json_unseal(text.data, text.len, name, &j, err)) < 0 ||
        (rc = bk_json_array(j, name, "packs", &packs, err)) < 0)
        return rc;
    for (size_t i = 0; i < json_array_size(packs) && rc >= 0; i++)
        rc = add_hex(to, json_string_value(json_array_get(packs, i)), err);
    return rc;
}

static int add_condemned(struct bk_index *x, struct bk_strv *to, struct bk_err *err)
{
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};
    int rc = bk_sink_list(x->sink, CONDEMNED, on_name, &names, err);

    for (size_t i = 0; i < names.n && rc >= 0; i++) {
        struct bk_err why = {0};

        rc = read_condemned(x->sink, names.items[i], to, &why);
        if (rc == BAKE_E_NOTFOUND) { /* done with since it was listed, and so are its packs */
            rc = BAKE_OK;
        } else if (rc < 0 && rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM && x->read_only) {
            bk_log(BAKE_LOG_DEBUG, "%s: '%s': %s", x->sink->label, names.items[i], why.text);
            rc = BAKE_OK;
        } else if (rc < 0) {
            (void)bk_prefix(&why, "%s: which packs are to be removed cannot be read from '%s'",
                            x->sink->label, names.items[i]);
            bk_hint(&why, "a backup could rely on a pack that is about to go; if the object is "
                          "damaged for good, remove it while no prune is running");
            if (err)
                *err = why;
        }
    }
    return rc < 0 ? rc : BAKE_OK;
}

static int add_bad(struct bk_index *x, struct bk_strv *to, struct bk_err *err)
{
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};
    int rc = bk_sink_list(x->sink, "bad/", on_name, &names, err);

    for (size_t i = 0; i < names.n && rc >= 0; i++)
        if (add_hex(to, names.items[i] + strlen("bad/"), NULL) == BAKE_E_NOMEM)
            rc = bk_nomem(err); /* what is no pack's is nobody's business here */
    return rc < 0 ? rc : BAKE_OK;
}

/* What is condemned is read before the packs are listed: a prune that ends between the two has
 * removed its packs before it removes what condemned them. Index objects are listed before the
 * packs as well, so that none names a pack that came too late. */
int bk_index_list(struct bk_index *x, struct bk_index_listing *ret, struct bk_err *err)
{
    struct bk_strv unfit BK_CLEANUP(bk_strv_free) = {0};
    struct packs packs = {.n = 0};
    int rc;

    memset(ret, 0, sizeof(*ret));
    if ((rc = add_bad(x, &unfit, err)) < 0 || (rc = add_condemned(x, &unfit, err)) < 0 ||
        (rc = bk_index_list_objects(x, &ret->objects, err)) < 0)
        return rc;
    rc = bk_sink_list(x->sink, "packs/", on_pack, &packs, err);
    ret->packs = packs.items;
    ret->n = packs.n;
    if (rc < 0)
        return packs.no_memory ? bk_nomem(err) : rc;
    if (ret->n)
        qsort(ret->packs, ret->n, sizeof(*ret->packs), by_id);
    for (size_t i = 0; i < unfit.n; i++) {
        struct bk_index_listed *at;
        bk_id id;

        if (bk_unhex(unfit.items[i], id.b, sizeof(id.b)) && (at = listed_as(ret, &id)))
            at->counts = false;
    }
    return BAKE_OK;
}

void bk_index_listing_release(struct bk_index_listing *l)
{
    free(l->packs);
    bk_strv_free(&l->objects);
}
