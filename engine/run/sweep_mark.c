/* Which packs a sink has, and which of them its backups need. */
#include "base/cleanup.h"
#include "base/log.h"
#include "run/sweep_private.h"

#include <string.h>

/* ---- packs ----------------------------------------------------------------------------------- */

static int on_pack(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct bk_sweep *s = arg;
    struct bk_sweep_pack p = {.size = size, .mtime_ns = mtime_ns};

    if (!bk_pack_name_parse(name, &p.id))
        return 0;
    if (s->n_packs == s->cap_packs) {
        size_t cap = s->cap_packs ? s->cap_packs * 2 : 256;
        struct bk_sweep_pack *more = realloc(s->packs, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        s->packs = more;
        s->cap_packs = cap;
    }
    s->packs[s->n_packs++] = p;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct bk_sweep_pack *)a)->id.b, ((const struct bk_sweep_pack *)b)->id.b,
                  sizeof(bk_id));
}

int bk_sweep_list_packs(struct bk_sweep *s, struct bk_err *err)
{
    int rc;

    s->n_packs = 0;
    rc = bk_sink_list(s->sink, "packs/", on_pack, s, err);
    if (rc == BAKE_E_NOMEM)
        return bk_nomem(err);
    if (s->n_packs)
        qsort(s->packs, s->n_packs, sizeof(*s->packs), by_id);
    return rc < 0 ? rc : BAKE_OK;
}

struct bk_sweep_pack *bk_sweep_pack_of(const struct bk_sweep *s, const bk_id *id)
{
    struct bk_sweep_pack key = {.id = *id};

    return s->n_packs ? bsearch(&key, s->packs, s->n_packs, sizeof(key), by_id) : NULL;
}

/* ---- backups --------------------------------------------------------------------------------- */

struct ids {
    const struct bk_sweep *sweep;
    struct bk_strv new;
};

static bool is_known(const struct bk_sweep *s, const char *id)
{
    for (size_t i = 0; i < s->n_backups; i++)
        if (bk_streq(s->backups[i]->id, id))
            return true;
    return s->without && bk_strv_has(s->without, id);
}

static int on_backup(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct ids *ids = arg;
    const char *start = name + strlen(BK_BACKUPS), *slash = strchr(start, '/');
    char *id BK_FREE = NULL;

    (void)size;
    (void)mtime_ns;
    if (!slash || !bk_streq(slash + 1, BK_MANIFEST_NAME))
        return 0;
    id = strndup(start, (size_t)(slash - start));
    if (!id)
        return BAKE_E_NOMEM;
    return is_known(ids->sweep, id) ? 0 : bk_strv_add(&ids->new, id);
}

static int get_manifest(struct bk_sweep *s, const char *id, struct bk_manifest **ret,
                        struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(id, BK_MANIFEST_NAME);
    int rc = name ? bk_sink_get(s->sink, name, BK_MANIFEST_LIMIT, &text, err) : bk_nomem(err);

    return rc < 0 ? rc : bk_manifest_parse(text.data ? text.data : "", text.len, id, ret, err);
}

/* The listing is older than the backup may be, so what it lacks is asked for. */
static int is_missing(struct bk_sweep *s, const bk_id *pack, struct bk_err *err)
{
    char name[BK_PACK_NAME_CAP];
    uint64_t size;
    int64_t mtime;
    int rc;

    bk_pack_name(pack, name);
    rc = bk_sink_stat(s->sink, name, &size, &mtime, err);
    return rc == BAKE_E_NOTFOUND ? BAKE_END : rc;
}

static int mark_packs(struct bk_sweep *s, const struct bk_manifest *b, struct bk_err *err)
{
    bk_id *packs BK_FREE = NULL;
    size_t n, missing = 0;
    int rc = bk_packs_needed(s->sink, &s->moves, b, &packs, &n, err);

    for (size_t i = 0; i < n && rc >= 0; i++) {
        struct bk_sweep_pack *p = bk_sweep_pack_of(s, &packs[i]);

        if (p)
            p->needed = true;
        else if ((rc = is_missing(s, &packs[i], err)) == BAKE_END)
            missing++;
    }
    if (missing > 0)
        bk_log(BAKE_LOG_WARN, "%s: backup '%s' needs %zu pack%s that %s not there: verify it",
               s->sink->label, b->id, missing, missing == 1 ? "" : "s",
               missing == 1 ? "is" : "are");
    return rc < 0 ? rc : BAKE_OK;
}

static int keep_backup(struct bk_sweep *s, struct bk_manifest *b)
{
    if (s->n_backups == s->cap_backups) {
        size_t cap = s->cap_backups ? s->cap_backups * 2 : 64;
        struct bk_manifest **more = realloc(s->backups, cap * sizeof(struct bk_manifest *));

        if (!more)
            return BAKE_E_NOMEM;
        s->backups = more;
        s->cap_backups = cap;
    }
    s->backups[s->n_backups++] = b;
    return BAKE_OK;
}

/* What this backup needs is not known, so anything may be needed. */
static int unknown_needs(const struct bk_sweep *s, const char *id, int rc, struct bk_err *err)
{
    bool damage = rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND;

    (void)bk_prefix(err, "%s: no packs are removed, since it is not known what backup '%s' needs",
                    s->sink->label, id);
    if (!damage)
        return rc;
    bk_hint(err,
            "restore what is needed from another backup or sink, then remove the folder "
            "'" BK_BACKUPS "%s' there, and prune again",
            id);
    return err ? err->rc = BK_E_VERIFY : BK_E_VERIFY;
}

static int mark_backup(struct bk_sweep *s, const char *id, struct bk_err *err)
{
    struct bk_manifest *b;
    int rc = get_manifest(s, id, &b, err);

    if (rc < 0)
        return unknown_needs(s, id, rc, err);
    rc = mark_packs(s, b, err);
    if (rc < 0) {
        bk_manifest_free(b);
        return unknown_needs(s, id, rc, err);
    }
    if (keep_backup(s, b) < 0) {
        bk_manifest_free(b);
        return bk_nomem(err);
    }
    return BAKE_OK;
}

int bk_sweep_mark(struct bk_sweep *s, struct bk_err *err)
{
    struct ids ids = {.sweep = s};
    int rc = bk_sink_list(s->sink, BK_BACKUPS, on_backup, &ids, err);

    if (rc == BAKE_E_NOMEM)
        rc = bk_nomem(err);
    for (size_t i = 0; i < ids.new.n &&rc >= 0; i++) {
        if (!bk_id_ok(ids.new.items[i]))
            continue; /* no backup is named so */
        rc = bk_cancelled(s->store->cancel) ? bk_fail(err, BAKE_E_CANCELLED, "cancelled")
                                            : mark_backup(s, ids.new.items[i], err);
    }
    bk_strv_free(&ids.new);
    return rc < 0 ? rc : BAKE_OK;
}

int bk_sweep_fix(struct bk_sweep *s, const struct bk_manifest *b, struct bk_err *err)
{
    bk_id *packs BK_FREE = NULL;
    size_t n;
    int rc = bk_packs_needed(s->sink, &s->moves, b, &packs, &n, err);

    for (size_t i = 0; i < n && rc >= 0; i++) {
        struct bk_sweep_pack *p = bk_sweep_pack_of(s, &packs[i]);

        if (p)
            p->fixed = true;
    }
    return rc;
}
