/* What a restore promises while databases are exchanged, and what another process does with it. */
#include "restore_switch.h"

#include "tools.h"

#include <stdlib.h>
#include <string.h>

#define KIND "mariadb"

static const char *const phases[] = {"staging", "switching", "done"};

/* ---- promising ------------------------------------------------------------------------------- */

static json_t *databases_of(const struct my_restore *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct my_swap *s = &r->dbs[i].swap;
        if (json_array_append_new(list,
                                  json_pack("{s:s, s:s, s:s, s:b}", "target", s->target, "fresh",
                                            s->fresh, "old", s->old, "made", s->made)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Where it goes on: --set may have named another server than the pipeline's. */
int my_oblige(struct my_restore *r, struct bake_ctx *ctx, enum my_phase phase)
{
    const struct my_config *cfg = r->cfg;
    json_t *o = json_pack("{s:s, s:s, s:o, s:O?, s:s*, s:s*, s:s*, s:I}", "kind", KIND, "phase",
                          phases[phase], "databases", databases_of(r), "accounts", r->accounts,
                          "host", cfg->host, "socket", cfg->socket, "user", cfg->user, "port",
                          (json_int_t)cfg->port);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    int rc = text ? ctx->host->oblige(ctx, text, &r->duty) : my_nomem(ctx);
    json_decref(o);
    free(text);
    return rc;
}

/* ---- redeeming ------------------------------------------------------------------------------- */

static char *copy_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? strdup(text) : NULL;
}

static int take_databases(struct my_restore *r, const json_t *list)
{
    size_t n = json_array_size(list);
    r->dbs = calloc(n + 1, sizeof(*r->dbs));
    if (!r->dbs)
        return my_nomem(r->ctx);
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        struct my_swap *s = &r->dbs[r->n++].swap;
        *s = (struct my_swap){copy_of(o, "target"), copy_of(o, "fresh"), copy_of(o, "old"),
                              json_is_true(json_object_get(o, "made"))};
        if (!s->target || !s->fresh || !s->old || !strstr(s->fresh, "_bakengine_") ||
            !strstr(s->old, "_bakengine_old_"))
            return bake_fail(r->ctx, BAKE_E_CORRUPT,
                             "an obligation of a restore is not understood");
    }
    return BAKE_OK;
}

/* Only what removes an account is ever carried out. */
static int take_accounts(struct my_restore *r, json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || (strncmp(text, "DROP USER IF EXISTS `", 21) != 0 &&
                      strncmp(text, "DROP ROLE IF EXISTS `", 21) != 0))
            return bake_fail(r->ctx, BAKE_E_CORRUPT,
                             "an obligation of a restore is not understood");
    }
    r->accounts = json_incref(list);
    return BAKE_OK;
}

static int redeem(struct my_restore *r, const json_t *o)
{
    struct my_conn c = {0};
    const char *name = json_string_value(json_object_get(o, "phase"));
    enum my_phase phase = MY_STAGING;
    char *version = NULL;
    while (phase < MY_DONE && name && strcmp(name, phases[phase]) != 0)
        phase++;
    int rc = take_databases(r, json_object_get(o, "databases"));
    if (rc == BAKE_OK && json_is_array(json_object_get(o, "accounts")))
        rc = take_accounts(r, json_object_get(o, "accounts"));
    if (rc == BAKE_OK && phase == MY_SWITCHING)
        rc = my_tool(r->ctx, r->cfg, "mariadb", 0, &r->tool, &version);
    free(version);
    if (rc == BAKE_OK)
        rc = my_conn_open(r->ctx, r->cfg, NULL, NULL, &c);
    if (rc == BAKE_OK) {
        rc = my_swap_back(r, &c, phase);
        my_conn_close(&c);
    }
    return rc;
}

int my_switch_redeem(struct bake_ctx *ctx, const struct my_config *cfg, const char *what,
                     bool *ret_mine)
{
    json_t *o = json_loads(what, JSON_REJECT_DUPLICATES, NULL);
    const char *kind = json_string_value(json_object_get(o, "kind"));
    int rc = BAKE_OK;
    *ret_mine = kind && strcmp(kind, KIND) == 0;
    if (*ret_mine) {
        struct my_config there = *cfg;
        struct my_restore *r = calloc(1, sizeof(*r));
        there.host = json_string_value(json_object_get(o, "host"));
        there.socket = json_string_value(json_object_get(o, "socket"));
        there.user = json_string_value(json_object_get(o, "user"));
        there.port = json_integer_value(json_object_get(o, "port"));
        if (r) {
            r->ctx = ctx;
            r->cfg = &there;
            rc = redeem(r, o);
        } else {
            rc = my_nomem(ctx);
        }
        my_restore_free(r);
    }
    json_decref(o);
    return rc;
}
