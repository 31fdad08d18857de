/* Listing manifests. */
#include "store/catalog.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/bundle.h"
#include "store/foreign.h"

#include <string.h>

#define RECORD_LIMIT  (16u << 20)
#define VERIFY_RECORD "-verify.json"
#define DRILL_RECORD  "-drill.json"

struct names { /* what a listing of backups/ found */
    struct bk_strv ids, records;
    struct bk_strv sealed;    /* ids whose last object before the manifest is there */
    struct bk_strv announced; /* names of objects that announce bundles */
    struct bk_strv bundles;   /* those that manifests name */
    int rc;
};

/* "backups/<id>/manifest.json" and "backups/<id>/records/<time>-verify.json" (or drill) count. */
static int collect(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct names *names = arg;
    const char *id = name + strlen(BK_BACKUPS), *slash = strchr(id, '/');

    (void)size;
    (void)mtime_ns;
    if (!slash)
        return 0;
    if (bk_streq(slash + 1, BK_MANIFEST_NAME)) {
        char *copy BK_FREE = strndup(id, (size_t)(slash - id));

        if (!copy || (bk_id_ok(copy) && bk_strv_add(&names->ids, copy) < 0))
            names->rc = BAKE_E_NOMEM;
    } else if (bk_starts(slash + 1, BK_RECORDS) &&
               (bk_ends(name, VERIFY_RECORD) || bk_ends(name, DRILL_RECORD))) {
        if (bk_strv_add(&names->records, name) < 0)
            names->rc = BAKE_E_NOMEM;
    } else if (bk_streq(slash + 1, BK_SUMS_NAME)) {
        char *copy BK_FREE = strndup(id, (size_t)(slash - id));

        if (!copy || bk_strv_add(&names->sealed, copy) < 0)
            names->rc = BAKE_E_NOMEM;
    } else if (bk_bundle_announced(name) && bk_strv_add(&names->announced, name) < 0) {
        names->rc = BAKE_E_NOMEM;
    }
    return names->rc;
}

static int read_manifest(struct bk_sink *sink, const char *id, struct bk_backup *b,
                         struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(id, BK_MANIFEST_NAME);
    int rc;

    b->id = bk_strdup(id);
    if (!name || !b->id)
        return bk_nomem(err);
    rc = bk_sink_get(sink, name, BK_MANIFEST_LIMIT, &text, &b->damage);
    if (rc >= 0)
        rc = bk_manifest_parse(text.data, text.len, id, &b->manifest, &b->damage);
    if (rc >= 0)
        bk_err_clear(&b->damage);
    /* One bad backup must not hide the others; only what ends everything is passed on. */
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM && rc != BAKE_E_UNAVAILABLE &&
        rc != BAKE_E_TIMEOUT)
        return BAKE_OK;
    if (err)
        *err = b->damage;
    return rc;
}

/* When it was started: from the manifest, or from the stamp within the id. */
int64_t bk_backup_time(const struct bk_backup *b)
{
    char stamp[17];
    const char *end;
    int64_t ns = 0;

    if (b->foreign)
        return b->foreign->time_ns;
    if (b->manifest)
        return b->manifest->start_ns;
    end = strrchr(b->id, '-');
    if (!end || end - b->id < 17)
        return 0;
    memcpy(stamp, end - 16, 16);
    stamp[16] = '\0';
    (void)bk_parse_time(stamp, &ns);
    return ns;
}

static int by_start(const void *a, const void *b)
{
    const struct bk_backup *x = a, *y = b;
    int64_t sx = bk_backup_time(x), sy = bk_backup_time(y);

    if (sx != sy)
        return sx < sy ? -1 : 1;
    return strcmp(x->id, y->id);
}

/* A manifest that cannot be read: its id begins with the pipeline's name, unless somebody gave it
 * by hand. Then it may be anybody's, and is shown rather than hidden. */
