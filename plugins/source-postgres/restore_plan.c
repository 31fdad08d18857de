/* What a restore of dumps is to do: by the components' facts and the user's choice. */
#include "restore.h"

#include "match/wild.h"
#include "text.h"
#include "wait.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define NAME_MAX_BYTES 63 /* of a database; the server cuts what is longer */

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- its life -------------------------------------------------------------------------------- */

static void target_release(struct pg_target *t)
{
    free(t->component);
    free(t->subject);
    free(t->name);
    free(t->fresh);
    free(t->aside);
    free(t->new_oid);
    free(t->old_oid);
    json_decref(t->facts);
}

void pg_restore_free(struct pg_restore *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        target_release(&r->targets[i]);
    for (char **p = r->parts; p && *p; p++)
        free(*p);
    free(r->parts);
    free(r->targets);
    free(r->backup);
    free(r->mark);
    free(r->app);
    free(r->self);
    free(r->system_id);
    free(r->psql);
    free(r->pg_restore);
    free(r->pg_dump);
    free(r->home);
    free(r->facts);
    json_decref(r->roles);
    json_decref(r->spaces);
    free(r);
}

/* ---- looking things up ----------------------------------------------------------------------- */

struct pg_target *pg_restore_find(const struct pg_restore *r, const char *component)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->targets[i].component, component) == 0)
            return &r->targets[i];
    return NULL;
}

const char *pg_fact(const struct pg_target *t, const char *key)
{
    return json_string_value(json_object_get(t->facts, key));
}

/* "schema.table" as in facts, or the table's name alone. */
bool pg_part_wanted(const struct pg_restore *r, const char *key)
{
    const char *table = key;
    bool quoted = false;
    for (const char *p = key; *p; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (*p == '.' && !quoted) {
            table = p + 1;
            break;
        }
    }
    for (char *const *g = r->parts; g && *g; g++)
        if (pg_glob(*g, key) || pg_glob(*g, table))
            return true;
    return false;
}

/* ---- names ----------------------------------------------------------------------------------- */

static bool hex(char *out, size_t digits)
{
    static const char set[] = "0123456789abcdef";
    unsigned char bytes[16];
    if (digits > sizeof(bytes) || getrandom(bytes, digits, 0) != (ssize_t)digits)
        return false;
    for (size_t i = 0; i < digits; i++)
        out[i] = set[bytes[i] & 15];
    out[digits] = '\0';
    return true;
}

/* The name cut so that what follows fits, and never within a character. */
static char *with_end(const char *name, const char *end)
{
    size_t n = strlen(name), most = NAME_MAX_BYTES - strlen(end);
    if (n > most) {
        n = most;
        while (n > 0 && ((unsigned char)name[n] & 0xC0) == 0x80)
            n--;
    }
    return pg_text("%.*s%s", (int)n, name, end);
}

static int name_target(const struct pg_restore *r, struct bake_ctx *ctx, struct pg_target *t)
{
    char digits[7], end[32];
    if (r->drill) {
        t->fresh = strdup(t->name);
        return t->fresh ? BAKE_OK : nomem(ctx);
    }
    if (!hex(digits, 6))
        return bake_fail(ctx, BAKE_E_IO, "cannot get random bytes");
    (void)snprintf(end, sizeof(end), "_bakengine_%s", digits);
    t->fresh = with_end(t->name, end);
    (void)snprintf(end, sizeof(end), "_bakengine_old_%s", digits);
    t->aside = with_end(t->name, end);
    return t->fresh && t->aside ? BAKE_OK : nomem(ctx);
}

/* ---- components ------------------------------------------------------------------------------ */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static int format_of(const struct pg_target *t)
{
    const char *format = pg_fact(t, "format");
    bool custom = format ? strcmp(format, "custom") == 0 : ends_in(t->component, ".dump");
    return custom ? PG_CUSTOM : PG_PLAIN;
}

