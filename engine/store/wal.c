/* Names in the log archive, its header, what backups say of it, and listing it. */
#include "store/wal.h"

#include "base/clock.h"
#include "base/codec.h"

#include <string.h>

#define MAGIC    "BAKEWAL1"
#define VERSION  1u
#define HEAD_MIN 20u
#define PART_MAX 100u

/* ---- names ----------------------------------------------------------------------------------- */

static bool part_ok(const char *s, size_t n)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

    return n > 0 && n <= PART_MAX && s[0] != '.' && strspn(s, good) >= n;
}

bool bk_wal_stream_ok(const char *stream) { return part_ok(stream, strlen(stream)); }

bool bk_wal_name_ok(const char *name)
{
    const char *slash = strchr(name, '/');

    if (!slash)
        return part_ok(name, strlen(name));
    return part_ok(name, (size_t)(slash - name)) && part_ok(slash + 1, strlen(slash + 1));
}

int bk_wal_object(const char *stream, const char *name, char ret[BK_WAL_NAME_CAP],
                  struct bk_err *err)
{
    char shown[160];

    if (!bk_wal_stream_ok(stream))
        return bk_fail(err, BK_E_USAGE, "'%s' cannot be the name of a stream of logs",
                       bk_printable(shown, sizeof(shown), stream, strlen(stream)));
    if (!bk_wal_name_ok(name))
        return bk_fail(err, BK_E_USAGE, "'%s' cannot be the name of a log",
                       bk_printable(shown, sizeof(shown), name, strlen(name)));
    /* Three parts of at most PART_MAX each do fit, but for the sum: */
    if (snprintf(ret, BK_WAL_NAME_CAP, BK_WAL "%s/%s", stream, name) >= BK_WAL_NAME_CAP)
        return bk_fail(err, BK_E_USAGE, "the name of log '%s' is too long", name);
    return BAKE_OK;
}

size_t bk_wal_required(const struct bk_store *s)
{
    const int require = s->pipeline->require;

    if (require == BK_REQUIRE_ALL || (require > 0 && (size_t)require > s->n_sinks))
        return s->n_sinks;
    return require > 0 ? (size_t)require : 1;
}

/* ---- the header ------------------------------------------------------------------------------ */

void bk_wal_head_write(const struct bk_strv *transforms, struct bk_buf *out)
{
    struct bk_buf names = BK_BUF_INIT;

    for (size_t i = 0; i < transforms->n; i++)
        bk_put_string(&names, transforms->items[i]);
    bk_buf_add(out, MAGIC, 8);
    bk_put_u32(out, VERSION);
    bk_put_u32(out, (uint32_t)(HEAD_MIN + names.len));
    bk_put_u32(out, (uint32_t)transforms->n);
    bk_buf_add(out, names.data, names.len);
    out->failed |= names.failed;
    bk_buf_free(&names);
}

static int parse_names(struct bk_reader r, uint32_t n, struct bk_strv *ret, struct bk_err *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *name = bk_get_string(&r);

        if (!name || !*name || r.bad)
            return bk_fail(err, BAKE_E_CORRUPT, "the log's header is damaged");
        if (bk_strv_add(ret, name) < 0)
            return bk_nomem(err);
    }
    return r.p == r.end ? BAKE_OK : bk_fail(err, BAKE_E_CORRUPT, "the log's header is damaged");
}

int bk_wal_head_parse(const void *data, size_t n, struct bk_wal_head *ret, struct bk_err *err)
{
    struct bk_reader r = bk_reader_of(data, n);
    const size_t start = n < 8 ? n : 8;
    uint32_t version, size, count;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (start > 0 && memcmp(data, MAGIC, start) != 0)
        return bk_fail(err, BAKE_E_CORRUPT, "this is not a log of the archive");
    if (n < HEAD_MIN)
        return BAKE_END;
    (void)bk_get_raw(&r, 8);
    version = bk_get_u32(&r);
    size = bk_get_u32(&r);
    count = bk_get_u32(&r);
    if (version != VERSION)
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "the log has format version %u; this bakengine reads %u\n"
                       "HINT: use the bakengine that wrote it, or a newer one",
                       version, VERSION);
    if (size < HEAD_MIN || size > BK_WAL_HEAD_MAX)
        return bk_fail(err, BAKE_E_CORRUPT, "the log's header is damaged");
    if (n < size)
        return BAKE_END;
    rc = parse_names(bk_reader_of((const char *)data + HEAD_MIN, size - HEAD_MIN), count,
                     &ret->transforms, err);
    if (rc < 0)
        bk_strv_free(&ret->transforms);
    ret->size = size;
    return rc;
}