static bool may_belong(const char *id, const char *pipeline)
{
    size_t n = strlen(id), tail = strlen("-20251105T120000Z-3f9c2a");

    if (n <= tail || id[n - tail] != '-' || id[n - 15] != 'T' || id[n - 8] != 'Z' ||
        id[n - 7] != '-')
        return true;
    return strlen(pipeline) == n - tail && bk_starts(id, pipeline);
}

static bool belongs(const struct bk_backup *b, const char *pipeline, const char *host)
{
    if (!b->manifest)
        return !pipeline || may_belong(b->id, pipeline);
    return (!pipeline || bk_streq(b->manifest->pipeline, pipeline)) &&
           (!host || bk_streq(b->manifest->host, host));
}

static void backup_release(struct bk_backup *b)
{
    free(b->id);
    free(b->verified);
    json_decref(b->drill);
    bk_strv_free(&b->missing);
    bk_manifest_free(b->manifest);
    bk_foreign_free(b->foreign);
    memset(b, 0, sizeof(*b));
}

void bk_catalog_free(struct bk_catalog *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++)
        backup_release(&c->backups[i]);
    free(c->backups);
    for (size_t i = 0; i < c->n_foreign; i++)
        backup_release(&c->foreign[i]);
    free(c->foreign);
    free(c->elsewhere);
    free(c);
}

static bool same_series(const struct bk_manifest *a, const struct bk_manifest *b)
{
    return bk_streq(a->pipeline, b->pipeline) && bk_streq(a->host, b->host);
}

/* A source that was taken out of the pipeline is not missed; one that is still there and yields
 * less than before is. */
static bool still_wanted(const struct bk_manifest *m, const char *source)
{
    const json_t *sources = json_object_get(m->pipeline_file, "sources");

    for (size_t i = 0; i < json_array_size(sources); i++)
        if (bk_streq(json_string_value(json_object_get(json_array_get(sources, i), "name")),
                     source))
            return true;
    return !sources;
}

/* Good: no component failed or is partial, none is missing against the last good one before. */
static int judge(struct bk_catalog *c, struct bk_err *err)
{
    for (size_t i = 0; i < c->n; i++) {
        struct bk_backup *b = &c->backups[i];
        const struct bk_manifest *before = NULL;

        if (!b->manifest)
            continue;
        for (size_t k = i; k-- > 0 && !before;)
            if (c->backups[k].good && same_series(c->backups[k].manifest, b->manifest))
                before = c->backups[k].manifest;
        for (size_t k = 0; before && k < before->n_comps; k++)
            if (!bk_manifest_find(b->manifest, before->comps[k].name) &&
                still_wanted(b->manifest, before->comps[k].source) &&
                bk_strv_add(&b->missing, before->comps[k].name) < 0)
                return bk_nomem(err);
        b->good = bk_manifest_good(b->manifest) && b->missing.n == 0;
    }
    return BAKE_OK;
}

static int add_verified(struct bk_backup *b, const json_t *j, struct bk_err *err)
{
    const char *level = "?", *result = "?", *time = "?";

    (void)bk_json_opt_str(j, "record", "level", &level, NULL);
    (void)bk_json_opt_str(j, "record", "result", &result, NULL);
    (void)bk_json_opt_str(j, "record", "time", &time, NULL);
    free(b->verified);
    b->verified = bk_asprintf("%s %s %s", level, result, time);
    return b->verified ? BAKE_OK : bk_nomem(err);
}

static int add_record(struct bk_sink *sink, const char *name, struct bk_backup *b,
                      struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = NULL;

    if (bk_sink_get(sink, name, RECORD_LIMIT, &text, NULL) < 0 ||
        bk_json_unseal(text.data, text.len, "record", &j, NULL) < 0)
        return BAKE_OK;
    if (bk_ends(name, VERIFY_RECORD))
        return add_verified(b, j, err);
    json_decref(b->drill);
    b->drill = json_incref(j);
    (void)json_object_del(b->drill, "sha256"); /* the file's own */
    return BAKE_OK;
}