static int add(struct pg_restore *r, struct bake_ctx *ctx, const struct bake_component *c,
               const char *as_name)
{
    struct pg_target *t = &r->targets[r->n++];
    t->component = strdup(c->name);
    t->facts = c->facts ? json_loads(c->facts, 0, NULL) : json_object();
    if (!t->component || !t->facts)
        return c->facts && !t->facts ? bake_fail(ctx, BAKE_E_CORRUPT,
                                                 "what is recorded of '%s' cannot be read", c->name)
                                     : nomem(ctx);
    const char *name = pg_fact(t, "database");
    t->subject = name ? strdup(name) : pg_true_name(c->name);
    if (!t->subject)
        return bake_fail(ctx, BAKE_E_CORRUPT, "'%s' is not the name of a database's dump", c->name);
    t->name = strdup(as_name ? as_name : t->subject);
    t->format = format_of(t);
    json_int_t version = json_integer_value(json_object_get(t->facts, "server_version_num"));
    if (version > r->dumped && version < 10000000)
        r->dumped = (int)version;
    return t->name ? name_target(r, ctx, t) : nomem(ctx);
}

static int check_name(struct bake_ctx *ctx, const char *name)
{
    if (!*name || strlen(name) > NAME_MAX_BYTES)
        return bake_fail(ctx, BAKE_E_CONFIG, "'%s' is no name for a database: 1 to %d bytes", name,
                         NAME_MAX_BYTES);
    if (strcmp(name, "template0") == 0)
        return bake_fail(ctx, BAKE_E_CONFIG, "'template0' is the server's own and not replaced");
    return BAKE_OK;
}

static int check_how(const struct pg_restore *r, struct bake_ctx *ctx,
                     const struct bake_restore *how)
{
    if (how->at_ns != 0 && !r->drill)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "dumps hold the moment when they were made and cannot be brought to "
                         "another one\nHINT: name the backup instead of --at; a moment in between "
                         "needs 'mode: physical'");
    if (how->as_name && r->n != 1)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "one database goes to another name, and %zu are chosen\n"
                         "HINT: choose it by --component",
                         r->n);
    if (r->parts && r->n != 1)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "tables are restored from one database at a time, and %zu are chosen\n"
                         "HINT: choose it by --component",
                         r->n);
    for (size_t i = 0; i < r->n; i++) {
        int rc = check_name(ctx, r->targets[i].name);
        if (rc != BAKE_OK)
            return rc;
    }
    return BAKE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int copy_parts(struct pg_restore *r, struct bake_ctx *ctx, const char *const *parts)
{
    size_t n = 0;
    while (parts && parts[n])
        n++;
    if (n == 0)
        return BAKE_OK;
    r->parts = calloc(n + 1, sizeof(char *));
    for (size_t i = 0; r->parts && i < n; i++)
        if (!(r->parts[i] = strdup(parts[i])))
            return nomem(ctx);
    return r->parts ? BAKE_OK : nomem(ctx);
}

static int begin(struct pg_restore *r, struct bake_ctx *ctx, const struct bake_restore *how,
                 size_t n)
{
    char digits[13];
    if (!hex(digits, 12))
        return bake_fail(ctx, BAKE_E_IO, "cannot get random bytes");
    r->drill = how->purpose == BAKE_DRILL;
    r->look_only = how->purpose == BAKE_INSPECT;
    r->force = how->force != 0 || r->drill;
    r->began_ms = pg_now_ms();
    r->mark = strdup(digits);
    r->app = pg_text("bakengine %s", digits);
    r->backup = strdup(how->backup ? how->backup : "");
    r->roles = json_array();
    r->spaces = json_array();
    r->targets = calloc(n + 1, sizeof(*r->targets));
    bool good = r->mark && r->app && r->backup && r->roles && r->spaces && r->targets;
    return good ? copy_parts(r, ctx, how->parts) : nomem(ctx);
}

int pg_restore_plan(struct pg_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                    const struct bake_component *const *chosen, size_t n, struct pg_restore **ret)
{
    struct pg_restore *r = calloc(1, sizeof(*r));
    if (!r)
        return nomem(ctx);
    r->cfg = src->cfg;
    int rc = begin(r, ctx, how, n);
    for (size_t i = 0; i < n && rc == BAKE_OK; i++) {
        if (strcmp(chosen[i]->name, PG_GLOBALS) == 0)
            r->globals = true;
        else
            rc = add(r, ctx, chosen[i], how->as_name);
    }
    if (rc == BAKE_OK)
        rc = check_how(r, ctx, how);
    if (rc == BAKE_OK)
        *ret = r;
    else
        pg_restore_free(r);
    return rc;
}
