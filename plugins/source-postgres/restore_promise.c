/* The obligation of a restore: all that must be known to put things back, and nothing that is
 * secret. */
#include "restore.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *databases_of(const struct pg_restore *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n; i++) {
        const struct pg_target *t = &r->targets[i];
        json_t *one = json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:b}", "name", t->name, "fresh",
                                t->fresh, "aside", t->aside, "new_oid", t->new_oid, "old_oid",
                                t->old_oid, "allowed", t->allowed);
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

void *pg_restore_document(const struct pg_restore *r)
{
    const struct pg_config *cfg = r->cfg;
    json_t *list = databases_of(r);
    json_t *doc = list ? json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:O, s:O}", "kind",
                                   PG_RESTORE_KIND, "phase", r->switching ? "switching" : "staging",
                                   "backup", r->backup, "mark", r->mark, "system", r->system_id,
                                   "databases", list, "roles", r->roles, "tablespaces", r->spaces)
                       : NULL;
    json_t *where =
        json_pack("{s:s*, s:i, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*}", "host", cfg->host,
                  "port", (int)cfg->port, "user", cfg->user, "database", cfg->database, "service",
                  cfg->service, "sslmode", cfg->sslmode, "sslrootcert", cfg->sslrootcert, "sslcert",
                  cfg->sslcert, "sslkey", cfg->sslkey);
    if (doc && where && json_object_set(doc, "server", where) == 0) {
        json_decref(where);
        return doc;
    }
    json_decref(doc);
    json_decref(where);
    return NULL;
}

int pg_restore_oblige(struct pg_restore *r, struct bake_ctx *ctx)
{
    json_t *doc = pg_restore_document(r);
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
    int rc = text ? ctx->host->oblige(ctx, text, &r->duty)
                  : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    free(text);
    json_decref(doc);
    return rc;
}