static int add_records(struct bk_sink *sink, struct bk_catalog *c, struct bk_strv *records,
                       struct bk_err *err)
{
    int rc = BAKE_OK;

    bk_strv_sort(records); /* by id, then time: the last one of an id is the newest */
    for (size_t i = 0; i < records->n && rc >= 0; i++) {
        const char *id = records->items[i] + strlen(BK_BACKUPS);
        size_t n = strcspn(id, "/");

        for (size_t k = 0; k < c->n && rc >= 0; k++) {
            struct bk_backup *b = &c->backups[k];

            if (strncmp(b->id, id, n) == 0 && !b->id[n])
                rc = add_record(sink, records->items[i], b, err);
        }
    }
    return rc;
}

const char *bk_backup_drill(const struct bk_backup *b, const char **ret_time)
{
    const char *result = NULL;

    *ret_time = "";
    if (b->drill) {
        (void)bk_json_opt_str(b->drill, "record", "result", &result, NULL);
        (void)bk_json_opt_str(b->drill, "record", "time", ret_time, NULL);
    }
    return result;
}

static int note_bundles(const struct bk_backup *b, struct names *names, struct bk_err *err)
{
    for (size_t i = 0; b->manifest && i < b->manifest->n_bundles; i++)
        if (bk_strv_add(&names->bundles, b->manifest->bundles[i].name) < 0)
            return bk_nomem(err);
    return BAKE_OK;
}

/* One that was not asked for: is it another host's? *newest_ns: of those so far. */
static int note_elsewhere(const struct bk_backup *b, const char *pipeline, int64_t *newest_ns,
                          struct bk_catalog *c, struct bk_err *err)
{
    if (!b->manifest || !belongs(b, pipeline, NULL))
        return BAKE_OK;
    c->n_elsewhere++;
    if (c->elsewhere && b->manifest->start_ns < *newest_ns)
        return BAKE_OK;
    *newest_ns = b->manifest->start_ns;
    free(c->elsewhere);
    c->elsewhere = bk_strdup(b->manifest->host);
    return c->elsewhere ? BAKE_OK : bk_nomem(err);
}

static int load_all(struct bk_sink *sink, struct names *names, const char *pipeline,
                    const char *host, struct bk_catalog *c, struct bk_err *err)
{
    int64_t newest_ns = 0;

    c->backups = calloc(names->ids.n + 1, sizeof(*c->backups));
    if (!c->backups)
        return bk_nomem(err);
    for (size_t i = 0; i < names->ids.n; i++) {
        struct bk_backup *b = &c->backups[c->n];
        int rc = read_manifest(sink, names->ids.items[i], b, err);
        bool wanted = rc >= 0 && belongs(b, pipeline, host);

        if (rc >= 0)
            rc = note_bundles(b, names, err);
        if (rc >= 0 && !wanted)
            rc = note_elsewhere(b, pipeline, &newest_ns, c, err);
        if (rc < 0 || !wanted)
            backup_release(b);
        if (rc < 0)
            return rc;
        c->n += wanted;
    }
    qsort(c->backups, c->n, sizeof(*c->backups), by_start);
    return judge(c, err);
}

/* ---- foreign archives ------------------------------------------------------------------------ */

static int on_writer(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    return bk_strv_add(arg, name + strlen(BK_WRITERS)) < 0 ? BAKE_E_NOMEM : 0;
}

/* A bundle of ours that is not a backup's: of a run that is under way or was killed. It may yet go.
 * One whose backup was whole and has lost its manifest is as good as a foreign one. */
