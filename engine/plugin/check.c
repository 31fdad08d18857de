/* The description that a plugin returns: sizes and versions first, then what it says. */
#include "base/cleanup.h"
#include "plugin/load.h"
#include <string.h>

/* The end of a struct's minor 0: appended members come after it, so these lines never change. */
#define END_OF(st, m)     (offsetof(struct st, m) + sizeof(((struct st *)0)->m))
#define HEAD_SIZE         END_OF(bake_plugin, option_size)
#define PLUGIN_MINOR_0    END_OF(bake_plugin, sink)
#define SOURCE_MINOR_0    END_OF(bake_source_ops, close)
#define TRANSFORM_MINOR_0 END_OF(bake_transform_ops, close)
#define SINK_MINOR_0      END_OF(bake_sink_ops, close)

const char *bk_kind_name(enum bk_kind kind)
{
    static const char *const names[] = {"source", "transform", "sink"};
    return names[kind];
}

/* An older plugin lacks members: they read as 0. A newer one has more: they are not looked at. */
static void copy_known(void *to, size_t to_size, const void *from, size_t from_size)
{
    memset(to, 0, to_size);
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

static int check_head(const struct bake_plugin *raw, const struct bk_plugin *p, struct bk_err *err)
{
    size_t size = raw->struct_size;
    if (size < HEAD_SIZE)
        return bk_plugin_bad(p, err,
                             "says that its description has %zu bytes, fewer than the %zu of "
                             "BAKE_PLUGIN_HEAD" BK_REBUILD,
                             size, HEAD_SIZE);
    if (raw->abi_major != BAKE_ABI_MAJOR)
        return bk_plugin_bad(p, err,
                             "says that it is made for plugin interface %u, this engine speaks %d\n"
                             "HINT: install the plugin's version for interface %d",
                             (unsigned)raw->abi_major, BAKE_ABI_MAJOR, BAKE_ABI_MAJOR);
    if (size < PLUGIN_MINOR_0)
        return bk_plugin_bad(p, err,
                             "says that its description has %zu bytes, but interface %d.0 already "
                             "had %zu" BK_REBUILD,
                             size, BAKE_ABI_MAJOR, PLUGIN_MINOR_0);
    return 0;
}

/* Lower-case letters, digits and inner hyphens. */
static bool name_ok(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           s[0] != '-' && s[n - 1] != '-';
}

static int check_texts(struct bk_plugin *p, struct bk_err *err)
{
    struct bake_plugin *d = &p->desc;
    if (!d->name || !*d->name)
        return bk_plugin_bad(p, err, "does not say its name" BK_REBUILD);
    if (!name_ok(d->name)) {
        char shown[80];
        bk_printable(shown, sizeof(shown), d->name, strlen(d->name));
        return bk_plugin_bad(p, err,
                             "calls itself '%s': a name is made of lower-case letters, digits and "
                             "inner hyphens, at most 64" BK_REBUILD,
                             shown);
    }
    if (!d->version || !*d->version)
        return bk_plugin_bad(p, err, "does not say its version" BK_REBUILD);
    if (!d->summary)
        d->summary = "";
    return 0;
}

static int find_kind(struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_plugin *d = &p->desc;
    int kinds = !!d->source + !!d->transform + !!d->sink;
    if (kinds != 1)
        return bk_plugin_bad(p, err,
                             "is %s source, transform and sink; it must be exactly one" BK_REBUILD,
                             kinds == 0 ? "none of" : "more than one of");
    p->kind = d->source ? BK_SOURCE : d->transform ? BK_TRANSFORM : BK_SINK;
    p->full_name = bk_asprintf("%s-%s", bk_kind_name(p->kind), d->name);
    return p->full_name ? 0 : bk_nomem(err);
}

static int short_ops(const struct bk_plugin *p, size_t size, size_t least, struct bk_err *err)
{
    return bk_plugin_bad(p, err,
                         "says that its table of %s functions has %zu bytes, but interface %d.0 "
                         "already had %zu" BK_REBUILD,
                         bk_kind_name(p->kind), size, BAKE_ABI_MAJOR, least);
}

static int copy_ops(struct bk_plugin *p, struct bk_err *err)
{
    struct bake_plugin *d = &p->desc;
    if (p->kind == BK_SOURCE) {
        if (d->source->struct_size < SOURCE_MINOR_0)
            return short_ops(p, d->source->struct_size, SOURCE_MINOR_0, err);
        copy_known(&p->source, sizeof(p->source), d->source, d->source->struct_size);
        d->source = &p->source;
    } else if (p->kind == BK_TRANSFORM) {
        if (d->transform->struct_size < TRANSFORM_MINOR_0)
            return short_ops(p, d->transform->struct_size, TRANSFORM_MINOR_0, err);
        copy_known(&p->transform, sizeof(p->transform), d->transform, d->transform->struct_size);
        d->transform = &p->transform;
    } else {
        if (d->sink->struct_size < SINK_MINOR_0)
            return short_ops(p, d->sink->struct_size, SINK_MINOR_0, err);
        copy_known(&p->sink, sizeof(p->sink), d->sink, d->sink->struct_size);
        d->sink = &p->sink;
    }
    return 0;
}

int bk_plugin_check(const struct bake_plugin *raw, struct bk_plugin *p, struct bk_err *err)
{
    int rc = check_head(raw, p, err);
    if (rc < 0)
        return rc;
    copy_known(&p->desc, sizeof(p->desc), raw, raw->struct_size);
    rc = check_texts(p, err);
    if (rc == 0)
        rc = find_kind(p, err);
    if (rc == 0)
        rc = copy_ops(p, err);
    if (rc == 0)
        rc = bk_plugin_check_ops(p, err);
    if (rc == 0)
        rc = bk_plugin_check_options(raw, p, err);
    return rc;
}
