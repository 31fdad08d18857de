/* Filling mirrors. */
#include "store/mirror.h"

#include "base/cleanup.h"
#include "store/condemned.h"

#include <stdlib.h>
#include <string.h>

struct seen { /* which of the wanted packs a sink has */
    const bk_id *packs;
    size_t n;
    bool *has;
};

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

static int on_pack(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct seen *s = arg;
    const bk_id *at;
    bk_id id;

    (void)mtime_ns;
    if (size > 0 && bk_pack_name_parse(name, &id) &&
        (at = bsearch(&id, s->packs, s->n, sizeof(id), by_bytes)))
        s->has[at - s->packs] = true;
    return 0;
}

/* What is copied is checked: damage must not spread. */
static int copy_from(struct bk_sink *from, struct bk_sink *to, const bk_id *pack,
                     struct bk_err *err)
{
    struct bk_buf data BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char name[BK_PACK_NAME_CAP];
    bk_id id;
    int rc;

    bk_pack_name(pack, name);
    rc = bk_sink_get(from, name, BK_PACK_LIMIT, &data, err);
    if (rc >= 0)
        rc = bk_id_of(data.data, data.len, &id, err);
    if (rc >= 0 && !bk_id_eq(&id, pack))
        rc = bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' does not match its name", from->label, name);
    return rc < 0 ? rc : bk_sink_put(to, name, data.data, data.len, BAKE_PUT_IF_ABSENT, err);
}

/* From the base; if it cannot, from another: should the base have failed while only one sink was
 * fed, the next one has what came after. */
static int copy_pack(struct bk_store *store, struct bk_sink *base, struct bk_sink *to,
                     const bk_id *pack, struct bk_err *err)
{
    int rc = copy_from(base, to, pack, err);

    for (size_t i = 0; i < store->n_sinks && rc < 0; i++) {
        struct bk_sink *other = &store->sinks[i];
        struct bk_err why = {0};

        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
            return rc;
        if (other != base && other != to && bk_store_sink_ok(store, i) &&
            copy_from(other, to, pack, &why) >= 0)
            rc = BAKE_OK;
    }
    return rc;
}

/* The base was asked what is condemned when the run began; here other packs may be. What a prune is
 * about to remove cannot be relied upon. */
static int check_condemned(struct bk_sink *to, const struct seen *s, struct bk_err *err)
{
    struct bk_condemned_list l;
    size_t found = 0;
    int rc = bk_condemned_load(to, &l, err);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < l.n; i++) {
        found += l.items[i].damaged; /* it may name any */
        for (size_t k = 0; k < l.items[i].n; k++)
            found += bsearch(&l.items[i].packs[k], s->packs, s->n, sizeof(bk_id), by_bytes) != NULL;
    }
    bk_condemned_release(&l);
    return found ? bk_fail(err, BAKE_E_UNAVAILABLE,
                           "a prune is about to remove %zu pack%s there that this backup needs\n"
                           "HINT: run 'bakengine prune', then run again",
                           found, found == 1 ? "" : "s")
                 : BAKE_OK;
}

static int fill_one(struct bk_store *store, struct bk_sink *base, struct bk_sink *to,
                    struct seen *s, struct bk_err *err)
{
    int rc = check_condemned(to, s, err);

    if (rc >= 0)
        rc = bk_sink_list(to, "packs/", on_pack, s, err);
    for (size_t i = 0; i < s->n && rc >= 0; i++)
        if (!s->has[i])
            rc = copy_pack(store, base, to, &s->packs[i], err);
    return rc < 0 ? bk_prefix(err, "%s lags behind", to->label) : BAKE_OK;
}

int bk_mirrors_fill(struct bk_store *store, struct bk_sink *base, const bk_id *packs, size_t n,
                    struct bk_err *err)
{
    for (size_t i = 0; i < store->n_sinks; i++) {
        struct bk_sink *to = &store->sinks[i];
        struct seen s = {packs, n, NULL};
        struct bk_err why = {0};
        int rc;

        if (to == base || !bk_store_sink_ok(store, i))
            continue;
        s.has = calloc(n + 1, sizeof(*s.has));
        rc = s.has ? fill_one(store, base, to, &s, &why) : bk_nomem(&why);
        free(s.has);
        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
            *err = why;
            return rc;
        }
        if (rc < 0)
            bk_store_sink_failed(store, i, &why);
    }
    return BAKE_OK;
}
