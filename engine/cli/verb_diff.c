/* diff: what two backups differ in, a line or a JSON object each, as they are found. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "cli/cli.h"
#include "run/diff.h"

#include <stdio.h>
#include <string.h>

struct output {
    const struct bk_manifest *before, *after;
    bool begun; /* JSON: the document's head is out */
    bool any;   /* and a difference behind it */
    struct bk_buf line;
};

static const char letters[BK_CHANGES] = {'+', '-', 'M', 'T', 'U'};
static const char *const words[BK_CHANGES] = {"added", "removed", "content", "type", "metadata"};

/* ---- for people ------------------------------------------------------------------------------ */

static int say(void *arg, const struct bk_difference *d, struct bk_err *err)
{
    uint32_t type = d->new_type ? d->new_type : d->old_type;
    bool slash = d->path ? type == BAKE_DIR && !bk_streq(d->path, ".") : type == BAKE_TREE;
    char path[4 * 4096 + 4] = "";

    (void)arg;
    if (d->path && !bk_streq(d->path, "."))
        bk_printable(path, sizeof(path), d->path, strlen(d->path));
    printf("%c  %s%s%s%s\n", letters[d->change], d->component, d->path ? "/" : "", path,
           slash ? "/" : "");
    return ferror(stdout) ? bk_cli_flush(err) : BAKE_OK;
}

static void say_counts(const char *what, const uint64_t n[BK_CHANGES])
{
    char text[4][32];

    printf("%-10s  %s new, %s removed, %s changed", what,
           bk_format_count(text[0], sizeof(text[0]), n[BK_CHANGE_ADDED]),
           bk_format_count(text[1], sizeof(text[1]), n[BK_CHANGE_REMOVED]),
           bk_format_count(text[2], sizeof(text[2]), n[BK_CHANGE_CONTENT] + n[BK_CHANGE_TYPE]));
    if (n[BK_CHANGE_META] > 0)
        printf(", %s with other metadata",
               bk_format_count(text[3], sizeof(text[3]), n[BK_CHANGE_META]));
    printf("\n");
}

static bool any(const uint64_t n[BK_CHANGES])
{
    for (int i = 0; i < BK_CHANGES; i++)
        if (n[i] > 0)
            return true;
    return false;
}

static void say_sum(const struct output *o, const struct bk_diff_sum *sum)
{
    char added[24], removed[24];
    bool all = any(sum->components) || any(sum->files) || any(sum->dirs) || any(sum->others);

    if (!all) {
        if (sum->left_out.n == 0)
            printf("%s does not differ from %s\n", o->after->id, o->before->id);
        return;
    }
    printf("\n%s against %s\n", o->after->id, o->before->id);
    if (any(sum->components))
        say_counts("components", sum->components);
    say_counts("files", sum->files);
    if (any(sum->dirs))
        say_counts("dirs", sum->dirs);
    if (any(sum->others))
        say_counts("others", sum->others);
    printf("%-10s  %s added, %s removed\n", "bytes",
           bk_format_size(added, sizeof(added), sum->bytes_added),
           bk_format_size(removed, sizeof(removed), sum->bytes_removed));
}

/* ---- JSON: the array's members one by one, so that a million of them fit --------------------- */

static const char *type_name(const struct bk_difference *d, uint32_t type)
{
    static const char *const names[] = {NULL,       "file", "dir",   "symlink",
                                        "hardlink", "char", "block", "fifo"};

    if (!d->path)
        return type == BAKE_TREE ? "tree" : type == BAKE_BLOB ? "blob" : NULL;
    return type < BK_LEN(names) ? names[type] : "?";
}

