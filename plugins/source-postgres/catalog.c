/* Which databases there are, and the components made of them. */
#include "catalog.h"

#include "fingerprint.h"
#include "match/wild.h"
#include "text.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

void pg_list_free(struct pg_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++) {
        struct pg_database *d = &l->items[i];
        free(d->name);
        free(d->component);
        free(d->owner);
        free(d->encoding);
        free(d->collate);
        free(d->ctype);
        free(d->fingerprint);
        free(d->facts);
        free(d->oid);
    }
    free(l->items);
    free(l->globals_facts);
    free(l->base_facts);
    free(l->server_version);
    free(l->system_id);
    free(l->superuser);
    free(l->preload);
    free(l);
}

const struct pg_database *pg_list_find(const struct pg_list *l, const char *component)
{
    for (size_t i = 0; l && i < l->n; i++)
        if (strcmp(l->items[i].component, component) == 0)
            return &l->items[i];
    return NULL;
}

/* ---- the server ------------------------------------------------------------------------------ */

static int ask_server(struct pg_conn *c, struct pg_list *l)
{
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot ask the server what it is",
                      "SELECT pg_catalog.current_setting('server_version'),"
                      " (SELECT system_identifier FROM pg_catalog.pg_control_system()),"
                      " pg_catalog.pg_is_in_recovery(),"
                      " (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10),"
                      " (SELECT setting FROM pg_catalog.pg_settings"
                      "  WHERE name = 'shared_preload_libraries')",
                      0, NULL);
    if (rc != BAKE_OK)
        return rc;
    l->superuser = strdup(PQgetvalue(res, 0, 3));
    l->preload = strdup(PQgetvalue(res, 0, 4)); /* "" also where we may not see it */
    l->version_num = c->version;
    l->server_version = strdup(PQgetvalue(res, 0, 0));
    l->system_id = strdup(PQgetvalue(res, 0, 1));
    l->replica = PQgetvalue(res, 0, 2)[0] == 't';
    PQclear(res);
    return l->server_version && l->system_id && l->superuser && l->preload ? BAKE_OK
                                                                           : nomem(c->ctx);
}

static json_t *server_facts(const struct pg_list *l)
{
    return json_pack("{s:s, s:i, s:s, s:b, s:s, s:s}", "server_version", l->server_version,
                     "server_version_num", l->version_num, "system_identifier", l->system_id,
                     "replica", l->replica, "superuser", l->superuser, "shared_preload_libraries",
                     l->preload);
}

static char *dump_json(json_t *j) /* takes j */
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(j);
    return text;
}

/* ---- databases ------------------------------------------------------------------------------- */

enum {
    OID,
    NAME,
    OWNER,
    ENCODING,
    COLLATE,
    CTYPE,
    PROVIDER,
    LOCALE,
    RULES,
    TABLESPACE,
    LIMIT,
    IS_TEMPLATE,
    ALLOWS,
    COMMENT,
    ACL,
    SETTINGS,
    BYTES
};

#define WHAT_OF_LOCALE_BEFORE_15 "'c', NULL, NULL"
#define WHAT_OF_LOCALE_15        "d.datlocprovider, d.daticulocale, NULL"
#define WHAT_OF_LOCALE_16        "d.datlocprovider, d.daticulocale, d.daticurules"
#define WHAT_OF_LOCALE_17        "d.datlocprovider, d.datlocale, d.daticurules"

/* Sizes: only of what we may connect to, all else is an error there. */
#define QUERY(locale)                                                                              \
    "SELECT d.oid, d.datname, pg_catalog.pg_get_userbyid(d.datdba),"                               \
    " pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, " locale ","           \
    " t.spcname, d.datconnlimit, d.datistemplate, d.datallowconn,"                                 \
    " pg_catalog.shobj_description(d.oid, 'pg_database'),"                                         \
    " pg_catalog.array_to_json(d.datacl::pg_catalog.text[]),"                                      \
    " (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('role',"                            \
    "   CASE WHEN s.setrole <> 0 THEN pg_catalog.pg_get_userbyid(s.setrole) END,"                  \
    "   'settings', s.setconfig) ORDER BY s.setrole) FROM pg_catalog.pg_db_role_setting s"         \
    "   WHERE s.setdatabase = d.oid),"                                                             \
    " CASE WHEN d.datallowconn AND (pg_catalog.has_database_privilege(d.oid, 'CONNECT') OR"        \
    "   pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'))"                                     \
    "   THEN pg_catalog.pg_database_size(d.oid) ELSE 0 END"                                        \
    " FROM pg_catalog.pg_database d"                                                               \
    " LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace ORDER BY d.datname"

