/* plugins, schema: what the option tables say. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "plugin/describe.h"

#include <stdio.h>
#include <string.h>

/* "source-files" or, where only one kind has it, "files". */
static int load_named(struct bk_registry *reg, const char *name, const struct bk_plugin **ret,
                      struct bk_err *err)
{
    struct bk_err why = {0};

    for (int kind = BK_SOURCE; kind <= BK_SINK; kind++) {
        const char *word = bk_kind_name((enum bk_kind)kind), *rest = name;
        size_t n = strlen(word);
        int rc;

        if (strncmp(name, word, n) == 0 && name[n] == '-')
            rest = name + n + 1;
        else if (strchr(name, '-') && (bk_starts(name, "source-") || bk_starts(name, "sink-") ||
                                       bk_starts(name, "transform-")))
            continue;
        rc = bk_registry_get(reg, (enum bk_kind)kind, rest, ret, &why);
        if (rc != BAKE_E_NOTFOUND) {
            if (rc < 0)
                *err = why;
            return rc;
        }
    }
    return bk_fail(err, BK_E_USAGE, "there is no plugin '%s'\nHINT: 'bakengine plugins' lists them",
                   name);
}

static int list_plugins(struct bk_cli *cli, struct bk_registry *reg, struct bk_err *err)
{
    json_t *doc = cli->args.json ? json_object() : NULL, *list = doc ? json_array() : NULL;
    struct bk_strv names = {0};
    int rc = bk_registry_names(reg, &names, err), worst = BAKE_OK;

    for (size_t i = 0; rc >= 0 && i < names.n; i++) {
        const struct bk_plugin *p;
        struct bk_err why = {0};

        if (load_named(reg, names.items[i], &p, &why) < 0) {
            bk_event_error(&cli->reporter, NULL, &why);
            worst = bk_fail(err, BAKE_E_CONFIG, "not every plugin can be loaded");
        } else if (list) {
            json_array_append_new(list, bk_describe_json(p));
        } else {
            printf("  %-18s %-8s %s\n", p->full_name, p->desc.version, p->desc.summary);
        }
    }
    bk_strv_free(&names);
    if (rc >= 0 && doc) {
        json_object_set_new(doc, "plugins", list);
        rc = bk_cli_json(doc, err);
    } else {
        json_decref(doc);
    }
    return rc < 0 ? rc : worst;
}

static int show_plugin(struct bk_cli *cli, struct bk_registry *reg, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    const struct bk_plugin *p;
    int rc = load_named(reg, cli->args.pos[0], &p, err);

    if (rc < 0)
        return rc;
    if (cli->args.json)
        return bk_cli_json(bk_describe_json(p), err);
    rc = bk_describe_text(p, &text, err);
    if (rc >= 0)
        printf("%s", text.data);
    return rc;
}

int bk_verb_plugins(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_registry *reg;
    int rc = bk_registry_new(&reg, err);

    if (rc < 0)
        return rc;
    rc = cli->args.n_pos ? show_plugin(cli, reg, err) : list_plugins(cli, reg, err);
    bk_registry_free(reg);
    return rc;
}

int bk_verb_schema(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_registry *reg;
    json_t *schema;
    int rc = bk_registry_new(&reg, err);

    (void)cli;
    if (rc < 0)
        return rc;
    rc = bk_pipeline_schema(reg, &schema, err);
    bk_registry_free(reg);
    return rc < 0 ? rc : bk_cli_json(schema, err);
}
