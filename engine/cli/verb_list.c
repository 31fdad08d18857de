/* list: the backups of a store. */
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#define VERIFIED_WIDTH 36 /* "restore damaged 2025-11-05T12:00:00Z" */

static const char *quality(const struct bk_backup *b)
{
    if (b->foreign)
        return "foreign";
    if (!b->manifest)
        return "damaged";
    if (b->good)
        return "good";
    return b->missing.n > 0 && bk_manifest_good(b->manifest) ? "incomplete" : "partial";
}

/* Without its manifest, as making that would mean reading all of it. */
static json_t *foreign_json(const struct bk_backup *b)
{
    json_t *j = json_object();

    bk_json_set_str(j, "id", b->id);
    bk_json_set_str(j, "status", quality(b));
    bk_json_set_str(j, "pipeline", "-");
    bk_json_set_str(j, "stack", b->foreign->stack);
    bk_json_set_str(j, "object", b->foreign->object);
    bk_json_set_time(j, "start", b->foreign->time_ns);
    bk_json_set_u64(j, "bytes_stored", b->foreign->size);
    return j;
}

static json_t *drill_json(const struct bk_backup *b)
{
    json_t *j = json_object();
    const char *time;

    bk_json_set_str(j, "result", bk_backup_drill(b, &time));
    bk_json_set_str(j, "time", time);
    return j;
}

static json_t *backup_json(const struct bk_backup *b)
{
    json_t *j = json_object(), *names = json_array();
    uint64_t in, stored, entries, warnings;

    bk_json_set_str(j, "id", b->id);
    bk_json_set_str(j, "status", quality(b));
    if (!b->manifest) {
        json_decref(names);
        bk_json_set_str(j, "error", b->damage.text);
        return j;
    }
    bk_manifest_totals(b->manifest, &in, &stored, &entries, &warnings);
    bk_json_set_str(j, "pipeline", b->manifest->pipeline);
    bk_json_set_str(j, "hostname", b->manifest->host);
    bk_json_set_str(j, "type", b->manifest->type);
    bk_json_set_time(j, "start", b->manifest->start_ns);
    bk_json_set_time(j, "end", b->manifest->end_ns);
    for (size_t i = 0; i < b->manifest->n_comps; i++)
        json_array_append_new(names, json_string(b->manifest->comps[i].name));
    json_object_set_new(j, "components", names);
    names = json_array();
    for (size_t i = 0; i < b->manifest->tags.n; i++)
        json_array_append_new(names, json_string(b->manifest->tags.items[i]));
    json_object_set_new(j, "tags", names);
    bk_json_set_u64(j, "bytes_in", in);
    bk_json_set_u64(j, "bytes_stored", stored);
    bk_json_set_u64(j, "entries", entries);
    bk_json_set_u64(j, "warnings", warnings);
    bk_json_set_str(j, "verified", b->verified);
    if (b->drill)
        json_object_set_new(j, "drill", drill_json(b));
    return j;
}

static int list_json(const struct bk_catalog *c, struct bk_err *err)
{
    json_t *doc = json_object(), *list = json_array();

    for (size_t i = 0; i < c->n; i++)
        json_array_append_new(list, backup_json(&c->backups[i]));
    for (size_t i = 0; i < c->n_foreign; i++)
        json_array_append_new(list, foreign_json(&c->foreign[i]));
    json_object_set_new(doc, "backups", list);
    return bk_cli_json(doc, err);
}

/* drills: there is a column for them. */
static void list_line(const struct bk_backup *b, int width, bool drills)
{
    char time[BK_TIME_CAP] = "?", in_text[24] = "?", stored_text[24] = "?";
    const char *drilled, *drill = bk_backup_drill(b, &drilled);
    uint64_t in, stored, entries, warnings;

    if (b->foreign || b->manifest)
        bk_format_time(time, bk_backup_time(b) / 1000000000 * 1000000000);
    if (b->foreign)
        bk_format_size(stored_text, sizeof(stored_text), b->foreign->size);
    if (b->manifest) {
        bk_manifest_totals(b->manifest, &in, &stored, &entries, &warnings);
        bk_format_size(in_text, sizeof(in_text), in);
        bk_format_size(stored_text, sizeof(stored_text), stored);
    }
    printf("%-*s  %-20s  %-10s  %10s  %10s  %s%-*s", width, b->id, time, quality(b), in_text,
           stored_text, b->foreign ? "stack " : "", drills && !b->foreign ? VERIFIED_WIDTH : 0,
           b->foreign    ? b->foreign->stack
           : b->verified ? b->verified
                         : "");
    if (drill)
        printf("  %s %s", drill, drilled);
    printf("\n");
    if (!b->foreign && !b->manifest)
        bk_log(BAKE_LOG_WARN, "%s", b->damage.text);
}

static int widest(const struct bk_backup *all, size_t n, int width)
{
    for (size_t i = 0; i < n; i++)
        if ((int)strlen(all[i].id) > width)
            width = (int)strlen(all[i].id);
    return width;
}

static void list_text(const struct bk_catalog *c)
{
    int width = widest(c->foreign, c->n_foreign, widest(c->backups, c->n, 2));
    bool drills = false;

    for (size_t i = 0; i < c->n; i++)
        drills = drills || c->backups[i].drill;
    printf("%-*s  %-20s  %-10s  %10s  %10s  %-*s%s\n", width, "ID", "STARTED", "STATUS", "SIZE",
           "STORED", drills ? VERIFIED_WIDTH : 0, "VERIFIED", drills ? "  DRILL" : "");
    for (size_t i = 0; i < c->n; i++)
        list_line(&c->backups[i], width, drills);
    for (size_t i = 0; i < c->n_foreign; i++)
        list_line(&c->foreign[i], width, drills);
}

static void list_none(const struct bk_catalog *c)
{
    const struct bk_backup *none;
    struct bk_err why = {0};

    (void)bk_catalog_find(c, "latest", 0, &none, &why);
    bk_log(BAKE_LOG_INFO, "%s\nHINT: %s", why.text, why.hint);
}

int bk_verb_list(struct bk_cli *cli, struct bk_err *err)
{
    struct bk_view v;
    int rc = bk_view_open(cli, BK_CATALOG_RECORDS, &v, err);

    if (rc < 0)
        return rc;
    if (cli->args.json)
        rc = list_json(v.catalog, err);
    else if (v.catalog->n + v.catalog->n_foreign == 0)
        list_none(v.catalog);
    else
        list_text(v.catalog);
    bk_view_close(&v);
    return rc;
}
