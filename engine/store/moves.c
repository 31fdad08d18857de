/* Reading, applying and writing moved/ objects. */
#include "store/moves.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/index_table.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT (256u << 20)
#define HEX   (2 * sizeof(bk_id) + 1)

/* ---- one object ------------------------------------------------------------------------------ */

void bk_moved_release(struct bk_moved *m)
{
    for (size_t i = 0; i < m->n_moves; i++)
        free(m->moves[i].to);
    free(m->moves);
    free(m->starts);
    free(m->name);
    bk_strv_free(&m->ids);
    memset(m, 0, sizeof(*m));
}

void bk_moves_release(struct bk_moves *m)
{
    for (size_t i = 0; i < m->n; i++)
        bk_moved_release(&m->items[i]);
    free(m->items);
    memset(m, 0, sizeof(*m));
}

static int add_start(struct bk_moved *m, int64_t start_ns)
{
    if (m->ids.n > m->cap_starts) {
        size_t cap = m->cap_starts ? m->cap_starts * 2 : 16;
        int64_t *more = realloc(m->starts, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        m->starts = more;
        m->cap_starts = cap;
    }
    m->starts[m->ids.n - 1] = start_ns;
    return BAKE_OK;
}

int bk_moved_add_backup(struct bk_moved *m, const struct bk_manifest *b)
{
    return bk_strv_add(&m->ids, b->id) < 0 ? BAKE_E_NOMEM : add_start(m, b->start_ns);
}

int bk_moved_add(struct bk_moved *m, const bk_id *from, const bk_id *to, size_t n_to)
{
    bk_id *copy = malloc(n_to * sizeof(*copy) + 1);

    if (m->n_moves == m->cap_moves) {
        size_t cap = m->cap_moves ? m->cap_moves * 2 : 16;
        struct bk_move *more = realloc(m->moves, cap * sizeof(*more));

        if (!more) {
            free(copy);
            return BAKE_E_NOMEM;
        }
        m->moves = more;
        m->cap_moves = cap;
    }
    if (!copy)
        return BAKE_E_NOMEM;
    memcpy(copy, to, n_to * sizeof(*copy));
    m->moves[m->n_moves++] = (struct bk_move){*from, copy, n_to};
    return BAKE_OK;
}

static int by_from(const void *a, const void *b)
{
    return memcmp(((const struct bk_move *)a)->from.b, ((const struct bk_move *)b)->from.b,
                  sizeof(bk_id));
}

static void sort_moves(struct bk_moved *m)
{
    if (m->n_moves)
        qsort(m->moves, m->n_moves, sizeof(*m->moves), by_from);
}

static const struct bk_move *move_of(const struct bk_moved *m, const bk_id *pack)
{
    struct bk_move key = {.from = *pack};

    return m->n_moves ? bsearch(&key, m->moves, m->n_moves, sizeof(key), by_from) : NULL;
}

bool bk_moved_names(const struct bk_moved *m, const struct bk_manifest *b)
{
    for (size_t i = 0; i < m->ids.n; i++)
        if (bk_streq(m->ids.items[i], b->id) && (!m->starts || m->starts[i] == b->start_ns))
            return true;
    return false;
}

bool bk_moves_left(const struct bk_moves *m, const bk_id *pack)
{
    for (size_t i = 0; i < m->n; i++)
        if (move_of(&m->items[i], pack))
            return true;
    return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int parse_right(const json_t *j, const char *name, bk_id **ret, size_t *ret_n,
                       struct bk_err *err)
{
    size_t n = json_array_size(j);
    bk_id *to = malloc(n * sizeof(*to) + 1);

    if (!to)
        return bk_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const char *hex = json_string_value(json_array_get(j, i));

        if (!hex || !bk_unhex(hex, to[i].b, sizeof(to[i].b))) {
            free(to);
            return bk_fail(err, BAKE_E_CORRUPT, "'%s' names what is no pack", name);
        }
    }
    *ret = to;
    *ret_n = n;
    return BAKE_OK;
}

static int parse_moves(json_t *j, const char *name, struct bk_moved *m, struct bk_err *err)
{
    json_t *moves = json_object_get(j, "moves"), *right;
    const char *left;

    if (!json_is_object(moves))
        return bk_fail(err, BAKE_E_CORRUPT, "'%s': 'moves' is missing", name);
    json_object_foreach(moves, left, right)
    {
        bk_id from, *to = NULL;
        size_t n = 0;
        int rc;

        if (!bk_unhex(left, from.b, sizeof(from.b)) || !json_is_array(right))
            return bk_fail(err, BAKE_E_CORRUPT, "'%s' names what is no pack", name);
        rc = parse_right(right, name, &to, &n, err);
        if (rc < 0)
            return rc;
        rc = bk_moved_add(m, &from, to, n);
        free(to);
        if (rc < 0)
            return bk_nomem(err);
    }
    sort_moves(m);
    return BAKE_OK;
}

static int parse_backups(const json_t *j, const char *name, struct bk_moved *m, struct bk_err *err)
{
    const json_t *ids, *starts = json_object_get(j, "starts");
    int rc = bk_json_array(j, name, "backups", &ids, err);

    if (rc < 0)
        return rc;
    if (starts && json_array_size(starts) != json_array_size(ids))
        return bk_fail(err, BAKE_E_CORRUPT, "'%s': 'starts' does not fit 'backups'", name);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        const char *time = json_string_value(json_array_get(starts, i));
        int64_t start = 0;

        if (!id || (starts && (!time || !bk_parse_rfc3339(time, &start))))
            return bk_fail(err, BAKE_E_CORRUPT, "'%s': a backup's name or start is damaged", name);
        if (bk_strv_add(&m->ids, id) < 0 || (starts && add_start(m, start) < 0))
            return bk_nomem(err);
    }
    return BAKE_OK;
}

