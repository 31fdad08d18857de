/* quick: all that a backup needs is there with its size. read: every byte is fetched, decoded and
 * digested, every file compared with its own digest. */
#include "run/verify.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/hands.h"
#include "store/comp.h"

#include <string.h>

#define READ_BUFFER (256u << 10)

struct check { /* one backup in one sink */
    struct bk_session *session;
    struct bk_sink *sink;
    const struct bk_manifest *manifest;
    enum bk_verify_level level;
    bool *broken; /* by component: reading it would say nothing new */
    const struct bk_mcomp *comp;
    struct bk_hands *hands;
    uint64_t objects, lost; /* lost: files */
    pthread_mutex_t lock;   /* over the next two */
    uint64_t damaged, bytes;
};

static void damage_of(struct check *k, const struct bk_mcomp *c, const struct bk_err *why)
{
    pthread_mutex_lock(&k->lock);
    k->damaged++;
    pthread_mutex_unlock(&k->lock);
    bk_event_backup_error(k->session->reporter, k->manifest->id, c ? c->name : NULL, why);
}

static void damage(struct check *k, const struct bk_err *why) { damage_of(k, k->comp, why); }

static void count_bytes(struct check *k, uint64_t n)
{
    pthread_mutex_lock(&k->lock);
    k->bytes += n;
    pthread_mutex_unlock(&k->lock);
    atomic_fetch_add(&k->session->reporter->progress.bytes, n);
}

/* Failures that say nothing about the store. */
static bool ends_all(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

/* What may be wrong with one content alone; the rest says that the store cannot be read. */
static bool is_damage(int rc)
{
    return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO;
}

static void lost_file(void *arg, const char *path)
{
    struct check *k = arg;
    struct bk_err why = {0};
    char shown[300];

    /* A big tree that is cut at its beginning loses a million files: a screenful is named. */
    if (k->lost++ >= 100)
        return;
    bk_fail(&why, BAKE_E_CORRUPT, "'%s' cannot be restored from %s",
            bk_printable(shown, sizeof(shown), path, strlen(path)), k->sink->label);
    bk_event_backup_error(k->session->reporter, k->manifest->id, k->comp->name, &why);
}

/* ---- contents -------------------------------------------------------------------------------- */

static int check_content(void *arg, size_t hand, void *content, struct bk_err *err)
{
    struct check *k = arg;
    uint64_t bytes = 0;
    int rc = bk_content_check(content, &bytes, err);

    (void)hand;
    bk_content_free(content);
    count_bytes(k, bytes);
    if (rc >= 0 || !is_damage(rc))
        return rc < 0 ? rc : BAKE_OK;
    damage(k, err);
    bk_err_clear(err);
    return BAKE_OK;
}

static void drop_content(void *arg, void *content)
{
    (void)arg;
    bk_content_free(content);
}

static const struct bk_hands_ops checker = {.work = check_content, .drop = drop_content};

static int read_in_order(struct check *k, struct bk_compr *r, char *buffer, struct bk_err *err)
{
    for (;;) {
        struct bake_out out = {buffer, READ_BUFFER, 0};
        int rc = bk_compr_read(r, &out, err);

        count_bytes(k, out.pos);
        if (rc != BAKE_OK)
            return rc < 0 ? rc : BAKE_OK;
    }
}

/* The current file's bytes, or the blob's. *ret_apart: by the hands, whose failure it is then. */
static int read_data(struct check *k, struct bk_compr *r, char *buffer, bool *ret_apart,
                     struct bk_err *err)
{
    struct bk_content *content;
    int rc = bk_compr_detach(r, &content, err);

    *ret_apart = rc != BAKE_END;
    if (rc == BAKE_END)
        return read_in_order(k, r, buffer, err);
    return rc < 0 ? rc : bk_hands_give(k->hands, content, err);
}

static int read_tree(struct check *k, struct bk_compr *r, char *buffer, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e = {0};
        bool apart = false;
        int rc = bk_compr_next(r, &e, err);

        if (rc == BAKE_END)
            return BAKE_OK;
        if (rc >= 0 && e.type == BAKE_FILE)
            rc = read_data(k, r, buffer, &apart, err);
        if (rc < 0 && (apart || !bk_compr_bad_entry(r))) {
            if (!apart && !ends_all(rc) && e.path && e.type == BAKE_FILE)
                lost_file(k, e.path);
            return rc;
        }
        if (rc < 0)
            damage(k, err);
        bk_err_clear(err);
        atomic_fetch_add(&k->session->reporter->progress.entries, 1);
    }
}

/* ---- components ------------------------------------------------------------------------------ */

