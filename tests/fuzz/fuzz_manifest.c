/* Feeds JSON objects to the manifest parser. Each is sealed first: the seal would keep everything
 * else from the parser. What is taken must keep the promises of manifest.h. */
#include "base/path.h"
#include "store/manifest.h"

#include <stdlib.h>
#include <string.h>

#define ID "nightly-20251105T120000Z-3f9c2a"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_component(const struct bk_mcomp *c)
{
    if (!bk_name_ok(c->name) || (c->kind != BAKE_TREE && c->kind != BAKE_BLOB) || !c->source ||
        !c->plugin)
        abort();
    if (c->status != BK_STATUS_FAILED &&
        (strlen(c->sha256) != BK_SHA256_HEX - 1 || !bk_mcomp_object(c, "data")))
        abort();
    for (size_t i = 0; i < c->n_objects; i++)
        if (!bk_path_inside(c->objects[i].name) ||
            strlen(c->objects[i].sha256) != BK_SHA256_HEX - 1)
            abort();
    for (size_t i = 0; i < c->transforms.n; i++)
        if (strchr(c->transforms.items[i], '/') || strchr(c->transforms.items[i], '.'))
            abort();
}

static void check(const struct bk_manifest *m)
{
    if (!bk_streq(m->id, ID) || !m->pipeline || !m->host || !m->type || !m->engine)
        abort();
    for (size_t i = 0; i < m->n_comps; i++) {
        check_component(&m->comps[i]);
        if (bk_manifest_find(m, m->comps[i].name) != &m->comps[i])
            abort(); /* stands there twice */
    }
}

/* What was taken can be written, and is taken again. */
static void check_again(const struct bk_manifest *m)
{
    struct bk_buf text = BK_BUF_INIT;
    struct bk_manifest *back = NULL;
    struct bk_err err = {0};
    if (bk_manifest_write(m, &text, &err) < 0 ||
        bk_manifest_parse(text.data, text.len, ID, &back, &err) < 0 || back->n_comps != m->n_comps)
        abort();
    bk_manifest_free(back);
    bk_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_buf sealed = BK_BUF_INIT;
    struct bk_manifest *m = NULL;
    struct bk_err err = {0};
    json_t *j = NULL;
    if (bk_manifest_parse((const char *)data, size, ID, &m, &err) >= 0) {
        check(m); /* somebody sealed it */
        bk_manifest_free(m);
    }
    if (bk_json_parse((const char *)data, size, "input", &j, &err) >= 0 && json_is_object(j) &&
        bk_json_seal(j, &sealed, &err) >= 0 &&
        bk_manifest_parse(sealed.data, sealed.len, ID, &m, &err) >= 0) {
        check(m);
        check_again(m);
        bk_manifest_free(m);
    }
    json_decref(j);
    bk_buf_free(&sealed);
    return 0;
}
