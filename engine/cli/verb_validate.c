/* validate: every mistake of a file, and with --probe what cannot be reached. */
#include "base/cleanup.h"
#include "cli/cli.h"

#include <stdio.h>

struct found { /* diagnostics as JSON */
    json_t *list;
};

static void add_found(void *arg, const char *file, struct bk_pos at, bool is_error,
                      const char *text)
{
    struct found *f = arg;
    json_t *j = json_object();

    bk_json_set_str(j, "file", file);
    bk_json_set_u64(j, "line", (uint64_t)at.line);
    bk_json_set_u64(j, "column", (uint64_t)at.col);
    bk_json_set_str(j, "severity", is_error ? "error" : "notice");
    bk_json_set_str(j, "text", text);
    json_array_append_new(f->list, j);
}

static int probe_part(struct bk_cli *cli, const struct bk_part *part, struct bk_err *err)
{
    struct bk_err why = {0};
    struct bk_ctx ctx;
    int rc;

    if (!part->plugin->desc.probe)
        return BAKE_OK;
    bk_ctx_init(&ctx, cli->cancel, "%s '%s'", bk_kind_name(part->plugin->kind), part->name);
    rc = part->plugin->desc.probe(&ctx.base, part->cfg);
    if (rc >= 0)
        return BAKE_OK;
    rc = bk_ctx_fail(&ctx, rc, &why);
    if (rc == BAKE_E_CANCELLED) {
        *err = why;
        return rc;
    }
    if (part->optional) {
        bk_event_note(&cli->reporter, BAKE_NOTICE, NULL, part->name, why.text);
        return BAKE_OK;
    }
    bk_event_error(&cli->reporter, NULL, &why);
    return bk_fail(err, BAKE_E_UNAVAILABLE, "not everything that the pipeline names can be used");
}

int bk_cli_probe(struct bk_cli *cli, const struct bk_pipeline *p, struct bk_err *err)
{
    int worst = BAKE_OK;

    for (size_t i = 0; i < p->n_sources; i++)
        worst = bk_worse(worst, probe_part(cli, &p->sources[i], err));
    for (size_t i = 0; i < p->n_transforms; i++)
        worst = bk_worse(worst, probe_part(cli, &p->transforms[i], err));
    for (size_t i = 0; i < p->n_sinks; i++)
        worst = bk_worse(worst, probe_part(cli, &p->sinks[i], err));
    return worst;
}

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

static int validate_file(struct bk_cli *cli, struct bk_registry *reg, const char *file,
                         struct found *found, struct bk_err *err)
{
    struct bk_pipeline *p = NULL;
    struct bk_diags *diags;
    int rc = bk_diags_new(file, &diags, err);

    if (rc < 0)
        return rc;
    rc = bk_pipeline_load(reg, file, BK_LOAD_ALL, diags, &p, err);
    if (rc < 0 && err->text[0] && found->list) /* not a mistake in it: it cannot even be read */
        add_found(found, file, (struct bk_pos){0, 0}, true, err->text);
    if (found->list)
        bk_diags_each(diags, add_found, found);
    else
        bk_diags_print(diags);
    bk_diags_free(diags);
    if (rc >= 0 && cli->args.probe)
        rc = bk_cli_probe(cli, p, err);
    if (rc >= 0 && !found->list && !cli->args.quiet)
        printf("%s: pipeline '%s' is valid: %zu source%s, %zu transform%s, %zu sink%s\n", file,
               p->name, p->n_sources, plural(p->n_sources), p->n_transforms,
               plural(p->n_transforms), p->n_sinks, plural(p->n_sinks));
    bk_pipeline_free(p);
    return rc;
}

int bk_verb_validate(struct bk_cli *cli, struct bk_err *err)
{
    struct found found = {cli->args.json ? json_array() : NULL};
    struct bk_registry *reg = NULL;
    int worst = bk_registry_new(&reg, err), rc;

    for (size_t i = 0; reg && worst != BAKE_E_CANCELLED && i < cli->args.n_pos; i++) {
        struct bk_err why = {0};

        rc = validate_file(cli, reg, cli->args.pos[i], &found, &why);
        if (rc < 0 && bk_worse(worst, rc) == rc) {
            worst = rc;
            *err = why;
        }
    }
    bk_registry_free(reg);
    if (found.list) {
        json_t *doc = json_object();

        bk_json_set_bool(doc, "valid", worst >= 0);
        json_object_set_new(doc, "messages", found.list);
        rc = bk_cli_json(doc, err);
        worst = worst < 0 ? worst : rc;
    }
    return worst;
}