/* All of an open component; the hands have ended when it returns. */
static int read_open(struct check *k, struct bk_compr *r, char *buffer, struct bk_err *err)
{
    struct bk_err why = {0};
    bool apart;
    int rc = bk_hands_new(bk_hands_share(1), &checker, k, &k->hands, err), hands_rc = BAKE_OK;

    if (rc < 0)
        return rc;
    rc = k->comp->kind == BAKE_TREE ? read_tree(k, r, buffer, err)
                                    : read_data(k, r, buffer, &apart, err);
    if (!ends_all(rc))
        hands_rc = bk_hands_wait(k->hands, &why);
    bk_hands_free(k->hands);
    k->hands = NULL;
    if (hands_rc < 0 && (rc >= 0 || ends_all(hands_rc))) {
        *err = why;
        rc = hands_rc;
    }
    return rc < 0 ? rc : bk_compr_finish(r, err);
}

static int read_component(struct check *k, struct bk_err *err)
{
    char *buffer BK_FREE = malloc(READ_BUFFER);
    struct bk_err why = {0};
    struct bk_compr *r = NULL;
    int rc;

    if (!buffer)
        return bk_nomem(err);
    rc = bk_compr_open(k->session->store, k->sink, k->manifest, k->comp, BK_COMPR_PROVE,
                       k->session->cancel, &r, &why);
    if (rc >= 0)
        rc = read_open(k, r, buffer, &why);
    if (rc < 0 && !ends_all(rc)) {
        damage(k, &why);
        if (r)
            bk_compr_lost(r, lost_file, k);
    }
    bk_compr_free(r);
    if (!ends_all(rc))
        return BAKE_OK;
    *err = why;
    return rc;
}

static void looked_damaged(void *arg, const struct bk_mcomp *c, const struct bk_err *why)
{
    struct check *k = arg;

    damage_of(k, c, why);
    if (c)
        k->broken[c - k->manifest->comps] = true;
}

/* So that the next run does not build on what is damaged. */
static void distrust(struct check *k)
{
    struct bk_err why = {0};
    uint64_t marked;

    if (bk_backup_distrust(k->session->store, k->sink, k->session->host, &marked, &why) < 0)
        bk_event_note(k->session->reporter, BAKE_WARNING, NULL, k->sink->label, why.text);
}

static int check_components(struct check *k, struct bk_err *err)
{
    struct bk_look look = {.damage = looked_damaged, .arg = k};
    const struct bk_manifest *m = k->manifest;
    int rc = bk_backup_look(k->session->store, k->sink, m, &look, err);

    k->objects = look.objects;
    for (size_t i = 0; i < m->n_comps && rc >= 0 && k->level >= BK_VERIFY_READ; i++) {
        k->comp = &m->comps[i];
        k->lost = 0;
        if (!k->broken[i] && k->comp->status != BK_STATUS_FAILED)
            rc = read_component(k, err);
    }
    if (rc >= 0 && k->damaged > 0 && k->level >= BK_VERIFY_READ)
        distrust(k);
    return rc;
}

static const char *level_name(enum bk_verify_level level)
{
    return level == BK_VERIFY_READ ? "read" : "quick";
}

/* What was found, beside the backup. A store that cannot be written to can still be verified. */
static void put_record(struct check *k, uint64_t ms)
{
    json_t *facts BK_JSON = json_object();
    struct bk_err why = {0};

    bk_json_set_str(facts, "level", level_name(k->level));
    bk_json_set_str(facts, "result", k->damaged ? "damaged" : "ok");
    bk_json_set_u64(facts, "damaged", k->damaged);
    bk_json_set_u64(facts, "objects", k->objects);
    bk_json_set_u64(facts, "bytes", k->bytes);
    bk_json_set_real(facts, "duration", (double)ms / 1000.0);
    bk_json_set_str(facts, "host", k->session->host);
    if (bk_record_put(k->sink, k->manifest->id, "verify", facts, &why) < 0)
        bk_log(BAKE_LOG_WARN, "cannot record the result beside the backup: %s", why.text);
}

static void verified_event(const struct check *k)
{
    json_t *e = bk_event("verified");

    bk_json_set_str(e, "id", k->manifest->id);
    bk_json_set_str(e, "sink", k->sink->part->name);
    bk_json_set_str(e, "level", level_name(k->level));
    bk_json_set_str(e, "result", k->damaged ? "damaged" : "ok");
    bk_json_set_u64(e, "damaged", k->damaged);
    bk_json_set_u64(e, "objects", k->objects);
    bk_json_set_u64(e, "bytes", k->bytes);
    bk_event_send(k->session->reporter, e);
}

static int check_backup(struct bk_session *s, struct bk_sink *sink, const struct bk_backup *b,
                        enum bk_verify_level level, uint64_t *damaged, struct bk_err *err)
{
    struct check k = {.session = s, .sink = sink, .level = level};
    uint64_t start = bk_monotonic_ms();
    struct bk_err why = {0};
    int rc = bk_backup_manifest(s->store, sink, b, &k.manifest, &why);