static json_t *fields_json(unsigned fields)
{
    static const char *const names[] = {"type",  "content", "mode", "owner",
                                        "mtime", "xattrs",  "link", "device"};
    json_t *list = json_array();

    for (size_t i = 0; i < BK_LEN(names); i++)
        if (fields & (1u << i))
            json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *difference_json(const struct bk_difference *d)
{
    json_t *j = json_object();
    bool sized = d->path ? d->new_type == BAKE_FILE : d->new_type == BAKE_BLOB;
    bool was_sized = d->path ? d->old_type == BAKE_FILE : d->old_type == BAKE_BLOB;

    bk_json_set_str(j, "change", words[d->change]);
    bk_json_set_str(j, "component", d->component);
    bk_json_set_str(j, "path", d->path);
    bk_json_set_str(j, "old_type", type_name(d, d->old_type));
    bk_json_set_str(j, "type", type_name(d, d->new_type));
    if (was_sized)
        bk_json_set_u64(j, "old_size", d->old_size);
    if (sized)
        bk_json_set_u64(j, "size", d->new_size);
    if (d->fields)
        json_object_set_new(j, "fields", fields_json(d->fields));
    return j;
}

/* Prints head, the value (taken over) and tail. */
static int put(struct output *o, const char *head, json_t *value, const char *tail,
               struct bk_err *err)
{
    int rc;

    bk_buf_clear(&o->line);
    rc = bk_json_text(value, 0, &o->line, err);
    json_decref(value);
    if (rc < 0)
        return rc;
    printf("%s%s%s", head, o->line.data, tail);
    return ferror(stdout) ? bk_cli_flush(err) : BAKE_OK;
}

static json_t *backup_json(const struct bk_manifest *m)
{
    json_t *j = json_object();

    bk_json_set_str(j, "id", m->id);
    bk_json_set_time(j, "start", m->start_ns);
    return j;
}

/* As late as can be: what fails before it leaves no half document. */
static int begin(struct output *o, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (!o->begun)
        rc = put(o, "{\n  \"old\": ", backup_json(o->before), ",\n", err);
    if (rc >= 0 && !o->begun)
        rc = put(o, "  \"new\": ", backup_json(o->after), ",\n  \"differences\": [", err);
    o->begun = true;
    return rc;
}

static int put_difference(void *arg, const struct bk_difference *d, struct bk_err *err)
{
    struct output *o = arg;
    int rc = begin(o, err);

    if (rc >= 0)
        rc = put(o, o->any ? ",\n    " : "\n    ", difference_json(d), "", err);
    o->any = true;
    return rc;
}

static json_t *counts_json(const uint64_t n[BK_CHANGES])
{
    json_t *j = json_object();

    for (int i = 0; i < BK_CHANGES; i++)
        bk_json_set_u64(j, words[i], n[i]);
    return j;
}

static int put_sum(struct output *o, const struct bk_diff_sum *sum, struct bk_err *err)
{
    json_t *left_out, *summary;
    int rc = begin(o, err);

    if (rc < 0)
        return rc;
    left_out = json_array();
    for (size_t i = 0; i < sum->left_out.n; i++)
        json_array_append_new(left_out, json_string(sum->left_out.items[i]));
    rc = put(o, o->any ? "\n  ],\n  \"left_out\": " : "],\n  \"left_out\": ", left_out, ",\n", err);
    if (rc < 0)
        return rc;
    summary = json_object();
    json_object_set_new(summary, "components", counts_json(sum->components));
    json_object_set_new(summary, "files", counts_json(sum->files));
    json_object_set_new(summary, "dirs", counts_json(sum->dirs));
    json_object_set_new(summary, "others", counts_json(sum->others));
    bk_json_set_u64(summary, "bytes_added", sum->bytes_added);
    bk_json_set_u64(summary, "bytes_removed", sum->bytes_removed);
    return put(o, "  \"summary\": ", summary, "\n}\n", err);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void failed(void *arg, const char *component, const struct bk_err *why)
{
    (void)arg;
    (void)component; /* the text names it */
    bk_log_err(why);
}

static int diff(struct bk_cli *cli, struct bk_view *v, struct output *o, struct bk_err *err)
{
    struct bk_diff d = {.store = v->session.store,
                        .sink = bk_store_base(v->session.store),
                        .before = o->before,
                        .after = o->after,
                        .components = &cli->args.components,
                        .cancel = cli->cancel,
                        .arg = o,
                        .each = cli->args.json ? put_difference : say,
                        .failed = failed};
    struct bk_diff_sum sum;
    struct bk_err late = {0};
    int rc = bk_diff(&d, &sum, err), shown = BAKE_OK;

    /* What could be compared is told to its end, though some could not. */
    if (sum.done && cli->args.json)
        shown = put_sum(o, &sum, &late);
    else if (sum.done)
        say_sum(o, &sum);
    bk_diff_sum_release(&sum);
    if (rc >= 0 && shown < 0)
        *err = late;
    return rc < 0 ? rc : shown;
}

int bk_verb_diff(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_backup *before, *after;
    struct output o = {.line = BK_BUF_INIT};
    struct bk_view v;
    int rc = bk_view_open(cli, 0, &v, err);

    if (rc < 0)
        return rc;
    rc = bk_view_find(cli, &v, cli->args.pos[1], &before, &o.before, err);
    if (rc >= 0)
        rc = bk_view_find(cli, &v, cli->args.pos[2], &after, &o.after, err);
    if (rc >= 0) {
        rc = diff(cli, &v, &o, err);
    }
    bk_buf_free(&o.line);
    bk_view_close(&v);
    return rc;
}