static const char *field(const PGresult *res, int row, int column)
{
    return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

static char *copy(const PGresult *res, int row, int column)
{
    const char *value = field(res, row, column);
    return strdup(value ? value : "");
}

static json_t *text_or_null(const char *s)
{
    json_t *j = s ? json_string(s) : json_null();
    return j ? j : json_null(); /* not UTF-8: a database of unknown encoding */
}

static json_t *json_or_null(const char *s)
{
    json_t *j = s ? json_loads(s, JSON_DECODE_ANY, NULL) : NULL;
    return j ? j : json_null();
}

static json_t *facts_of(const struct pg_list *l, const PGresult *res, int row, int format)
{
    const struct {
        const char *key;
        int column;
    } texts[] = {
        {"database", NAME},         {"owner", OWNER},     {"encoding", ENCODING},
        {"collate", COLLATE},       {"ctype", CTYPE},     {"locale", LOCALE},
        {"tablespace", TABLESPACE}, {"comment", COMMENT}, {"locale_provider", PROVIDER},
    };
    json_t *j = server_facts(l);
    if (!j)
        return NULL;
    int bad = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        bad |= json_object_set_new(j, texts[i].key, text_or_null(field(res, row, texts[i].column)));
    if (field(res, row, RULES))
        bad |= json_object_set_new(j, "icu_rules", text_or_null(field(res, row, RULES)));
    bad |= json_object_set_new(j, "acl", json_or_null(field(res, row, ACL)));
    bad |= json_object_set_new(j, "settings", json_or_null(field(res, row, SETTINGS)));
    bad |= json_object_set_new(j, "connection_limit", json_or_null(field(res, row, LIMIT)));
    bad |=
        json_object_set_new(j, "is_template", json_boolean(field(res, row, IS_TEMPLATE)[0] == 't'));
    bad |= json_object_set_new(j, "format", json_string(format == PG_CUSTOM ? "custom" : "plain"));
    if (!bad)
        return j;
    json_decref(j);
    return NULL;
}

static bool wanted(const struct pg_config *cfg, const PGresult *res, int row)
{
    const char *name = field(res, row, NAME);
    bool named = pg_glob_names(cfg->databases, name);
    if (pg_glob_any(cfg->exclude_databases, name))
        return false;
    if (named)
        return true; /* one that allows no connections fails by itself */
    if (field(res, row, ALLOWS)[0] != 't' || strcmp(name, "template1") == 0)
        return false;
    return !cfg->databases || !cfg->databases[0] || pg_glob_any(cfg->databases, name);
}

static char *component_of(const char *database, int format)
{
    char *safe = pg_safe_name(database), *name = NULL;
    size_t n = safe ? strlen(safe) : 0;
    if (safe && (name = malloc(n + sizeof(".dump"))))
        (void)snprintf(name, n + sizeof(".dump"), "%s%s", safe,
                       format == PG_CUSTOM ? ".dump" : ".sql");
    free(safe);
    return name;
}

static int add(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_list *l,
               const PGresult *res, int row)
{
    struct pg_database *d = &l->items[l->n++];
    d->name = copy(res, row, NAME);
    d->component = d->name ? component_of(d->name, cfg->format) : NULL;
    d->owner = copy(res, row, OWNER);
    d->encoding = copy(res, row, ENCODING);
    d->collate = copy(res, row, COLLATE);
    d->ctype = copy(res, row, CTYPE);
    d->facts = dump_json(facts_of(l, res, row, cfg->format));
    const char *bytes = field(res, row, BYTES); /* NULL: dropped just now */
    d->bytes = bytes ? pg_number(bytes) : 0;
    d->oid = copy(res, row, OID);
    d->allows = field(res, row, ALLOWS)[0] == 't';
    d->exists = true;
    return d->name && d->component && d->owner && d->encoding && d->collate && d->ctype &&
                   d->facts && d->oid
               ? BAKE_OK
               : nomem(ctx);
}

/* Named in the options but not there: its component fails, and the others go on. */
static int add_missing(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_list *l,
                       const char *name)
{
    struct pg_database *d = &l->items[l->n++];
    d->name = strdup(name);
    d->component = component_of(name, cfg->format);
    d->facts = dump_json(json_pack("{s:s}", "database", name));
    return d->name && d->component && d->facts ? BAKE_OK : nomem(ctx);
}

static bool listed(const struct pg_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].name, name) == 0)
            return true;
    return false;
}

