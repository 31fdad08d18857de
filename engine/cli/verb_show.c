/* show: one backup's manifest. */
#include "base/clock.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/words_restore.h"

#include <stdio.h>

static void show_component(const struct bk_mcomp *c)
{
    char in[24], stored[24], count[32], time[24];

    printf("  %s (%s", c->name, c->kind == BAKE_TREE ? "tree" : "blob");
    if (c->source)
        printf(", from '%s'", c->source);
    printf("): %s", bk_status_name(c->status));
    if (c->status == BK_STATUS_FAILED) {
        printf(": %s\n", c->error ? c->error : "?");
        return;
    }
    if (c->kind == BAKE_TREE)
        printf(", %s entries", bk_format_count(count, sizeof(count), c->entries));
    if (c->unchanged > 0)
        printf(" (%s unchanged)", bk_format_count(count, sizeof(count), c->unchanged));
    printf(", %s", bk_format_size(in, sizeof(in), c->bytes_in));
    if (!c->in.bundle) /* there nobody can say whose bytes are whose */
        printf(" -> %s", bk_format_size(stored, sizeof(stored), c->bytes_stored));
    if (c->source)
        printf(" in %s", bk_format_duration(time, sizeof(time), c->duration_ms));
    printf("\n");
    if (c->warnings || c->missing)
        printf("    %llu warnings, %llu things could not be read\n",
               (unsigned long long)c->warnings, (unsigned long long)c->missing);
    if (c->in.bundle)
        printf("    %-8s %s in %s\n", "data", c->in.path, c->in.bundle);
    for (size_t i = 0; i < c->n_objects; i++)
        printf("    %-8s %s (%s)\n", c->objects[i].role, c->objects[i].name,
               bk_format_size(in, sizeof(in), c->objects[i].size));
}

/* "group       shop: held for 5.2s; stopped shop_app_1 5.1s" */
static void show_group(const struct bk_mgroup *g)
{
    const json_t *stopped = json_object_get(g->facts, "stopped"), *seconds;
    const char *name, *before = "; stopped ";
    char text[24];

    printf("group       %s: held for %s", g->name,
           bk_format_duration(text, sizeof(text), g->held_ms));
    json_object_foreach((json_t *)stopped, name, seconds)
    {
        printf("%s%s %.1fs", before, name, json_number_value(seconds));
        before = ", ";
    }
    printf("%s%s\n", g->error ? "  ERROR: " : "", g->error ? g->error : "");
}

/* "drill       ok 2025-11-05T12:00:00Z", then a line for each group. */
static void show_drill(const struct bk_backup *b)
{
    const json_t *groups = json_object_get(b->drill, "groups");
    const char *time, *result = bk_backup_drill(b, &time);

    if (!result)
        return;
    printf("drill       %s %s\n", result, time);
    for (size_t i = 0; i < json_array_size(groups); i++)
        bk_words_drill(json_array_get(groups, i));
}

static void show_text(const struct bk_backup *b, const struct bk_manifest *m)
{
    char start[BK_TIME_CAP], end[BK_TIME_CAP], size[24];
    const char *name;
    json_t *value;

    printf("backup      %s\npipeline    %s on host %s\ntype        %s\nstarted     %s\nended"
           "       %s\nstatus      %s\nengine      %s\n",
           m->id, m->pipeline, m->host, m->type, bk_format_time(start, m->start_ns),
           bk_format_time(end, m->end_ns),
           b->foreign ? "foreign"
           : b->good  ? "good"
                      : "not good",
           m->engine);
    if (b->foreign)
        printf("stack       %s\n", b->foreign->stack);
    if (m->parent)
        printf("parent      %s\n", m->parent);
    printf("plugins    ");
    json_object_foreach(m->plugins, name, value) printf(" %s %s", name, json_string_value(value));
    printf("\nencrypted   %s\n", m->encrypted ? "yes" : "no");
    if (m->has_level)
        printf("compression level %lld\n", (long long)m->compression_level);
    if (m->tags.n > 0)
        printf("tags       ");
    for (size_t i = 0; i < m->tags.n; i++)
        printf(" %s", m->tags.items[i]);
    printf("%sverified    %s\n", m->tags.n ? "\n" : "", b->verified ? b->verified : "never");
    show_drill(b);
    for (size_t i = 0; i < b->missing.n; i++)
        printf("missing     %s\n", b->missing.items[i]);
    for (size_t i = 0; i < m->n_bundles; i++)
        printf("bundle      %s (%s)\n", m->bundles[i].name,
               bk_format_size(size, sizeof(size), m->bundles[i].size));
    for (size_t i = 0; i < m->n_groups; i++)
        show_group(&m->groups[i]);
    printf("components\n");
    for (size_t i = 0; i < m->n_comps; i++)
        show_component(&m->comps[i]);
}

int bk_verb_show(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_backup *b;
    const struct bk_manifest *m;
    struct bk_view v;
    int rc = bk_view_open(cli, BK_CATALOG_RECORDS, &v, err);

    if (rc < 0)
        return rc;
    rc = bk_view_find(cli, &v, cli->args.pos[1], &b, &m, err);
    if (rc >= 0 && cli->args.json) {
        json_t *doc = bk_manifest_json(m);

        bk_json_set_bool(doc, "good", b->good);
        bk_json_set_str(doc, "stack", b->foreign ? b->foreign->stack : NULL);
        bk_json_set_str(doc, "verified", b->verified);
        if (b->drill)
            json_object_set(doc, "drill", b->drill);
        rc = bk_cli_json(doc, err);
    } else if (rc >= 0) {
        show_text(b, m);
    }
    bk_view_close(&v);
    return rc;
}
