/* Opening a store in all its sinks, and small writes to all of them. */
#include "store/store.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "store/layout.h"

#include <string.h>

#define INFO_LIMIT (64u << 10)

static int read_info(struct bk_store *s, struct bk_sink *sink, const struct bk_buf *text,
                     struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    const char *format, *id, *digest;
    uint64_t version;
    int rc;

    rc = bk_json_unseal(text->data, text->len, BK_INFO_NAME, &j, err);
    if (rc < 0 || (rc = bk_json_u64(j, BK_INFO_NAME, "format_version", &version, err)) < 0)
        return bk_prefix(err, "%s", sink->label);
    if (version > BK_FORMAT_VERSION) {
        bk_fail(err, BAKE_E_UNSUPPORTED,
                "%s: this store has format version %llu; this bakengine reads up to %d",
                sink->label, (unsigned long long)version, BK_FORMAT_VERSION);
        bk_hint(err, "use the bakengine that wrote it, or a newer one");
        return err ? err->rc : BAKE_E_UNSUPPORTED;
    }
    if ((rc = bk_json_str(j, BK_INFO_NAME, "store_id", &id, err)) < 0 ||
        (rc = bk_json_str(j, BK_INFO_NAME, "format", &format, err)) < 0 ||
        (rc = bk_json_str(j, BK_INFO_NAME, "digest", &digest, err)) < 0)
        return bk_prefix(err, "%s", sink->label);
    if (strlen(id) != BK_STORE_ID_LEN || !bk_streq(digest, "sha256"))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' has a store id or digest that cannot be",
                       sink->label, BK_INFO_NAME);
    s->disagrees = !bk_streq(format, bk_format_name(s->pipeline->format));
    if (s->disagrees)
        return bk_fail(err, BAKE_E_CONFIG,
                       "%s holds a store of format '%s', but the pipeline says '%s'\n"
                       "HINT: set 'store: {format: %s}', or give the sink another place",
                       sink->label, format, bk_format_name(s->pipeline->format), format);
    s->disagrees = s->id[0] && !bk_streq(s->id, id);
    if (s->disagrees)
        return bk_fail(err, BAKE_E_CONFIG,
                       "%s holds another store (%s) than the first sink (%s)\n"
                       "HINT: a mirror starts out empty; give this sink an empty place",
                       sink->label, id, s->id);
    memcpy(s->id, id, BK_STORE_ID_LEN + 1);
    return BAKE_OK;
}

static int stop_at_first(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    (void)mtime_ns;
    (void)name;
    *(bool *)arg = true;
    return 1;
}

/* A store without its bakengine.json must not be taken for an empty place. */
static int check_empty(struct bk_sink *sink, struct bk_err *err)
{
    bool any = false;
    int rc = bk_sink_list(sink, BK_BACKUPS, stop_at_first, &any, err);

    if (rc < 0)
        return rc;
    if (any)
        return bk_fail(err, BAKE_E_CORRUPT,
                       "%s: '%s' is missing, but there are backups\n"
                       "HINT: bring the file back from a mirror, or give the sink an empty place",
                       sink->label, BK_INFO_NAME);
    return BAKE_OK;
}

static int make_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    char now[BK_TIME_CAP];
    int rc;

    if (!s->id[0]) {
        unsigned char random[BK_STORE_ID_LEN / 2];

        rc = bk_random(random, sizeof(random), err);
        if (rc < 0)
            return rc;
        bk_hex(random, sizeof(random), s->id);
    }
    bk_json_set_u64(j, "format_version", BK_FORMAT_VERSION);
    bk_json_set_str(j, "store_id", s->id);
    bk_json_set_str(j, "format", bk_format_name(s->pipeline->format));
    bk_json_set_str(j, "digest", "sha256");
    bk_json_set_str(j, "created", bk_format_time(now, bk_now_ns()));
    rc = bk_json_seal(j, &text, err);
    return rc < 0 ? rc
                  : bk_sink_put(sink, BK_INFO_NAME, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
}

