/* What both formats of a dump have in common: names and counts. */
#include "scan_impl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct pg_scan {
    struct pg_found found;
    struct pg_plain *plain; /* one of these two */
    struct pg_custom *custom;
};

/* ---- tables ---------------------------------------------------------------------------------- */

static bool grow(struct pg_tables *t)
{
    if (t->n < t->cap)
        return true;
    size_t cap = t->cap ? 2 * t->cap : 64;
    struct pg_scan_table *items = realloc(t->items, cap * sizeof(*items));
    if (!items)
        return false;
    t->items = items;
    t->cap = cap;
    return true;
}

int pg_tables_add(struct pg_tables *t, const char *schema, size_t n_schema, const char *name,
                  size_t n_name, uint64_t rows)
{
    t->rows += rows;
    t->seen++;
    if (t->n == PG_SCAN_TABLES)
        return BAKE_OK;
    char *text = grow(t) ? malloc(n_schema + n_name + 2) : NULL; /* both in one */
    if (!text)
        return BAKE_E_NOMEM;
    memcpy(text, schema, n_schema);
    text[n_schema] = '\0';
    memcpy(text + n_schema + 1, name, n_name);
    text[n_schema + 1 + n_name] = '\0';
    t->items[t->n++] = (struct pg_scan_table){text, text + n_schema + 1, rows};
    return BAKE_OK;
}

static int compare(const void *a, const void *b)
{
    const struct pg_scan_table *x = a, *y = b;
    int c = strcmp(x->schema, y->schema);
    return c ? c : strcmp(x->name, y->name);
}

void pg_tables_sort(struct pg_tables *t)
{
    size_t kept = 0;
    if (t->n > 0)
        qsort(t->items, t->n, sizeof(*t->items), compare);
    for (size_t i = 0; i < t->n; i++) {
        if (kept > 0 && compare(&t->items[kept - 1], &t->items[i]) == 0) {
            t->items[kept - 1].rows += t->items[i].rows;
            free((char *)t->items[i].schema);
            continue;
        }
        t->items[kept++] = t->items[i];
    }
    t->n = kept;
}

void pg_tables_free(struct pg_tables *t)
{
    for (size_t i = 0; i < t->n; i++)
        free((char *)t->items[i].schema);
    free(t->items);
}

/* ---- rows ------------------------------------------------------------------------------------ */

enum { LINE, REST, SLASH, DOT }; /* at its start; within; after '\'; after "\." */

size_t pg_rows_feed(struct pg_rows *r, const char *data, size_t n, bool *ret_end)
{
    const char *p = data, *end = data + n;
    *ret_end = false;
    while (p < end) {
        if (r->at == REST || (r->at == LINE && *p != '\\')) {
            const char *line = memchr(p, '\n', (size_t)(end - p));
            r->at = line ? LINE : REST;
            r->n += line != NULL;
            p = line ? line + 1 : end;
        } else if (r->at == LINE) {
            r->at = SLASH;
            p++;
        } else if (r->at == SLASH) {
            p += *p == '.';
            r->at = p > data && p[-1] == '.' ? DOT : REST;
        } else if (*p == '\n') {
            r->at = LINE;
            *ret_end = true;
            return (size_t)(p + 1 - data);
        } else {
            r->at = REST;
        }
    }
    return n;
}

/* ---- the scanner ----------------------------------------------------------------------------- */

int pg_scan_new(int format, struct pg_scan **ret)
{
    struct pg_scan *s = calloc(1, sizeof(*s));
    if (!s)
        return BAKE_E_NOMEM;
    if (format == PG_CUSTOM)
        s->custom = pg_custom_new(&s->found);
    else
        s->plain = pg_plain_new(&s->found);
    if (!s->custom && !s->plain) {
        free(s);
        return BAKE_E_NOMEM;
    }
    *ret = s;
    return BAKE_OK;
}

void pg_scan_free(struct pg_scan *s)
{
    if (!s)
        return;
    pg_custom_free(s->custom);
    pg_plain_free(s->plain);
    pg_tables_free(&s->found.tables);
    free(s);
}

int pg_scan_feed(struct pg_scan *s, const void *data, size_t n)
{
    return s->custom ? pg_custom_feed(s->custom, data, n) : pg_plain_feed(s->plain, data, n);
}

int pg_scan_end(struct pg_scan *s, const char **ret_why)
{
    pg_tables_sort(&s->found.tables);
    int rc = s->custom ? pg_custom_end(s->custom) : pg_plain_end(s->plain);
    if (rc == BAKE_E_CORRUPT)
        *ret_why = s->found.why;
    return rc;
}

size_t pg_scan_tables(const struct pg_scan *s, const struct pg_scan_table **ret)
{
    *ret = s->found.tables.items;
    return s->found.tables.n;
}

uint64_t pg_scan_rows(const struct pg_scan *s) { return s->found.tables.rows; }
uint64_t pg_scan_large_objects(const struct pg_scan *s) { return s->found.large_objects; }
bool pg_scan_counted(const struct pg_scan *s) { return !s->custom || pg_custom_counted(s->custom); }

bool pg_scan_commands(const struct pg_scan *s) { return s->found.command; }

/* ---- facts ----------------------------------------------------------------------------------- */

/* As it stands, unless that could be read in two ways. */
static char *put_part(char *to, const char *part)
{
    if (!strpbrk(part, ".\"")) {
        size_t n = strlen(part);
        memcpy(to, part, n);
        return to + n;
    }
    *to++ = '"';
    for (; *part; part++) {
        if (*part == '"')
            *to++ = '"';
        *to++ = *part;
    }
    *to++ = '"';
    return to;
}

char *pg_scan_key(const char *schema, const char *name)
{
    char *text = malloc(2 * strlen(schema) + 2 * strlen(name) + 6);
    if (!text)
        return NULL;
    char *to = put_part(text, schema);
    *to++ = '.';
    to = put_part(to, name);
    *to = '\0';
    return text;
}

/* Bytes of another encoding than UTF-8 as \xHH: JSON has no place for them. */
static char *printable(char *key) /* takes key */
{
    json_t *j = key ? json_string(key) : NULL;
    if (j || !key) {
        json_decref(j);
        return key;
    }
    static const char hex[] = "0123456789abcdef";
    char *text = malloc(4 * strlen(key) + 1), *to = text;
    for (const char *p = key; text && *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x80) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '\\';
        *to++ = 'x';
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    if (text)
        *to = '\0';
    free(key);
    return text;
}

static json_t *tables_json(const struct pg_tables *t)
{
    json_t *all = json_object();
    for (size_t i = 0; all && i < t->n; i++) {
        char *key = printable(pg_scan_key(t->items[i].schema, t->items[i].name));
        bool good =
            key && json_object_set_new(all, key, json_integer((json_int_t)t->items[i].rows)) == 0;
        free(key);
        if (!good) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

int pg_scan_facts(const struct pg_scan *s, void *json)
{
    const struct pg_found *f = &s->found;
    if (!pg_scan_counted(s))
        return BAKE_OK;
    bool many = f->tables.seen > PG_SCAN_TABLES;
    int bad = json_object_set_new(json, "rows", json_integer((json_int_t)f->tables.rows));
    bad |= json_object_set_new(json, "large_objects", json_integer((json_int_t)f->large_objects));
    if (many)
        bad |= json_object_set_new(json, "tables_total", json_integer((json_int_t)f->tables.seen));
    else
        bad |= json_object_set_new(json, "tables", tables_json(&f->tables));
    return bad ? BAKE_E_NOMEM : BAKE_OK;
}
