/* Reading and writing what is condemned. */
#include "store/condemned.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "store/layout.h"

#include <stdlib.h>
#include <string.h>

#define CONDEMNED BK_GC "condemned-"
#define WRITERS   BK_GC "writers-"
#define LIMIT     (256u << 20)
#define HEX       (2 * sizeof(bk_id) + 1)
#define KEY_LEN   16u

void bk_condemned_release(struct bk_condemned_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].packs);
        bk_strv_free(&l->items[i].writers);
    }
    free(l->items);
    bk_strv_free(&l->loose);
    memset(l, 0, sizeof(*l));
}

static struct bk_condemned *add_item(struct bk_condemned_list *l, const char *key)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        struct bk_condemned *more = realloc(l->items, cap * sizeof(*more));

        if (!more)
            return NULL;
        l->items = more;
        l->cap = cap;
    }
    memset(&l->items[l->n], 0, sizeof(*l->items));
    memcpy(l->items[l->n].key, key, KEY_LEN);
    return &l->items[l->n++];
}

static void name_of(char ret[64], const char *prefix, const struct bk_condemned *c)
{
    (void)snprintf(ret, 64, "%s%s", prefix, c->key);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct names {
    struct bk_strv condemned, writers;
};

static int on_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct names *n = arg;

    (void)size;
    (void)mtime_ns;
    if (bk_starts(name, CONDEMNED) && strlen(name) == strlen(CONDEMNED) + KEY_LEN)
        return bk_strv_add(&n->condemned, name);
    if (bk_starts(name, WRITERS) && strlen(name) == strlen(WRITERS) + KEY_LEN)
        return bk_strv_add(&n->writers, name);
    return 0;
}

static int get_list(struct bk_sink *sink, const char *name, const char *key, json_t **ret_j,
                    const json_t **ret, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = bk_sink_get(sink, name, LIMIT, &text, err);

    if (rc < 0)
        return rc;
    rc = bk_json_unseal(text.data ? text.data : "", text.len, name, ret_j, err);
    return rc < 0 ? rc : bk_json_array(*ret_j, name, key, ret, err);
}

static int get_packs(struct bk_sink *sink, struct bk_condemned *c, struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    const json_t *packs;
    char name[64];
    int rc;

    name_of(name, CONDEMNED, c);
    rc = get_list(sink, name, "packs", &j, &packs, err);
    if (rc < 0)
        return rc;
    c->packs = malloc(json_array_size(packs) * sizeof(*c->packs) + 1);
    if (!c->packs)
        return bk_nomem(err);
    for (size_t i = 0; i < json_array_size(packs); i++) {
        const char *hex = json_string_value(json_array_get(packs, i));

        if (!hex || !bk_unhex(hex, c->packs[i].b, sizeof(c->packs[i].b)))
            return bk_fail(err, BAKE_E_CORRUPT, "'%s' names what is no pack", name);
        c->n = i + 1;
    }
    return BAKE_OK;
}

static int get_writers(struct bk_sink *sink, struct bk_condemned *c, struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    const json_t *writers;
    char name[64];
    int rc;

    name_of(name, WRITERS, c);
    rc = get_list(sink, name, "writers", &j, &writers, err);
    for (size_t i = 0; rc >= 0 && i < json_array_size(writers); i++) {
        const char *id = json_string_value(json_array_get(writers, i));

        if (!id)
            rc = bk_fail(err, BAKE_E_CORRUPT, "'%s' is damaged", name);
        else if (bk_strv_add(&c->writers, id) < 0)
            rc = bk_nomem(err);
    }
    c->has_writers = rc >= 0;
    return rc;
}

/* What is damaged is not relied upon: packs that it named are condemned anew, if they still are
 * not needed; writers are listed anew. */
static int load_one(struct bk_sink *sink, struct bk_condemned *c, bool has_writers,
                    struct bk_err *err)
{
    struct bk_err why = {0};
    int rc = get_packs(sink, c, &why);

    c->damaged = rc == BAKE_E_CORRUPT;
    if (rc >= 0 && has_writers && (rc = get_writers(sink, c, &why)) == BAKE_E_CORRUPT)
        bk_strv_free(&c->writers);
    if (rc == BAKE_E_CORRUPT) {
        bk_log(BAKE_LOG_WARN, "%s: %s; it is made anew", sink->label, why.text);
        return BAKE_OK;
    }
    if (rc < 0)
        *err = why;
    return rc;
}

