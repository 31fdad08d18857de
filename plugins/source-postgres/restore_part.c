/* Single tables: the dump goes into a database of its own as a whole, and from there pg_dump and
 * psql move what is wanted, in one transaction. */
#include "restore.h"

#include "dump.h"
#include "scan.h"
#include "text.h"
#include "tools.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- which ----------------------------------------------------------------------------------- */

/* Tables, partitioned ones too. */
#define TABLES                                                                                     \
    "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"                                       \
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                                    \
    " WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'"                                   \
    " AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'"                         \
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid"                    \
    "   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype = 'e')"           \
    " ORDER BY 1, 2"

/* The wanted ones of a database: names in pairs, in ret->. */
struct tables {
    PGresult *res;
    int *row;
    int n;
};

static void tables_release(struct tables *t)
{
    PQclear(t->res);
    free(t->row);
}

static const char *schema_of(const struct tables *t, int i)
{
    return PQgetvalue(t->res, t->row[i], 0);
}
static const char *name_of(const struct tables *t, int i)
{
    return PQgetvalue(t->res, t->row[i], 1);
}

static int list(const struct pg_restore *r, struct pg_conn *c, struct tables *ret)
{
    struct tables t = {0};
    int rc = pg_query(c, &t.res, "cannot list the tables", TABLES, 0, NULL);
    if (rc != BAKE_OK)
        return rc;
    t.row = calloc((size_t)PQntuples(t.res) + 1, sizeof(*t.row));
    for (int i = 0; t.row && i < PQntuples(t.res); i++) {
        char *key = pg_scan_key(PQgetvalue(t.res, i, 0), PQgetvalue(t.res, i, 1));
        if (!key) {
            tables_release(&t);
            return nomem(c->ctx);
        }
        if (pg_part_wanted(r, key))
            t.row[t.n++] = i;
        free(key);
    }
    if (!t.row) {
        tables_release(&t);
        return nomem(c->ctx);
    }
    *ret = t;
    return BAKE_OK;
}

static int none(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t)
{
    return bake_fail(ctx, BAKE_E_NOTFOUND,
                     "the dump of '%s' holds no table '%s'%s\nHINT: 'schema.table' or 'table', "
                     "globs are fine; the tables that it holds stand in 'show --json'",
                     t->subject, r->parts[0],
                     r->parts[1] ? " (nor the others that are named)" : "");
}

/* By what is recorded: before anything is fetched. */
static bool recorded(const struct pg_restore *r, const struct pg_target *t)
{
    const json_t *tables = json_object_get(t->facts, "tables");
    const char *key;
    json_t *rows;
    if (!tables)
        return true; /* there were too many to be named */
    json_object_foreach((json_t *)tables, key, rows)
    {
        if (pg_part_wanted(r, key))
            return true;
    }
    return false;
}

static int refuse(struct bake_ctx *ctx, const struct pg_target *t, const char *schema,
                  const char *name)
{
    return bake_fail(ctx, BAKE_E_EXISTS,
                     "table '%s.%s' is there already in database '%s'\nHINT: --force drops and "
                     "replaces it; --as-database NAME restores into another database",
                     schema, name, t->name);
}