static int load_one(struct bk_sink *sink, const char *name, struct bk_moved *ret,
                    struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = NULL;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (!(ret->name = bk_strdup(name)))
        return bk_nomem(err);
    if ((rc = bk_sink_get(sink, name, LIMIT, &text, err)) < 0)
        return rc;
    rc = bk_json_unseal(text.data ? text.data : "", text.len, name, &j, err);
    if (rc >= 0)
        rc = parse_backups(j, name, ret, err);
    if (rc >= 0)
        rc = parse_moves(j, name, ret, err);
    return rc < 0 ? bk_prefix(err, "%s", sink->label) : BAKE_OK;
}

static int on_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    return bk_strv_add(arg, name);
}

int bk_moves_load(struct bk_sink *sink, struct bk_moves *ret, struct bk_err *err)
{
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};
    int rc = bk_sink_list(sink, BK_MOVED, on_name, &names, err);

    memset(ret, 0, sizeof(*ret));
    if (rc < 0)
        return rc;
    bk_strv_sort(&names);
    ret->items = calloc(names.n + 1, sizeof(*ret->items));
    if (!ret->items)
        return bk_nomem(err);
    for (size_t i = 0; i < names.n; i++) {
        rc = load_one(sink, names.items[i], &ret->items[ret->n++], err);
        if (rc < 0) {
            bk_moves_release(ret);
            return rc;
        }
    }
    return BAKE_OK;
}

/* ---- applying -------------------------------------------------------------------------------- */

struct following {
    const struct bk_moved **named; /* objects that name the backup */
    size_t n_named;
    struct bk_table seen; /* every pack is looked at once, so even a circle ends */
    bk_id *out;           /* what is to be looked at, then what is needed */
    size_t n, cap;
};

static int push(struct following *f, const bk_id *pack)
{
    struct bk_located e = {*pack, {0, 0, 0, 1}};

    if (bk_table_find(&f->seen, pack))
        return BAKE_OK;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        bk_id *more = realloc(f->out, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        f->out = more;
        f->cap = cap;
    }
    f->out[f->n++] = *pack;
    return bk_table_put(&f->seen, &e);
}