static int load_all(struct bk_sink *sink, const struct names *names, struct bk_condemned_list *ret,
                    struct bk_err *err)
{
    for (size_t i = 0; i < names->condemned.n; i++) {
        char writers[64];
        struct bk_condemned *c = add_item(ret, names->condemned.items[i] + strlen(CONDEMNED));
        int rc;

        if (!c)
            return bk_nomem(err);
        name_of(writers, WRITERS, c);
        rc = load_one(sink, c, bk_strv_has(&names->writers, writers), err);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < names->writers.n; i++) {
        char condemned[64];

        (void)snprintf(condemned, sizeof(condemned), CONDEMNED "%s",
                       names->writers.items[i] + strlen(WRITERS));
        if (!bk_strv_has(&names->condemned, condemned) &&
            bk_strv_add(&ret->loose, names->writers.items[i]) < 0)
            return bk_nomem(err);
    }
    return BAKE_OK;
}

int bk_condemned_load(struct bk_sink *sink, struct bk_condemned_list *ret, struct bk_err *err)
{
    struct names names = {.condemned = {0}};
    int rc = bk_sink_list(sink, BK_GC, on_name, &names, err);

    memset(ret, 0, sizeof(*ret));
    bk_strv_sort(&names.condemned);
    bk_strv_sort(&names.writers);
    if (rc >= 0)
        rc = load_all(sink, &names, ret, err);
    bk_strv_free(&names.condemned);
    bk_strv_free(&names.writers);
    if (rc < 0)
        bk_condemned_release(ret);
    return rc < 0 ? rc : BAKE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int put(struct bk_sink *sink, const char *name, const json_t *j, uint32_t flags,
               struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = bk_json_seal(j, &text, err);

    return rc < 0 ? rc : bk_sink_put(sink, name, text.data, text.len, flags, err);
}

static int set_strings(json_t *j, const char *key, const struct bk_strv *v, struct bk_err *err)
{
    json_t *list = json_array();

    for (size_t i = 0; i < v->n; i++)
        if (json_array_append_new(list, json_string(v->items[i])) < 0) {
            json_decref(list);
            return bk_nomem(err);
        }
    return json_object_set_new(j, key, list) < 0 ? bk_nomem(err) : BAKE_OK;
}

static int set_packs(json_t *j, const bk_id *packs, size_t n, struct bk_err *err)
{
    json_t *list = json_array();
    char hex[HEX];

    for (size_t i = 0; i < n; i++) {
        bk_hex(packs[i].b, sizeof(packs[i].b), hex);
        if (json_array_append_new(list, json_string(hex)) < 0) {
            json_decref(list);
            return bk_nomem(err);
        }
    }
    return json_object_set_new(j, "packs", list) < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_condemn(struct bk_sink *sink, int64_t now_ns, const bk_id *packs, size_t n,
               const struct bk_strv *writers, struct bk_condemned_list *l, struct bk_err *err)
{
    json_t *j BK_JSON = json_object();
    unsigned char random[KEY_LEN / 2];
    char key[KEY_LEN + 1], name[64];
    struct bk_condemned *c;
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), key);
    if (!(c = add_item(l, key)) || !(c->packs = malloc(n * sizeof(*packs) + 1)))
        return bk_nomem(err);
    memcpy(c->packs, packs, n * sizeof(*packs));
    c->n = n;
    bk_json_set_time(j, "time", now_ns);
    if ((rc = set_packs(j, packs, n, err)) < 0 ||
        (rc = set_strings(j, "writers", writers, err)) < 0)
        return rc;
    name_of(name, CONDEMNED, c);
    return put(sink, name, j, BAKE_PUT_IF_ABSENT, err);
}

int bk_condemned_put_writers(struct bk_sink *sink, struct bk_condemned *c,
                             const struct bk_strv *writers, struct bk_err *err)
{
    json_t *j BK_JSON = json_object();
    char name[64];
    int rc = set_strings(j, "writers", writers, err);

    name_of(name, WRITERS, c);
    if (rc >= 0) /* what is there already was damaged */
        rc = put(sink, name, j, 0, err);
    bk_strv_free(&c->writers);
    for (size_t i = 0; i < writers->n && rc >= 0; i++)
        rc = bk_strv_add(&c->writers, writers->items[i]) < 0 ? bk_nomem(err) : BAKE_OK;
    c->has_writers = rc >= 0;
    return rc;
}

int bk_condemned_remove(struct bk_sink *sink, const struct bk_condemned *c, struct bk_err *err)
{
    char name[64];
    int rc;

    name_of(name, CONDEMNED, c);
    rc = bk_sink_remove(sink, name, err);
    if (rc < 0 && rc != BAKE_E_NOTFOUND)
        return rc;
    name_of(name, WRITERS, c);
    rc = bk_sink_remove(sink, name, err);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}