/* BK_E_NOSTORE: an empty place. */
static int open_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    const char *place;
    int rc = bk_sink_get(sink, BK_INFO_NAME, INFO_LIMIT, &text, err);

    if (rc == BAKE_OK)
        return read_info(s, sink, &text, err);
    if (rc != BAKE_E_NOTFOUND || (rc = check_empty(sink, err)) < 0)
        return rc;
    place = json_string_value(json_object_get(sink->part->shown, "path"));
    return bk_fail(err, BK_E_NOSTORE,
                   "%s: there is no store%s%s%s\n"
                   "HINT: 'bakengine run' makes one; if one should be there, is its disk mounted?",
                   sink->label, place ? " in '" : "", place ? place : "", place ? "'" : "");
}

static int create(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    bool fresh = !s->id[0];
    int rc = make_info(s, sink, err);

    if (rc >= 0)
        return rc;
    if (fresh) /* an id that no sink took is nobody's */
        s->id[0] = '\0';
    if (rc != BAKE_E_EXISTS)
        return rc;
    /* Another host made it in this very moment: theirs it is. */
    rc = bk_sink_get(sink, BK_INFO_NAME, INFO_LIMIT, &text, err);
    return rc < 0 ? rc : read_info(s, sink, &text, err);
}

/* One step with a sink: its failure is kept with it. What is returned ends everything: a cancel,
 * or that store and pipeline disagree (s->disagrees). A sink that cannot be used need not. */
static int settle(struct bk_store *s, size_t i, int rc, const struct bk_err *why,
                  struct bk_err *err)
{
    if (rc >= 0)
        return BAKE_OK;
    bk_store_sink_failed(s, i, why);
    if (rc != BAKE_E_CANCELLED && !s->disagrees)
        return BAKE_OK;
    if (err)
        *err = *why;
    return rc;
}