static void tell_unused(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_list *l)
{
    for (const char *const *g = cfg->databases; g && *g; g++) {
        bool used = !bkc_wild_special(*g);
        for (size_t i = 0; i < l->n && !used; i++)
            used = pg_glob(*g, l->items[i].name);
        if (!used)
            bake_report(ctx, BAKE_WARNING, *g, "no database matches this glob of 'databases'");
    }
}

static int take_databases(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_list *l,
                          const PGresult *res)
{
    int rows = PQntuples(res), rc = BAKE_OK;
    size_t named = 0;
    for (const char *const *g = cfg->databases; g && *g; g++)
        named++;
    l->items = calloc((size_t)rows + named + 1, sizeof(*l->items));
    if (!l->items)
        return nomem(ctx);
    for (int i = 0; i < rows && rc == BAKE_OK; i++)
        if (wanted(cfg, res, i))
            rc = add(ctx, cfg, l, res, i);
    for (size_t i = 0; i < named && rc == BAKE_OK; i++) {
        const char *name = cfg->databases[i];
        if (!bkc_wild_special(name) && !listed(l, name) &&
            !pg_glob_any(cfg->exclude_databases, name))
            rc = add_missing(ctx, cfg, l, name);
    }
    if (rc == BAKE_OK)
        tell_unused(ctx, cfg, l);
    return rc;
}

static int ask_databases(struct pg_conn *c, const struct pg_config *cfg, struct pg_list *l)
{
    const char *sql = c->version >= 170000   ? QUERY(WHAT_OF_LOCALE_17)
                      : c->version >= 160000 ? QUERY(WHAT_OF_LOCALE_16)
                      : c->version >= 150000 ? QUERY(WHAT_OF_LOCALE_15)
                                             : QUERY(WHAT_OF_LOCALE_BEFORE_15);
    PGresult *res = NULL;
    int rc = pg_query(c, &res, "cannot list the databases", sql, 0, NULL);
    if (rc == BAKE_OK)
        rc = take_databases(c->ctx, cfg, l, res);
    PQclear(res);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int ask(struct pg_conn *c, const struct pg_config *cfg, struct pg_list *l)
{
    int rc = ask_server(c, l);
    if (rc == BAKE_OK)
        rc = ask_databases(c, cfg, l);
    if (rc != BAKE_OK)
        return rc;
    l->globals_facts = dump_json(server_facts(l));
    l->base_facts = dump_json(server_facts(l));
    if (!l->globals_facts || !l->base_facts)
        return nomem(c->ctx);
    return cfg->mode == PG_LOGICAL ? pg_fingerprints(c, cfg, l) : BAKE_OK;
}

int pg_list_make(struct bake_ctx *ctx, const struct pg_config *cfg, struct pg_list **ret)
{
    struct pg_list *l = calloc(1, sizeof(*l));
    struct pg_conn c = {0};
    if (!l)
        return nomem(ctx);
    int rc = pg_conn_open(ctx, cfg, NULL, NULL, &c);
    if (rc == BAKE_OK) {
        rc = ask(&c, cfg, l);
        pg_conn_close(&c);
    }
    if (rc != BAKE_OK) {
        pg_list_free(l);
        return rc;
    }
    *ret = l;
    return BAKE_OK;
}
