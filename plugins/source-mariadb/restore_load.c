/* Statements into a server by the `mariadb` client: the first that fails stops it, and is named. */
#include "restore.h"

#include "calls.h"
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPT_HEAD                                                                                \
    "SET NAMES utf8mb4, TIME_ZONE='+00:00', FOREIGN_KEY_CHECKS=0, SQL_NOTES=0, "                   \
    "SQL_MODE='NO_AUTO_VALUE_ON_ZERO';"

struct my_load {
    struct my_restore *r;
    struct bake_ctx *ctx;
    struct my_rdb *db;
    struct bkc_child *child;
    struct my_split *split;
    char *database;
    bool added;
    char first[600]; /* the client's first error */
};

/* ---- the client ------------------------------------------------------------------------------ */

static void hear(void *arg, const char *line)
{
    char *first = arg;
    if (!*first && strncmp(line, "ERROR ", 6) == 0)
        (void)snprintf(first, sizeof(((struct my_load *)0)->first), "%s", line);
}

static int start_client(struct my_restore *r, struct bake_ctx *ctx, const struct my_place *place,
                        const char *database, char *first, struct bkc_child **ret)
{
    struct my_call call;
    struct bkc_child_spec spec = {
        .in = true, .silence_ms = r->cfg->timeout, .said = hear, .arg = first};
    my_call_begin(&call, r->cfg, place, r->tool);
    if (r->sandbox)
        my_call_arg(&call, "--sandbox");
    my_call_arg(&call, "--batch");
    my_call_arg(&call, "--binary-mode");
    my_call_arg(&call, "--skip-reconnect");
    my_call_arg(&call, "--max-allowed-packet=1G");
    my_call_arg(&call, "--default-character-set=utf8mb4");
    my_call_argf(&call, "--init-command=SET SESSION wait_timeout=2147483, lock_wait_timeout=%llu",
                 (unsigned long long)(r->cfg->lock_timeout / 1000 + 1));
    if (database) {
        my_call_arg(&call, "--");
        my_call_arg(&call, database);
    }
    int rc = my_call_spec(ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(ctx, &spec, ret);
    my_call_release(&call);
    return rc;
}

static uint64_t line_in(const char *error)
{
    const char *at = strstr(error, " at line ");
    uint64_t line = 0;
    for (at = at ? at + 9 : ""; *at >= '0' && *at <= '9' && line < UINT64_MAX / 100; at++)
        line = line * 10 + (uint64_t)(*at - '0');
    return line;
}

/* "ERROR 1064 (42000) at line 7: text": the text. */
static const char *text_in(const char *error)
{
    const char *at = strstr(error, ": ");
    return at ? at + 2 : error;
}

static int rc_in(const char *error)
{
    unsigned number = 0;
    for (const char *p = error + 6; strlen(error) > 6 && *p >= '0' && *p <= '9' && number < 100000;
         p++)
        number = number * 10 + (unsigned)(*p - '0');
    int rc = number ? my_rc_of_errno(number) : BAKE_E_CHILD;
    return rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO ? BAKE_E_CHILD : rc;
}

/* ---- feeding --------------------------------------------------------------------------------- */

static int out(void *arg, const void *data, size_t n)
{
    struct my_load *l = arg;
    return bkc_child_write(l->child, data, n);
}

static bool wanted(void *arg, const char *table)
{
    struct my_load *l = arg;
    return my_part_wanted(l->r->parts, l->db->name, table);
}

int my_load_start(struct my_restore *r, struct bake_ctx *ctx, const struct my_place *place,
                  const char *database, const struct my_rdb *db, struct my_load **ret)
{
    struct my_load *l = calloc(1, sizeof(*l));
    if (!l)
        return my_nomem(ctx);
    l->r = r;
    l->ctx = ctx;
    l->db = (struct my_rdb *)(uintptr_t)db;
    l->database = strdup(db->name);
    /* what binary logs are applied to must be whole */
    bool all = !r->parts || (place && r->at_ns);
    int rc = l->database && my_split_new(all ? NULL : wanted, out, l, &l->split) == BAKE_OK
                 ? start_client(r, ctx, place, database, l->first, &l->child)
                 : my_nomem(ctx);
    if (rc == BAKE_OK && my_calls_add(r->src->calls, l->child) != BAKE_OK)
        rc = my_nomem(ctx);
    else if (rc == BAKE_OK)
        l->added = true;
    if (rc == BAKE_OK)
        *ret = l;
    else
        my_load_free(l);
    return rc;
}

/* The client has ended: why? */
static int failed(struct my_load *l, int rc)
{
    int status = 0;
    if (rc == BAKE_E_CHILD)
        (void)bkc_child_wait(l->child, &status);
    if (l->ctx->host->cancelled(l->ctx) || rc != BAKE_E_CHILD || !l->first[0])
        return rc;
    uint64_t line = line_in(l->first);
    const char *statement = my_split_statement(l->split, line);
    return bake_fail(l->ctx, rc_in(l->first),
                     "a statement of database '%s' fails at line %llu of its dump%s%s%s: %s",
                     l->database, (unsigned long long)line, *statement ? " ('" : "", statement,
                     *statement ? " ...')" : "", text_in(l->first));
}

int my_load_feed(struct my_load *l, const void *data, size_t n)
{
    int rc = my_split_feed(l->split, data, n);
    if (rc == BAKE_E_NOMEM)
        return my_nomem(l->ctx);
    return rc == BAKE_OK ? rc : failed(l, rc);
}

static void move(struct my_script *to, struct my_script *from)
{
    my_script_release(to);
    *to = *from;
    *from = (struct my_script){0};
}

int my_load_end(struct my_load *l, struct my_rdb *db)
{
    int status = 0, rc = my_split_end(l->split);
    if (rc == BAKE_E_CORRUPT)
        return bake_fail(l->ctx, rc, "the dump of '%s' ends before its end marker", l->database);
    if (rc != BAKE_OK)
        return rc == BAKE_E_NOMEM ? my_nomem(l->ctx) : failed(l, rc);
    rc = bkc_child_wait(l->child, &status);
    if (rc == BAKE_OK && status != 0 && l->first[0])
        return failed(l, BAKE_E_CHILD);
    if (rc == BAKE_OK && status != 0)
        return bake_fail(l->ctx, BAKE_E_CHILD, "mariadb could not restore '%s': %s", l->database,
                         bkc_child_said(l->child));
    if (rc == BAKE_OK) {
        move(&db->extras, my_split_extras(l->split));
        move(&db->events, my_split_events(l->split));
    }
    return rc;
}

void my_load_free(struct my_load *l)
{
    if (!l)
        return;
    if (l->added)
        my_calls_drop(l->r->src->calls, l->child);
    bkc_child_free(l->child);
    my_split_free(l->split);
    free(l->database);
    free(l);
}

/* ---- scripts --------------------------------------------------------------------------------- */

int my_script_run(struct my_restore *r, const struct my_place *place, const char *database,
                  const struct my_script *script, const char *what)
{
    struct bkc_child *child = NULL;
    char first[600] = "";
    int status = 0;
    if (script->n == 0)
        return BAKE_OK;
    int rc = start_client(r, r->ctx, place, database, first, &child);
    if (rc != BAKE_OK)
        return rc;
    rc = bkc_child_write(child, SCRIPT_HEAD, sizeof(SCRIPT_HEAD) - 1);
    if (rc == BAKE_OK)
        rc = bkc_child_write(child, script->data, script->n);
    if (rc == BAKE_OK || rc == BAKE_E_CHILD) {
        int waited = bkc_child_wait(child, &status);
        rc = rc == BAKE_OK ? waited : rc;
    }
    if ((rc == BAKE_OK && status != 0) || (rc == BAKE_E_CHILD && first[0]))
        rc = bake_fail(r->ctx, first[0] ? rc_in(first) : BAKE_E_CHILD,
                       "%s of database '%s' fail at line %llu of its dump: %s", what, database,
                       (unsigned long long)my_script_line(script, line_in(first)),
                       first[0] ? text_in(first) : bkc_child_said(child));
    bkc_child_free(child);
    return rc;
}

/* ---- reading one back ------------------------------------------------------------------------ */

int my_redump(struct my_restore *r, const struct my_place *place, const char *database,
              const char *const *arguments, int (*each)(void *arg, const void *data, size_t n),
              void *arg)
{
    struct my_call call;
    struct bkc_child_spec spec = {.out = true, .silence_ms = r->cfg->timeout};
    struct bkc_child *child = NULL;
    char *path = NULL, *version = NULL, *buffer = malloc(1 << 18);
    int rc =
        buffer ? my_tool(r->ctx, r->cfg, "mariadb-dump", 0, &path, &version) : my_nomem(r->ctx);
    if (rc == BAKE_OK) {
        my_call_begin(&call, r->cfg, place, path);
        my_call_arg(&call, "--single-transaction");
        my_call_arg(&call, "--quick");
        my_call_arg(&call, "--hex-blob");
        my_call_arg(&call, "--no-tablespaces");
        my_call_arg(&call, "--skip-dump-date");
        my_call_arg(&call, "--max-allowed-packet=1G");
        my_call_arg(&call, "--default-character-set=utf8mb4");
        for (const char *const *a = arguments; *a; a++)
            my_call_arg(&call, *a);
        my_call_arg(&call, "--");
        my_call_arg(&call, database);
        rc = my_call_spec(r->ctx, &call, &spec);
        if (rc == BAKE_OK)
            rc = bkc_child_start(r->ctx, &spec, &child);
        my_call_release(&call);
    }
    while (rc == BAKE_OK) {
        struct bake_out o = {.data = buffer, .size = 1 << 18};
        rc = bkc_child_read(child, &o);
        if (rc >= 0 && o.pos > 0) {
            int given = each(arg, buffer, o.pos);
            rc = given == BAKE_OK ? rc : given;
        }
    }
    if (rc == BAKE_END)
        rc = bkc_child_wait(child, NULL);
    bkc_child_free(child);
    free(path);
    free(version);
    free(buffer);
    return rc;
}