int pg_parts_check(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t)
{
    struct pg_conn c = {0};
    struct tables there = {0};
    const json_t *tables = json_object_get(t->facts, "tables");
    if (!recorded(r, t))
        return none(r, ctx, t);
    int rc = pg_restore_conn(r, ctx, t->name, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = r->force ? BAKE_OK : list(r, &c, &there);
    for (int i = 0; rc == BAKE_OK && i < there.n; i++) {
        char *key = pg_scan_key(schema_of(&there, i), name_of(&there, i));
        if (!key)
            rc = nomem(ctx);
        else if (!tables || json_object_get(tables, key))
            rc = refuse(ctx, t, schema_of(&there, i), name_of(&there, i));
        free(key);
    }
    tables_release(&there);
    pg_conn_close(&c);
    return rc;
}

/* ---- moving ---------------------------------------------------------------------------------- */

static char *quoted(struct pg_conn *c, const struct tables *t, int i)
{
    char *s = pg_quoted(c, schema_of(t, i)), *n = pg_quoted(c, name_of(t, i));
    char *both = s && n ? pg_text("%s.%s", s, n) : NULL;
    free(s);
    free(n);
    return both;
}

/* What is written first: the transaction, and away with what is there. Never CASCADE: what depends
 * on a table makes its restore fail. */
static int preface(const struct pg_restore *r, struct pg_conn *c, const struct tables *t,
                   char **ret)
{
    char *text = strdup("BEGIN;\nSET client_encoding = 'UTF8';\n");
    for (int i = 0; text && i < t->n && r->force; i++) {
        char *name = quoted(c, t, i);
        char *more =
            name ? pg_text("%s%s%s", text, i ? ", " : "DROP TABLE IF EXISTS ", name) : NULL;
        free(name);
        free(text);
        text = more;
    }
    char *all = text ? pg_text("%s%s", text, r->force ? ";\n" : "") : NULL;
    free(text);
    *ret = all;
    return all ? BAKE_OK : nomem(c->ctx);
}

struct move {
    const struct pg_restore *r;
    struct bake_ctx *ctx;
    struct pg_target *t;
    struct pg_lines lines;
    struct bkc_child *dump;
    struct pg_load *load;
    char *buffer;
};

#define BUFFER (256 << 10)

static int start_dump(struct move *m, struct pg_conn *c, const struct tables *t)
{
    struct pg_call call;
    struct bkc_child_spec spec = {.out = true, .said = pg_lines_add, .arg = &m->lines};
    pg_call_begin(&call, m->r->cfg, NULL, m->r->pg_dump, m->t->fresh);
    pg_call_arg(&call, "--format=plain");
    pg_call_arg(&call, "--no-password");
    pg_call_env(&call, "PGAPPNAME", m->r->app);
    for (int i = 0; i < t->n; i++) {
        char *name = quoted(c, t, i);
        pg_call_argf(&call, "--table=%s", name ? name : "");
        call.failed |= !name;
        free(name);
    }
    int rc = pg_call_spec(m->ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(m->ctx, &spec, &m->dump);
    pg_call_release(&call);
    return rc;
}

static int pump(struct move *m)
{
    for (;;) {
        struct bake_out out = {.data = m->buffer, .size = BUFFER};
        int rc = bkc_child_read(m->dump, &out);
        if (rc < 0)
            return rc;
        if (out.pos > 0) {
            int rc2 = pg_load_write(m->load, m->buffer, out.pos);
            if (rc2 != BAKE_OK)
                return rc2;
        }
        if (rc == BAKE_END)
            return BAKE_OK;
    }
}

static int end_dump(struct move *m)
{
    int status = 0, rc = bkc_child_wait(m->dump, &status);
    if (rc == BAKE_OK && status != 0)
        rc = pg_lines_fail(&m->lines, m->ctx, "pg_dump", m->t->fresh, status);
    return rc;
}

/* Only the word COMMIT makes it count: an end of the input alone does not. */
static int move(struct move *m, struct pg_conn *c, const struct tables *t)
{
    char *first = NULL;
    size_t lenient = 0;
    m->buffer = malloc(BUFFER);
    int rc = m->buffer ? preface(m->r, c, t, &first) : nomem(m->ctx);
    if (rc == BAKE_OK)
        rc = start_dump(m, c, t);
    if (rc == BAKE_OK)
        rc = pg_load_start(m->r, m->ctx, false, false, m->t->name, m->t->name, &m->load);
    if (rc == BAKE_OK)
        rc = pg_load_write(m->load, first, strlen(first));
    if (rc == BAKE_OK)
        rc = pump(m);
    if (rc == BAKE_OK)
        rc = end_dump(m);
    if (rc == BAKE_OK)
        rc = pg_load_write(m->load, "\nCOMMIT;\n", 9);
    if (rc == BAKE_OK)
        rc = pg_load_end(m->load, &lenient);
    free(first);
    return rc;
}

int pg_parts_move(struct pg_restore *r, struct bake_ctx *ctx, struct pg_target *t)
{
    struct move m = {.r = r, .ctx = ctx, .t = t};
    struct pg_conn c = {0};
    struct tables tables = {0};
    int rc = pg_restore_conn(r, ctx, t->fresh, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = list(r, &c, &tables);
    if (rc == BAKE_OK && tables.n == 0)
        rc = none(r, ctx, t);
    if (rc == BAKE_OK)
        rc = move(&m, &c, &tables);
    t->tables = (uint64_t)tables.n;
    pg_load_free(m.load);
    bkc_child_free(m.dump);
    pg_lines_free(&m.lines);
    free(m.buffer);
    tables_release(&tables);
    pg_conn_close(&c);
    return rc;
}
