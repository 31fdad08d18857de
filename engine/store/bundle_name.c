/* What bundles are called, and how they are announced. */
#include "store/bundle_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <string.h>

#define UUID_LEN 8

bool bk_bundle_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n >= BK_BUNDLE_CAP || *name == '.' || *name == '-' || !strstr(name, ".tar"))
        return false;
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || strchr("/\\%", *name))
            return false;
    return true;
}

/* "backups/<id>/bundles/<uuid>/<name>": the uuid is in the name, as whoever put it saw to. */
const char *bk_bundle_announced(const char *object)
{
    const char *id = bk_starts(object, BK_BACKUPS) ? object + strlen(BK_BACKUPS) : NULL;
    const char *rest = id ? strchr(id, '/') : NULL, *name;
    char uuid[UUID_LEN + 1];

    if (!rest || !bk_starts(rest + 1, BK_BUNDLES))
        return NULL;
    rest += 1 + strlen(BK_BUNDLES);
    name = strchr(rest, '/');
    if (!name || name - rest != UUID_LEN || strspn(rest, "0123456789abcdef") < UUID_LEN)
        return NULL;
    memcpy(uuid, rest, UUID_LEN);
    uuid[UUID_LEN] = '\0';
    return bk_bundle_name_ok(name + 1) && strstr(name + 1, uuid) ? name + 1 : NULL;
}

static void add_plain(struct bk_buf *b, const char *text)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("._-", *text);

        bk_buf_char(b, plain ? *text : '_');
    }
}

/* "20231105-120000" */
static void add_timestamp(struct bk_buf *b, int64_t ns)
{
    char stamp[BK_TIME_CAP];

    bk_format_stamp(stamp, ns);
    bk_buf_printf(b, "%.8s-%.6s", stamp, stamp + 9);
}

static char *make_name(const struct bk_bundlew *b)
{
    const struct bk_bundles *all = b->all;
    const struct bk_pipeline *p = all->store->pipeline;
    const struct {
        const char *key, *text;
    } keys[] = {{"{stack}", b->group},
                {"{uuid}", b->uuid},
                {"{pipeline}", p->name ? p->name : ""},
                {"{host}", all->host}};
    struct bk_buf out = BK_BUF_INIT;

    for (const char *t = p->bundle_name; *t;) {
        size_t step = 0;

        for (size_t i = 0; i < BK_LEN(keys) && !step; i++) {
            if (!bk_starts(t, keys[i].key))
                continue;
            add_plain(&out, keys[i].text);
            step = strlen(keys[i].key);
        }
        if (!step && bk_starts(t, "{timestamp}")) {
            add_timestamp(&out, all->start_ns);
            step = strlen("{timestamp}");
        }
        if (!step)
            bk_buf_char(&out, *t);
        t += step ? step : 1;
    }
    bk_buf_str(&out, ".tar");
    for (size_t i = 0; i < all->store->n_transforms; i++)
        bk_buf_str(&out, all->store->transforms[i].plugin->transform.suffix);
    return bk_buf_take(&out);
}

int bk_bundle_name(struct bk_bundlew *b, struct bk_err *err)
{
    unsigned char random[UUID_LEN / 2];
    char *name BK_FREE = NULL, *marker BK_FREE = NULL;
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), b->uuid);
    name = make_name(b);
    marker =
        name ? bk_asprintf(BK_BACKUPS "%s/" BK_BUNDLES "%s/%s", b->all->id, b->uuid, name) : NULL;
    if (!marker)
        return bk_nomem(err);
    if (!bk_bundle_name_ok(name))
        return bk_fail(err, BAKE_E_CONFIG,
                       "the bundle of '%s' would be called '%s', which cannot be\n"
                       "HINT: give 'bundle_name' another form",
                       b->group, name);
    b->name = BK_STEAL(name);
    b->marker = BK_STEAL(marker);
    return BAKE_OK;
}
