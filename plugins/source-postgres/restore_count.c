/* Whether what came is what was recorded: rows of every table, exactly. */
#include "restore.h"

#include "scan.h"
#include "text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- in the dump ----------------------------------------------------------------------------- */

static int compare_tables(struct bake_ctx *ctx, const json_t *found, const json_t *recorded,
                          const char *subject)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)recorded, key, value)
    {
        const json_t *other = json_object_get(found, key);
        if (!other)
            return bake_fail(ctx, BAKE_E_CORRUPT, "the dump of '%s' does not hold table '%s'",
                             subject, key);
        if (!json_equal(other, value))
            return bake_fail(ctx, BAKE_E_CORRUPT,
                             "the dump of '%s' holds %lld rows of table '%s', and %lld were "
                             "recorded",
                             subject, (long long)json_integer_value(other), key,
                             (long long)json_integer_value(value));
    }
    if (json_object_size(found) != json_object_size(recorded))
        return bake_fail(ctx, BAKE_E_CORRUPT,
                         "the dump of '%s' holds %zu tables, and %zu were recorded", subject,
                         json_object_size(found), json_object_size(recorded));
    return BAKE_OK;
}

int pg_scan_compare(struct bake_ctx *ctx, const struct pg_scan *scan, const void *facts,
                    const char *subject)
{
    static const char *const numbers[] = {"rows", "large_objects", "tables_total", NULL};
    json_t *found = json_object();
    if (!found || pg_scan_facts(scan, found) != BAKE_OK) {
        json_decref(found);
        return nomem(ctx);
    }
    int rc = BAKE_OK;
    const json_t *tables = json_object_get(facts, "tables"),
                 *here = json_object_get(found, "tables");
    if (tables && here)
        rc = compare_tables(ctx, here, tables, subject);
    for (const char *const *k = numbers; *k && rc == BAKE_OK; k++) {
        const json_t *was = json_object_get(facts, *k), *is = json_object_get(found, *k);
        if (was && is && !json_equal(was, is))
            rc = bake_fail(ctx, BAKE_E_CORRUPT,
                           "the dump of '%s' is not what was recorded: %s is %lld, not %lld",
                           subject, *k, (long long)json_integer_value(is),
                           (long long)json_integer_value(was));
    }
    json_decref(found);
    return rc;
}

/* ---- in the server --------------------------------------------------------------------------- */

/* As facts name it: bytes that are no UTF-8 are \xHH there. */
static char *key_of(const char *schema, const char *name)
{
    static const char set[] = "0123456789abcdef";
    char *key = pg_scan_key(schema, name);
    json_t *j = key ? json_string(key) : NULL;
    if (j || !key) {
        json_decref(j);
        return key;
    }
    char *text = malloc(4 * strlen(key) + 1), *to = text;
    for (const char *p = key; text && *p; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte < 0x80) {
            *to++ = *p;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = set[byte >> 4];
        *to++ = set[byte & 15];
    }
    if (text)
        *to = '\0';
    free(key);
    return text;
}

struct counting {
    struct pg_conn c;
    struct pg_target *t;
    const json_t *tables; /* NULL: too many were recorded to be named */
    size_t seen;
    uint64_t rows;
};

/* What an extension brings itself is not in the dump: of its tables there may be more rows. */
static bool fits(uint64_t is, uint64_t recorded, bool of_extension)
{
    return of_extension ? is >= recorded : is == recorded;
}

static int count_one(struct counting *k, const char *schema, const char *name, const char *key,
                     bool of_extension, const json_t *wanted)
{
    char *s = pg_quoted(&k->c, schema), *n = pg_quoted(&k->c, name), *rows = NULL;
    char *sql = s && n ? pg_text("SELECT pg_catalog.count(*) FROM ONLY %s.%s", s, n) : NULL;
    int rc = sql ? pg_value(&k->c, &rows, "cannot count rows", sql, 0, NULL) : nomem(k->c.ctx);
    free(s);
    free(n);
    free(sql);
    if (rc != BAKE_OK)
        return rc;
    uint64_t is = pg_number(rows);
    free(rows);
    k->rows += is;
    k->seen++;
    if (wanted && !fits(is, (uint64_t)json_integer_value(wanted), of_extension))
        return bake_fail(
            k->c.ctx, BAKE_E_CORRUPT, "table '%s' of '%s' has %llu rows, and %lld were recorded",
            key, k->t->subject, (unsigned long long)is, (long long)json_integer_value(wanted));
    return BAKE_OK;
}

static int count_row(struct counting *k, const char *schema, const char *name, bool of_extension)
{
    char *key = key_of(schema, name);
    if (!key)
        return nomem(k->c.ctx);
    const json_t *wanted = json_object_get(k->tables, key);
    int rc = BAKE_OK;
    if (wanted || !k->tables) /* others were left out of the dump, or belong to extensions */
        rc = count_one(k, schema, name, key, of_extension, wanted);
    free(key);
    return rc;
}

static int judge(const struct counting *k)
{
    const json_t *rows = json_object_get(k->t->facts, "rows");
    if (k->tables && k->seen != json_object_size(k->tables))
        return bake_fail(k->c.ctx, BAKE_E_CORRUPT,
                         "%zu tables of '%s' are there, and %zu were recorded", k->seen,
                         k->t->subject, json_object_size(k->tables));
    if (rows && k->rows < (uint64_t)json_integer_value(rows))
        return bake_fail(
            k->c.ctx, BAKE_E_CORRUPT, "%llu rows of '%s' are there, and %lld were recorded",
            (unsigned long long)k->rows, k->t->subject, (long long)json_integer_value(rows));
    return BAKE_OK;
}

/* Names in the encoding of the database, which is that of the dump. */
static int count_all(struct counting *k)
{
    PGresult *res = NULL;
    const char *encoding = pg_fact(k->t, "encoding");
    int rc = encoding
                 ? pg_run(&k->c, "cannot set the encoding", "SET client_encoding = %L", encoding)
                 : BAKE_OK;
    if (rc == BAKE_OK)
        rc = pg_query(&k->c, &res, "cannot list the tables",
                      "SELECT n.nspname, c.relname, EXISTS (SELECT FROM pg_catalog.pg_depend d"
                      "  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
                      "  AND d.objid = c.oid AND d.deptype = 'e') FROM pg_catalog.pg_class c"
                      " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
                      " WHERE c.relkind = 'r' AND c.relpersistence <> 't'"
                      " AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema'",
                      0, NULL);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(res); i++)
        rc = count_row(k, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
                       PQgetvalue(res, i, 2)[0] == 't');
    PQclear(res);
    return rc == BAKE_OK ? judge(k) : rc;
}

int pg_target_count(const struct pg_restore *r, struct bake_ctx *ctx, struct pg_target *t)
{
    struct counting k = {.t = t, .tables = json_object_get(t->facts, "tables")};
    if (!k.tables && !json_object_get(t->facts, "tables_total"))
        return BAKE_OK; /* of a format that could not be counted */
    int rc = pg_restore_conn(r, ctx, t->fresh, &k.c);
    if (rc != BAKE_OK)
        return rc;
    rc = count_all(&k);
    pg_conn_close(&k.c);
    t->tables = k.seen;
    t->rows = k.rows;
    return rc;
}