    if (rc < 0 && (ends_all(rc) || (b->foreign && !is_damage(rc)))) {
        *err = why;
        return rc;
    }
    if (rc < 0) { /* a manifest that cannot be read is damage too */
        ++*damaged;
        bk_event_backup_error(s->reporter, b->id, NULL, &why);
        return BAKE_OK;
    }
    k.broken = calloc(k.manifest->n_comps + 1, sizeof(*k.broken));
    if (!k.broken)
        return bk_nomem(err);
    pthread_mutex_init(&k.lock, NULL);
    rc = check_components(&k, err);
    pthread_mutex_destroy(&k.lock);
    free(k.broken);
    if (rc < 0)
        return rc;
    *damaged += k.damaged;
    if (!b->foreign) /* nothing is ever put beside what is not ours */
        put_record(&k, bk_monotonic_ms() - start);
    verified_event(&k);
    return BAKE_OK;
}

/* The latest is the newest whose manifest can be read: damaged ones after it are said as well. */
static int check_newer(struct bk_session *s, struct bk_sink *sink, const struct bk_catalog *catalog,
                       const struct bk_verify_opts *opts, uint64_t *damaged, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (opts->id && bk_streq(opts->id, "latest"))
        for (size_t i = catalog->n; rc >= 0 && i-- > 0 && !catalog->backups[i].manifest;)
            rc = check_backup(s, sink, &catalog->backups[i], opts->level, damaged, err);
    return rc;
}

static int check_sink(struct bk_session *s, struct bk_sink *sink, const struct bk_verify_opts *opts,
                      uint64_t *damaged, uint64_t *checked, struct bk_err *err)
{
    struct bk_catalog *catalog;
    const struct bk_backup *one = NULL;
    int rc = bk_catalog_load(sink, s->by_address ? NULL : s->pipeline->name, opts->host,
                             opts->id ? BK_CATALOG_FOREIGN : 0, &catalog, err);

    if (rc < 0)
        return rc;
    rc = check_newer(s, sink, catalog, opts, damaged, err);
    if (opts->id && rc >= 0) {
        rc = bk_catalog_find(catalog, opts->id, 0, &one, err);
        if (rc < 0 && rc != BK_E_NOSTORE && rc != BK_E_USAGE && !ends_all(rc)) {
            ++*damaged; /* its manifest cannot be read */
            bk_event_error(s->reporter, NULL, err);
            rc = BAKE_OK;
        } else if (rc >= 0) {
            rc = check_backup(s, sink, one, opts->level, damaged, err);
            ++*checked;
        }
    }
    for (size_t i = 0; !opts->id && i < catalog->n && rc >= 0; i++) {
        rc = check_backup(s, sink, &catalog->backups[i], opts->level, damaged, err);
        ++*checked;
    }
    bk_catalog_free(catalog);
    return rc;
}

static int check_sinks(struct bk_session *s, const struct bk_verify_opts *opts, uint64_t *checked,
                       struct bk_err *err)
{
    uint64_t damaged = 0;
    int worst = BAKE_OK;

    for (size_t i = 0; i < s->store->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(s->store, i))
            continue;
        rc = check_sink(s, &s->store->sinks[i], opts, &damaged, checked, &why);
        if (rc < 0) {
            *err = why;
            if (ends_all(rc))
                return rc;
            worst = bk_worse(worst, rc);
        }
    }
    if (damaged > 0)
        return bk_fail(err, BK_E_VERIFY,
                       "verification failed: %llu problem%s found, as named above",
                       (unsigned long long)damaged, damaged == 1 ? "" : "s");
    if (worst >= 0 && *checked == 0)
        return bk_fail(err, BK_E_NOSTORE, "there is no backup to verify");
    return worst;
}

int bk_verify(struct bk_session *s, const struct bk_verify_opts *opts, struct bk_err *err)
{
    uint64_t start = bk_monotonic_ms(), checked = 0;
    json_t *e = bk_event("summary");
    int rc = bk_session_open_store(s, BK_STORE_READ, NULL, err);

    if (rc >= 0)
        rc = bk_reporter_start(s->reporter, err);
    if (rc >= 0)
        rc = check_sinks(s, opts, &checked, err);
    bk_reporter_stop(s->reporter);
    bk_json_set_str(e, "verb", "verify");
    bk_json_set_str(e, "status", rc >= 0 ? "ok" : rc == BK_E_VERIFY ? "damaged" : "failed");
    bk_json_set_str(e, "level", level_name(opts->level));
    bk_json_set_u64(e, "backups", checked);
    bk_json_set_u64(e, "bytes", atomic_load(&s->reporter->progress.bytes));
    bk_json_set_real(e, "duration", (double)(bk_monotonic_ms() - start) / 1000.0);
    bk_json_set_u64(e, "exit_code", (uint64_t)bk_exit_code(rc));
    bk_event_send(s->reporter, e);
    return rc;
}

int bk_verify_after_run(struct bk_session *s, const char *id, enum bk_verify_level level,
                        struct bk_err *err)
{
    struct bk_verify_opts opts = {.id = id, .level = level, .host = NULL};
    uint64_t checked = 0;

    return check_sinks(s, &opts, &checked, err);
}
