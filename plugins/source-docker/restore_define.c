/* The first stage of a restore: making again, from the definition that was backed up, what of the
 * stack is missing. */
#include "definition.h"
#include "discover.h"
#include "restore_flow.h"

#include <stdlib.h>
#include <string.h>

static int rename_it(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    struct dk_renamed what;
    json_t *def = dk_def_rename(r->definition, r->as, &what);
    if (!def) {
        int rc = what.elsewhere
                     ? bake_fail(ctx, BAKE_E_UNSUPPORTED,
                                 "cannot restore '%s' as '%s': the driver options of volume '%s' "
                                 "say where its data are, and a second one would have the same",
                                 r->stack, r->as, what.elsewhere)
                     : dk_nomem(ctx);
        free(what.elsewhere);
        return rc;
    }
    json_decref(r->definition);
    r->definition = def;
    if (what.ports > 0)
        bake_report(ctx, BAKE_NOTICE, p->name,
                    "published ports are left out, as '%s' may have them (%zu container%s)",
                    r->stack, what.ports, what.ports == 1 ? "" : "s");
    if (what.addresses > 0)
        bake_report(ctx, BAKE_NOTICE, p->name,
                    "fixed addresses are left out, as '%s' may have them (%zu container%s)",
                    r->stack, what.addresses, what.addresses == 1 ? "" : "s");
    return BAKE_OK;
}

int rs_define_read(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    json_error_t at;
    json_decref(r->definition);
    r->definition = json_loadb(p->text ? p->text : "", p->size, JSON_REJECT_DUPLICATES, &at);
    /* jansson's own text would quote the document, which holds secrets */
    const char *wrong = r->definition ? dk_def_check(r->definition) : "it is no JSON";
    if (!wrong && strcmp(json_string_value(json_object_get(r->definition, "stack")), r->stack) != 0)
        wrong = "it is of another stack";
    if (wrong)
        return bake_fail(ctx, BAKE_E_CORRUPT, "the definition of '%s' cannot be used: %s", r->stack,
                         wrong);
    return BAKE_OK;
}

static int note(void *arg, struct bake_ctx *ctx, const char *kind, const char *name, const char *id)
{
    struct dk_restore *r = arg;
    json_t *set = json_object_get(r->made, kind);
    if (json_object_set_new(set, name, id ? json_string(id) : json_null()) != 0)
        return dk_nomem(ctx);
    return rs_promise(r, ctx, "staging");
}

static const struct rs_part *definition_part(const struct dk_restore *r)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        if (r->parts[i].known && r->parts[i].kind == DK_DEFINITION)
            return &r->parts[i];
    }
    return NULL;
}

int rs_define(struct dk_restore *r, struct bake_ctx *ctx)
{
    struct dk_made made = {.note = note, .arg = r};
    const struct rs_part *p = definition_part(r);
    size_t n = 0;
    int rc = BAKE_OK;
    if (r->definition) { /* else it could not be had, and the rest goes on without */
        rc = r->renamed ? rename_it(r, ctx, p) : BAKE_OK;
        if (rc == BAKE_OK)
            rc = dk_def_make(r->s, ctx, r->definition, rs_world(r), r->force, &made, &n);
        if (rc == BAKE_OK && n > 0) {
            rc = dk_discover_quietly(r->s, ctx, &r->worlds[r->n_worlds]);
            r->n_worlds += rc == BAKE_OK;
        }
    }
    return rc == BAKE_OK ? rs_prepare(r, ctx) : rc;
}