/* Where several objects move it, it may be in any of them: all are kept. */
static int follow_one(struct following *f, const bk_id *pack, bool *ret_moved)
{
    *ret_moved = false;
    for (size_t i = 0; i < f->n_named; i++) {
        const struct bk_move *m = move_of(f->named[i], pack);

        *ret_moved |= m != NULL;
        for (size_t k = 0; m && k < m->n_to; k++)
            if (push(f, &m->to[k]) < 0)
                return BAKE_E_NOMEM;
    }
    return BAKE_OK;
}

static int follow(struct following *f, const bk_id *packs, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (push(f, &packs[i]) < 0)
            return BAKE_E_NOMEM;
    for (size_t i = 0; i < f->n; i++) {
        bk_id pack = f->out[i]; /* following may move the array */
        bool moved;

        if (follow_one(f, &pack, &moved) < 0)
            return BAKE_E_NOMEM;
        if (!moved)
            f->out[kept++] = pack;
    }
    f->n = kept;
    return BAKE_OK;
}

static int by_bytes(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

int bk_packs_needed(struct bk_sink *sink, const struct bk_moves *moves, const struct bk_manifest *b,
                    bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    struct following f = {.n_named = 0};
    bk_id *listed;
    size_t n;
    int rc = bk_packlist_get(sink, b, &listed, &n, err);

    if (rc < 0)
        return rc;
    f.named = calloc(moves->n + 1, sizeof(const struct bk_moved *));
    if (!f.named) {
        free(listed);
        return bk_nomem(err);
    }
    for (size_t i = 0; i < moves->n; i++)
        if (bk_moved_names(&moves->items[i], b))
            f.named[f.n_named++] = &moves->items[i];
    if (f.n_named > 0) {
        rc = follow(&f, listed, n);
        free(listed);
        listed = f.out;
        n = f.n;
        if (n)
            qsort(listed, n, sizeof(*listed), by_bytes);
    }
    free(f.named);
    bk_table_release(&f.seen);
    if (rc < 0) {
        free(listed);
        return bk_nomem(err);
    }
    *ret = listed;
    *ret_n = n;
    return BAKE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static json_t *right_json(const struct bk_move *m)
{
    json_t *right = json_array();
    char hex[HEX];

    for (size_t i = 0; i < m->n_to; i++) {
        bk_hex(m->to[i].b, sizeof(m->to[i].b), hex);
        if (json_array_append_new(right, json_string(hex)) < 0) {
            json_decref(right);
            return NULL;
        }
    }
    return right;
}

static int make_json(const struct bk_moved *m, json_t *j, struct bk_err *err)
{
    json_t *ids = json_array(), *starts = json_array(), *moves = json_object();
    char text[BK_TIME_CAP], hex[HEX];
    bool ok = true;

    for (size_t i = 0; i < m->ids.n; i++)
        ok &= json_array_append_new(ids, json_string(m->ids.items[i])) == 0 &&
              json_array_append_new(starts, json_string(bk_format_time(text, m->starts[i]))) == 0;
    for (size_t i = 0; i < m->n_moves; i++) {
        bk_hex(m->moves[i].from.b, sizeof(m->moves[i].from.b), hex);
        ok &= json_object_set_new(moves, hex, right_json(&m->moves[i])) == 0;
    }
    ok &= json_object_set_new(j, "backups", ids) == 0;
    ok &= json_object_set_new(j, "starts", starts) == 0;
    ok &= json_object_set_new(j, "moves", moves) == 0;
    return ok ? BAKE_OK : bk_nomem(err);
}

int bk_moved_put(struct bk_store *store, struct bk_moved *m, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1];
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), hex);
    free(m->name);
    m->name = bk_asprintf(BK_MOVED "%s", hex);
    if (!m->name)
        return bk_nomem(err);
    sort_moves(m);
    rc = make_json(m, j, err);
    if (rc >= 0)
        rc = bk_json_seal(j, &text, err);
    for (size_t i = store->n_sinks; i-- > 0 && rc >= 0;)
        if (bk_store_sink_ok(store, i))
            rc = bk_sink_put(&store->sinks[i], m->name, text.data, text.len, BAKE_PUT_IF_ABSENT,
                             err);
    return rc;
}
