/* The reader of a stack's definition: asks the daemon for what the document needs, and yields it as
 * JSON with sorted keys. */
#include "definition.h"

#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dk_define {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const struct dk_item *item;
    char *text;
    size_t size, pos;
};

/* Of one object. BAKE_END: there is none. */
static int inspect(struct dk_define *d, const char *what, const char *name, const char *after,
                   json_t **ret)
{
    char *quoted = dk_quote(name), *path = NULL;
    int rc = quoted && asprintf(&path, "/%s/%s%s", what, quoted, after) >= 0
                 ? dk_get(d->s->api, d->ctx, path, ret)
                 : dk_nomem(d->ctx);
    free(quoted);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_END : rc;
}

typedef json_t *describe_fn(const json_t *inspect, const char *stack);

static json_t *describe_image(const json_t *inspect, const char *stack)
{
    (void)stack;
    return json_pack("{s:O*, s:O*}", "id", json_object_get(inspect, "Id"), "digests",
                     json_object_get(inspect, "RepoDigests"));
}

/* Adds a description of everything that `names` has as a key, or, if it has texts, of those. */
static int describe_all(struct dk_define *d, json_t *doc, const char *what, const char *after,
                        const json_t *names, describe_fn *describe)
{
    const char *name;
    json_t *v, *list = json_object();
    int rc = list ? BAKE_OK : dk_nomem(d->ctx);
    json_object_foreach((json_t *)names, name, v)
    {
        const char *ask = json_is_string(v) ? json_string_value(v) : name;
        json_t *got = NULL;
        if (rc != BAKE_OK)
            break;
        if ((rc = inspect(d, what, ask, after, &got)) == BAKE_END) {
            bake_report(d->ctx, BAKE_NOTICE, d->item->name, "'%s' of %s is not there any more",
                        name, what);
            rc = BAKE_OK;
        } else if (rc == BAKE_OK &&
                   json_object_set_new(list, name, describe(got, d->item->stack)) != 0) {
            rc = dk_nomem(d->ctx);
        }
        json_decref(got);
    }
    if (rc == BAKE_OK && json_object_set(doc, what, list) != 0)
        rc = dk_nomem(d->ctx);
    json_decref(list);
    return rc;
}

struct needs {
    json_t *containers, *volumes, *networks, *images;
    bool compose;
};

static int add_container(struct dk_define *d, const struct dk_world *w,
                         const struct dk_container *c, struct needs *n)
{
    const char *oneoff = dk_label(c, "com.docker.compose.oneoff");
    if (strcmp(c->project, d->item->stack) != 0 || (oneoff && strcmp(oneoff, "True") == 0))
        return BAKE_OK;
    n->compose |= c->compose;
    json_t *one = dk_def_container(w, c);
    if (!one || json_object_set(n->containers, c->name, one) != 0 ||
        dk_def_needs(one, n->volumes, n->networks) != 0 ||
        json_object_set_new(n->images, c->image, json_string(c->image_id)) != 0) {
        json_decref(one);
        return bake_fail(d->ctx, BAKE_E_UNSUPPORTED,
                         "cannot describe container '%s': it has text that is not UTF-8, or memory "
                         "has run out",
                         c->name);
    }
    json_decref(one);
    return BAKE_OK;
}

static int build(struct dk_define *d, struct needs *n, json_t **ret)
{
    const struct dk_world *w = d->s->world;
    int rc = n->containers && n->volumes && n->networks && n->images ? BAKE_OK : dk_nomem(d->ctx);
    for (size_t i = 0; i < w->n_containers && rc == BAKE_OK; i++)
        rc = add_container(d, w, &w->containers[i], n);
    if (rc != BAKE_OK)
        return rc;
    json_t *doc = json_pack("{s:i, s:s, s:b, s:O}", "version", 1, "stack", d->item->stack,
                            "compose", n->compose, "containers", n->containers);
    if (!doc)
        return dk_nomem(d->ctx);
    if ((rc = describe_all(d, doc, "networks", "", n->networks, dk_def_network)) == BAKE_OK &&
        (rc = describe_all(d, doc, "volumes", "", n->volumes, dk_def_volume)) == BAKE_OK)
        rc = describe_all(d, doc, "images", "/json", n->images, describe_image);
    if (rc == BAKE_OK)
        *ret = doc;
    else
        json_decref(doc);
    return rc;
}

int dk_define_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                   struct dk_define **ret)
{
    struct dk_define *d = calloc(1, sizeof(*d));
    if (!d)
        return dk_nomem(ctx);
    *d = (struct dk_define){.s = s, .ctx = ctx, .item = item};
    struct needs n = {.containers = json_object(),
                      .volumes = json_object(),
                      .networks = json_object(),
                      .images = json_object()};
    json_t *doc = NULL;
    int rc = build(d, &n, &doc);
    if (rc == BAKE_OK) {
        d->text = json_dumps(doc, JSON_INDENT(1) | JSON_SORT_KEYS);
        d->size = d->text ? strlen(d->text) : 0;
        rc = d->text ? BAKE_OK : dk_nomem(ctx);
    }
    json_decref(doc);
    json_decref(n.containers);
    json_decref(n.volumes);
    json_decref(n.networks);
    json_decref(n.images);
    if (rc == BAKE_OK)
        *ret = d;
    else
        dk_define_close(d);
    return rc;
}

int dk_define_read(struct dk_define *d, struct bake_out *out)
{
    size_t n = d->size - d->pos;
    if (n == 0)
        return BAKE_END;
    if (n > out->size - out->pos)
        n = out->size - out->pos;
    memcpy((char *)out->data + out->pos, d->text + d->pos, n);
    out->pos += n;
    d->pos += n;
    return BAKE_OK;
}

int dk_define_finish(struct dk_define *d, struct bake_result *ret)
{
    ret->facts = d->item->facts;
    return BAKE_OK;
}

void dk_define_close(struct dk_define *d)
{
    if (!d)
        return;
    if (d->text)
        explicit_bzero(d->text, d->size);
    free(d->text);
    free(d);
}
