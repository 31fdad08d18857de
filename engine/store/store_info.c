/* bakengine.json: reading it, and making it where there is no store yet. */
#include "store/store_info.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/str.h"
#include "store/chunker.h"
#include "store/layout.h"
#include "store/wal.h"

#include <string.h>

#define INFO_LIMIT (64u << 10)

static bool format_of(const char *name, enum bk_format_id *ret)
{
    for (*ret = BK_FORMAT_ARCHIVE; *ret <= BK_FORMAT_REPOSITORY; ++*ret)
        if (bk_streq(name, bk_format_name(*ret)))
            return true;
    return false;
}

/* A store that is read by its address alone says itself what it is. */
static int take_format(struct bk_store *s, struct bk_sink *sink, const char *format,
                       struct bk_err *err)
{
    enum bk_format_id id;

    if (!format_of(format, &id))
        return bk_fail(err, BAKE_E_UNSUPPORTED,
                       "%s holds a store of format '%s', which this bakengine does not know\n"
                       "HINT: use the bakengine that wrote it, or a newer one",
                       sink->label, format);
    s->disagrees = s->pipeline->name && id != s->pipeline->format;
    if (s->disagrees)
        return bk_fail(err, BAKE_E_CONFIG,
                       "%s holds a store of format '%s', but the pipeline says '%s'\n"
                       "HINT: set 'store: {format: %s}', or give the sink another place",
                       sink->label, format, bk_format_name(s->pipeline->format), format);
    s->format = id;
    return BAKE_OK;
}

/* Where chunks are cut is the store's own: other cuts would find nothing that is stored. */
static int take_chunker(struct bk_store *s, const json_t *j, struct bk_err *err)
{
    const json_t *c;
    const char *algorithm, *seed;
    unsigned char raw[8];
    uint64_t min, avg, max;
    int rc;

    if (s->format != BK_FORMAT_REPOSITORY)
        return BAKE_OK;
    if ((rc = bk_json_array(j, BK_INFO_NAME, "chunker", &c, err)) < 0 ||
        (rc = bk_json_str(c, BK_INFO_NAME, "algorithm", &algorithm, err)) < 0 ||
        (rc = bk_json_str(c, BK_INFO_NAME, "seed", &seed, err)) < 0 ||
        (rc = bk_json_u64(c, BK_INFO_NAME, "min", &min, err)) < 0 ||
        (rc = bk_json_u64(c, BK_INFO_NAME, "avg", &avg, err)) < 0 ||
        (rc = bk_json_u64(c, BK_INFO_NAME, "max", &max, err)) < 0)
        return rc;
    if (!bk_streq(algorithm, "gear") || !bk_unhex(seed, raw, sizeof(raw)) || min != BK_CHUNK_MIN ||
        avg != BK_CHUNK_AVG || max != BK_CHUNK_MAX)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "'%s' asks for a chunker that is not known",
                       BK_INFO_NAME);
    s->chunker_seed = bk_be64(raw);
    return BAKE_OK;
}

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
    if ((rc = take_format(s, sink, format, err)) < 0)
        return rc;
    if ((rc = take_chunker(s, j, err)) < 0)
        return bk_prefix(err, "%s", sink->label);
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
    bool backups = false, logs = false;
    int rc = bk_sink_list(sink, BK_BACKUPS, stop_at_first, &backups, err);

    if (rc >= 0 && !backups)
        rc = bk_sink_list(sink, BK_WAL, stop_at_first, &logs, err);
    if (rc < 0)
        return rc;
    if (backups || logs)
        return bk_fail(err, BAKE_E_CORRUPT,
                       "%s: '%s' is missing, but there are %s\n"
                       "HINT: bring the file back from a mirror, or give the sink an empty place",
                       sink->label, BK_INFO_NAME, backups ? "backups" : "logs");
    return BAKE_OK;
}

static json_t *chunker_json(const struct bk_store *s)
{
    json_t *j = json_object();
    char seed[17];

    (void)snprintf(seed, sizeof(seed), "%016llx", (unsigned long long)s->chunker_seed);
    bk_json_set_str(j, "algorithm", "gear");
    bk_json_set_str(j, "seed", seed);
    bk_json_set_u64(j, "min", BK_CHUNK_MIN);
    bk_json_set_u64(j, "avg", BK_CHUNK_AVG);
    bk_json_set_u64(j, "max", BK_CHUNK_MAX);
    return j;
}

/* A store's id, and of a repository its chunker's seed: both are the same in every mirror. */
static int make_identity(struct bk_store *s, struct bk_err *err)
{
    unsigned char random[BK_STORE_ID_LEN / 2 + 8];
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, BK_STORE_ID_LEN / 2, s->id);
    s->chunker_seed = bk_be64(random + BK_STORE_ID_LEN / 2);
    return BAKE_OK;
}

static int make_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    char now[BK_TIME_CAP];
    int rc;

    if (!s->id[0] && (rc = make_identity(s, err)) < 0)
        return rc;
    bk_json_set_u64(j, "format_version", BK_FORMAT_VERSION);
    bk_json_set_str(j, "store_id", s->id);
    bk_json_set_str(j, "format", bk_format_name(s->format));
    bk_json_set_str(j, "digest", "sha256");
    if (s->format == BK_FORMAT_REPOSITORY)
        json_object_set_new(j, "chunker", chunker_json(s));
    bk_json_set_str(j, "created", bk_format_time(now, bk_now_ns()));
    rc = bk_json_seal(j, &text, err);
    return rc < 0 ? rc
                  : bk_sink_put(sink, BK_INFO_NAME, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
}

int bk_store_read_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
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

int bk_store_make_info(struct bk_store *s, struct bk_sink *sink, struct bk_err *err)
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