/* ---- what backups need ----------------------------------------------------------------------- */

bool bk_mcomp_wal(const struct bk_mcomp *c, struct bk_wal_need *ret)
{
    const json_t *wal = json_object_get(c->facts, "wal");
    const char *stream = json_string_value(json_object_get(wal, "stream"));
    const char *from = json_string_value(json_object_get(wal, "from"));
    const char *end = json_string_value(json_object_get(wal, "end"));
    const json_t *size = json_object_get(wal, "segment_size");

    memset(ret, 0, sizeof(*ret));
    if (c->status == BK_STATUS_FAILED || !stream || !from || !bk_wal_stream_ok(stream) ||
        !bk_wal_name_ok(from))
        return false;
    if (!size)
        size = json_object_get(c->facts, "segment_size");
    ret->stream = stream;
    ret->from = from;
    if (!end || !bk_parse_rfc3339(end, &ret->end_ns))
        ret->end_ns = 0;
    if (json_is_integer(size) && json_integer_value(size) > 0)
        ret->segment_size = (uint64_t)json_integer_value(size);
    return true;
}

/* ---- listing --------------------------------------------------------------------------------- */

void bk_wal_list_release(struct bk_wal_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->logs[i].stream);
        free(l->logs[i].name);
    }
    free(l->logs);
    memset(l, 0, sizeof(*l));
}

static int collect(void *arg, const char *object, uint64_t size, int64_t mtime_ns)
{
    struct bk_wal_list *l = arg;
    const char *stream = object + strlen(BK_WAL), *slash = strchr(stream, '/');
    struct bk_wal_log log = {.size = size, .mtime_ns = mtime_ns};

    if (!slash || !part_ok(stream, (size_t)(slash - stream)) || !bk_wal_name_ok(slash + 1))
        return 0;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct bk_wal_log *more = realloc(l->logs, cap * sizeof(*more));

        if (!more)
            return BAKE_E_NOMEM;
        l->logs = more;
        l->cap = cap;
    }
    log.stream = strndup(stream, (size_t)(slash - stream));
    log.name = bk_strdup(slash + 1);
    l->logs[l->n++] = log;
    return log.stream && log.name ? 0 : BAKE_E_NOMEM;
}

static int by_name(const void *a, const void *b)
{
    const struct bk_wal_log *x = a, *y = b;
    int order = strcmp(x->stream, y->stream);

    return order ? order : strcmp(x->name, y->name);
}

static int add_sink(struct bk_sink *sink, const char *stream, struct bk_wal_list *l,
                    struct bk_err *err)
{
    char prefix[BK_WAL_NAME_CAP] = BK_WAL;
    int rc;

    if (stream && !bk_wal_stream_ok(stream))
        return bk_fail(err, BK_E_USAGE, "'%s' cannot be the name of a stream of logs", stream);
    if (stream)
        (void)snprintf(prefix, sizeof(prefix), BK_WAL "%s/", stream);
    rc = bk_sink_list(sink, prefix, collect, l, err);
    return rc == BAKE_E_NOMEM ? bk_nomem(err) : rc;
}

int bk_wal_list_sink(struct bk_sink *sink, const char *stream, struct bk_wal_list *ret,
                     struct bk_err *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    rc = add_sink(sink, stream, ret, err);
    if (rc < 0) {
        bk_wal_list_release(ret);
        return rc;
    }
    if (ret->n > 0)
        qsort(ret->logs, ret->n, sizeof(*ret->logs), by_name);
    return BAKE_OK;
}

/* Each log once: the first of those that are next to each other. */
static void drop_doubles(struct bk_wal_list *l)
{
    size_t kept = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (kept > 0 && by_name(&l->logs[kept - 1], &l->logs[i]) == 0) {
            free(l->logs[i].stream);
            free(l->logs[i].name);
        } else {
            l->logs[kept++] = l->logs[i];
        }
    }
    l->n = kept;
}

int bk_wal_list_store(struct bk_store *s, const char *stream, struct bk_wal_list *ret,
                      struct bk_err *err)
{
    size_t asked = 0;
    int rc = BAKE_OK;

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < s->n_sinks && rc >= 0; i++)
        if (bk_store_sink_ok(s, i) && ++asked)
            rc = add_sink(&s->sinks[i], stream, ret, err);
    if (rc >= 0 && asked == 0)
        rc = bk_store_none_usable(s, err);
    if (rc < 0) {
        bk_wal_list_release(ret);
        return rc;
    }
    if (ret->n > 0)
        qsort(ret->logs, ret->n, sizeof(*ret->logs), by_name);
    drop_doubles(ret);
    return BAKE_OK;
}