static int open_all(struct bk_store *s, const char *from, struct bk_err *err)
{
    const struct bk_pipeline *p = s->pipeline;

    for (size_t i = 0; i < p->n_sinks; i++) {
        struct bk_err why = {0};
        struct bk_sink *sink = &s->sinks[s->n_sinks];
        int rc;

        if (from && !bk_streq(from, p->sinks[i].name))
            continue;
        rc = bk_sink_open(&p->sinks[i], s->cancel, sink, &why);
        s->n_sinks++;
        if (rc >= 0)
            rc = open_info(s, sink, &why);
        if ((rc = settle(s, s->n_sinks - 1, rc, &why, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

/* Only once all sinks were looked at: an empty one becomes a mirror of the store that there is,
 * wherever it stands in the list. */
static int create_missing(struct bk_store *s, struct bk_err *err)
{
    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (s->failed[i].rc != BK_E_NOSTORE)
            continue;
        bk_err_clear(&s->failed[i]);
        rc = create(s, &s->sinks[i], &why);
        if ((rc = settle(s, i, rc, &why, err)) < 0)
            return rc;
    }
    return BAKE_OK;
}

int bk_store_none_usable(struct bk_store *s, struct bk_err *err)
{
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = s->n_sinks > 0 ? s->failed[0].rc : 0;
    if (rc < 0 && err)
        *err = s->failed[0];
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? rc : bk_fail(err, BAKE_E_INTERNAL, "the store was opened without its sinks");
}

static int open_sinks(struct bk_store *s, enum bk_store_mode mode, const char *from,
                      struct bk_err *err)
{
    int rc = open_all(s, from, err);

    if (rc >= 0 && s->n_sinks == 0)
        return bk_fail(err, BK_E_USAGE, "'%s' is not the name of a sink of this pipeline", from);
    if (rc >= 0 && mode == BK_STORE_WRITE)
        rc = create_missing(s, err);
    if (rc >= 0 && bk_store_sinks_ok(s) == 0)
        rc = bk_store_none_usable(s, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < s->n_sinks; i++)
        if (s->failed[i].rc)
            bk_log(BAKE_LOG_WARN, "%s", s->failed[i].text);
    return BAKE_OK;
}

int bk_store_open_nothing(const struct bk_pipeline *p, struct bk_registry *reg,
                          struct bk_cancel *cancel, struct bk_store **ret, struct bk_err *err)
{
    struct bk_store *s = calloc(1, sizeof(*s));

    if (!s)
        return bk_nomem(err);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->defaults_lock, NULL);
    s->pipeline = p;
    s->registry = reg;
    s->cancel = cancel;
    s->sinks = calloc(p->n_sinks + 1, sizeof(*s->sinks));
    s->failed = calloc(p->n_sinks + 1, sizeof(*s->failed));
    s->transforms = calloc(p->n_transforms + 1, sizeof(*s->transforms));
    if (!s->sinks || !s->failed || !s->transforms) {
        bk_store_close(s);
        return bk_nomem(err);
    }
    for (size_t i = 0; i < p->n_transforms; i++) {
        s->transforms[i].plugin = p->transforms[i].plugin;
        s->transforms[i].cfg = p->transforms[i].cfg;
    }
    s->n_transforms = p->n_transforms;
    *ret = s;
    return BAKE_OK;
}

int bk_store_open(const struct bk_pipeline *p, struct bk_registry *reg, struct bk_cancel *cancel,
                  enum bk_store_mode mode, const char *from, struct bk_store **ret,
                  struct bk_err *err)
{
    struct bk_store *s;
    int rc = bk_store_open_nothing(p, reg, cancel, &s, err);

    if (rc < 0)
        return rc;
    rc = open_sinks(s, mode, from, err);
    if (rc < 0) {
        bk_store_close(s);
        return rc;
    }
    *ret = s;
    return BAKE_OK;
}

void bk_store_close(struct bk_store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_sinks; i++)
        bk_sink_close(&s->sinks[i]);
    bk_store_free_defaults(s);
    pthread_mutex_destroy(&s->defaults_lock);
    free(s->sinks);
    free(s->failed);
    free(s->transforms);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void bk_store_sink_failed(struct bk_store *s, size_t sink, const struct bk_err *why)
{
    pthread_mutex_lock(&s->lock);
    if (s->failed[sink].rc == 0)
        s->failed[sink] = *why;
    pthread_mutex_unlock(&s->lock);
}

bool bk_store_sink_ok(struct bk_store *s, size_t sink)
{
    bool ok;

    pthread_mutex_lock(&s->lock);
    ok = s->failed[sink].rc == 0;
    pthread_mutex_unlock(&s->lock);
    return ok;
}

size_t bk_store_sinks_ok(struct bk_store *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_sinks; i++)
        n += bk_store_sink_ok(s, i);
    return n;
}

struct bk_sink *bk_store_base(struct bk_store *s)
{
    for (size_t i = 0; i < s->n_sinks; i++)
        if (bk_store_sink_ok(s, i))
            return &s->sinks[i];
    return NULL;
}

int bk_store_put(struct bk_store *s, const char *name, const void *data, size_t n, uint32_t flags,
                 struct bk_err *err)
{
    struct bk_err last = {0};

    for (size_t i = 0; i < s->n_sinks; i++) {
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        rc = bk_sink_put(&s->sinks[i], name, data, n, flags, &last);
        if (rc == BAKE_E_CANCELLED || (rc < 0 && s->n_sinks == 1)) {
            if (err)
                *err = last;
            return rc;
        }
        if (rc < 0)
            bk_store_sink_failed(s, i, &last);
    }
    if (bk_store_sinks_ok(s) > 0)
        return BAKE_OK;
    if (last.rc == 0) /* all had failed before: nothing was put, so this is no success */
        return bk_store_none_usable(s, err);
    if (err)
        *err = last;
    return last.rc;
}

int bk_store_remove(struct bk_store *s, const char *name, struct bk_err *err)
{
    int worst = BAKE_OK;

    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(s, i))
            continue;
        rc = bk_sink_remove(&s->sinks[i], name, &why);
        if (rc >= 0 || rc == BAKE_E_NOTFOUND)
            continue;
        worst = rc;
        if (err)
            *err = why;
    }
    return worst;
}
