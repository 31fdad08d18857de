/* Whether a stored base backup is sound, without a server: each file against the manifest. */
#include "base_manifest.h"
#include "ops.h"

#include <stdlib.h>

struct inspect {
    struct pg_writer writer; /* first */
    struct pg_manifest *manifest;
    bool in_file;
};

static int inspect_put(void *writer, const struct bake_entry *e)
{
    struct inspect *w = writer;
    w->in_file = e->type == BAKE_FILE;
    return w->in_file ? pg_manifest_file(w->manifest, e->path) : BAKE_OK;
}

static int inspect_write(void *writer, struct bake_in *in)
{
    struct inspect *w = writer;
    int rc = pg_manifest_data(w->manifest, (const char *)in->data + in->pos, in->size - in->pos);
    in->pos = in->size;
    return rc;
}

static int inspect_end(void *writer, int good)
{
    struct inspect *w = writer;
    return w->in_file ? pg_manifest_file_end(w->manifest, good) : BAKE_OK;
}

static int inspect_commit(void *writer)
{
    struct inspect *w = writer;
    return pg_manifest_check(w->manifest);
}

static void inspect_close(void *writer)
{
    struct inspect *w = writer;
    pg_manifest_free(w->manifest);
    free(w);
}

int pg_base_inspect_open(struct pg_source *src, struct bake_ctx *ctx,
                         const struct bake_component *c, struct pg_writer **ret)
{
    struct inspect *w = calloc(1, sizeof(*w));
    (void)c;
    if (!w)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    w->writer =
        (struct pg_writer){inspect_put, inspect_write, inspect_end, inspect_commit, inspect_close};
    int rc = pg_manifest_new(ctx, src->cfg->scratch, &w->manifest);
    if (rc != BAKE_OK) {
        free(w);
        return rc;
    }
    *ret = &w->writer;
    return BAKE_OK;
}