static bool is_unfinished(const struct names *names, const struct bk_strv *writers,
                          const char *object)
{
    for (size_t i = 0; i < names->announced.n; i++) {
        const char *id = names->announced.items[i] + strlen(BK_BACKUPS);
        char *copy BK_FREE = NULL;

        if (!bk_streq(bk_bundle_announced(names->announced.items[i]), object))
            continue;
        copy = strndup(id, strcspn(id, "/"));
        if (copy && bk_strv_has(&names->ids, copy))
            return false;
        return !copy || !bk_strv_has(&names->sealed, copy) || bk_strv_has(writers, copy);
    }
    return false;
}

static int load_foreign(struct bk_sink *sink, const struct names *names, struct bk_catalog *c,
                        struct bk_err *err)
{
    struct bk_strv writers = {0};
    size_t kept = 0;
    int rc = bk_foreign_list(sink, &c->foreign, &c->n_foreign, err);

    if (rc >= 0 && names->announced.n > 0)
        rc = bk_sink_list(sink, BK_WRITERS, on_writer, &writers, err);
    for (size_t i = 0; i < c->n_foreign && rc >= 0; i++) {
        struct bk_backup *b = &c->foreign[i];

        if (bk_strv_has(&names->bundles, b->foreign->object) ||
            is_unfinished(names, &writers, b->foreign->object))
            backup_release(b);
        else
            c->foreign[kept++] = *b;
    }
    if (rc >= 0)
        c->n_foreign = kept;
    bk_strv_free(&writers);
    return rc;
}

int bk_backup_manifest(struct bk_store *store, struct bk_sink *sink, const struct bk_backup *b,
                       const struct bk_manifest **ret, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (!b->foreign && !b->manifest) {
        if (err)
            *err = b->damage;
        return b->damage.rc;
    }
    if (b->foreign && !b->foreign->manifest)
        rc = bk_foreign_manifest(store, sink, b->id, b->foreign, &b->foreign->manifest, err);
    if (rc >= 0)
        *ret = b->foreign ? b->foreign->manifest : b->manifest;
    return rc;
}

int bk_catalog_load(struct bk_sink *sink, const char *pipeline, const char *host, unsigned flags,
                    struct bk_catalog **ret, struct bk_err *err)
{
    struct bk_catalog *c = calloc(1, sizeof(*c));
    struct names names = {0};
    int rc;

    if (!c)
        return bk_nomem(err);
    rc = bk_sink_list(sink, BK_BACKUPS, collect, &names, err);
    if (names.rc < 0)
        rc = bk_nomem(err);
    if (rc >= 0)
        rc = load_all(sink, &names, pipeline, host, c, err);
    if (rc >= 0 && (flags & BK_CATALOG_RECORDS))
        rc = add_records(sink, c, &names.records, err);
    if (rc >= 0 && (flags & BK_CATALOG_FOREIGN))
        rc = load_foreign(sink, &names, c, err);
    bk_strv_free(&names.sealed);
    bk_strv_free(&names.announced);
    bk_strv_free(&names.bundles);
    bk_strv_free(&names.ids);
    bk_strv_free(&names.records);
    if (rc < 0) {
        bk_catalog_free(c);
        return rc;
    }
    *ret = c;
    return BAKE_OK;
}

int bk_record_put(struct bk_sink *sink, const char *id, const char *kind, json_t *facts,
                  struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char stamp[BK_TIME_CAP], rest[BK_TIME_CAP + 64];
    char *name BK_FREE = NULL;
    int64_t now = bk_now_ns();
    int rc;

    bk_json_set_str(facts, "id", id);
    bk_json_set_str(facts, "kind", kind);
    bk_json_set_time(facts, "time", now / 1000000000 * 1000000000);
    /* Nanoseconds keep two records of one second apart and in order. */
    (void)snprintf(rest, sizeof(rest), BK_RECORDS "%s.%09lld-%s.json", bk_format_stamp(stamp, now),
                   (long long)(now % 1000000000), kind);
    name = bk_backup_object(id, rest);
    rc = name ? bk_json_seal(facts, &text, err) : bk_nomem(err);
    return rc < 0 ? rc : bk_sink_put(sink, name, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
}
