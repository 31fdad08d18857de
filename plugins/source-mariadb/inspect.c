/* Is what was stored sound? Without a server: dumps and streams are looked into as they were when
 * they were made, and compared with what was recorded then. */
#include "ops.h"
#include "scan.h"
#include "xb.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct inspect {
    struct my_writer writer; /* first */
    struct bake_ctx *ctx;
    char *name;
    struct my_scan *scan; /* one of these */
    struct my_xb *xb;
    json_t *facts; /* NULL: nothing was recorded */
};

static int inspect_write(void *writer, struct bake_in *in)
{
    struct inspect *i = writer;
    const char *data = (const char *)in->data + in->pos;
    size_t n = in->size - in->pos;
    int rc = i->xb ? my_xb_feed(i->xb, data, n) : my_scan_feed(i->scan, data, n);
    in->pos = in->size;
    if (rc == BAKE_E_CORRUPT)
        return bake_fail(i->ctx, rc, "'%s' is no sound xbstream: %s", i->name, my_xb_why(i->xb));
    return rc == BAKE_OK ? rc : my_nomem(i->ctx);
}

/* ---- dumps ----------------------------------------------------------------------------------- */

static int differs(struct inspect *i, const char *what, const char *name, json_int_t is,
                   json_int_t was)
{
    return bake_fail(i->ctx, BAKE_E_CORRUPT, "'%s' holds %lld %s%s%s%s, recorded were %lld",
                     i->name, (long long)is, what, *name ? " of '" : "", name, *name ? "'" : "",
                     (long long)was);
}

static int compare_tables(struct inspect *i, const json_t *recorded)
{
    const struct my_scan_table *tables;
    size_t n = my_scan_tables(i->scan, &tables);
    if (n != json_object_size(recorded))
        return differs(i, "tables", "", (json_int_t)n, (json_int_t)json_object_size(recorded));
    for (size_t at = 0; at < n; at++) {
        const json_t *was = json_object_get(recorded, tables[at].name);
        if (!was)
            return bake_fail(i->ctx, BAKE_E_CORRUPT,
                             "'%s' holds a table '%s' that was not recorded", i->name,
                             tables[at].name);
        if ((json_int_t)tables[at].rows != json_integer_value(was))
            return differs(i, "rows", tables[at].name, (json_int_t)tables[at].rows,
                           json_integer_value(was));
    }
    return BAKE_OK;
}

static int compare(struct inspect *i)
{
    struct my_scan_made made;
    my_scan_made(i->scan, &made);
    const struct {
        const char *key;
        uint64_t is;
    } list[] = {{"rows", my_scan_rows(i->scan)},
                {"routines", made.routines},
                {"events", made.events},
                {"triggers", made.triggers}};
    for (size_t at = 0; at < sizeof(list) / sizeof(list[0]); at++) {
        const json_t *was = json_object_get(i->facts, list[at].key);
        if (was && json_integer_value(was) != (json_int_t)list[at].is)
            return differs(i, list[at].key, "", (json_int_t)list[at].is, json_integer_value(was));
    }
    const json_t *tables = json_object_get(i->facts, "tables");
    return tables ? compare_tables(i, tables) : BAKE_OK;
}

static int inspect_commit(void *writer)
{
    struct inspect *i = writer;
    const char *why = NULL;
    if (i->xb) {
        if (my_xb_end(i->xb) != BAKE_OK)
            return bake_fail(i->ctx, BAKE_E_CORRUPT, "'%s' is no sound xbstream: %s", i->name,
                             my_xb_why(i->xb));
        const json_t *was = json_object_get(i->facts, "bytes");
        return was && json_integer_value(was) != (json_int_t)my_xb_bytes(i->xb)
                   ? differs(i, "bytes", "", (json_int_t)my_xb_bytes(i->xb),
                             json_integer_value(was))
                   : BAKE_OK;
    }
    if (my_scan_end(i->scan, &why) != BAKE_OK)
        return bake_fail(i->ctx, BAKE_E_CORRUPT, "'%s' is no whole dump: %s", i->name, why);
    return i->facts ? compare(i) : BAKE_OK;
}

static void inspect_close(void *writer)
{
    struct inspect *i = writer;
    my_scan_free(i->scan);
    my_xb_free(i->xb);
    json_decref(i->facts);
    free(i->name);
    free(i);
}

int my_inspect_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                    struct my_writer **ret)
{
    (void)src;
    struct inspect *i = calloc(1, sizeof(*i));
    if (!i)
        return my_nomem(ctx);
    i->writer = (struct my_writer){
        .write = inspect_write, .commit = inspect_commit, .close = inspect_close};
    i->ctx = ctx;
    i->name = strdup(c->name);
    i->facts = c->facts ? json_loads(c->facts, 0, NULL) : NULL;
    int rc = !i->name                        ? BAKE_E_NOMEM
             : strcmp(c->name, MY_BASE) == 0 ? my_xb_new(true, &i->xb)
                                             : my_scan_new(&i->scan);
    if (rc != BAKE_OK) {
        inspect_close(i);
        return my_nomem(ctx);
    }
    *ret = &i->writer;
    return BAKE_OK;
}
