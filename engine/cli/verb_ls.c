/* ls: the components of a backup, or the entries of one, from its listing. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/num.h"
#include "cli/cli.h"
#include "match/gitignore.h"
#include "store/comp.h"

#include <stdio.h>
#include <string.h>

static int ls_components(const struct bk_cli *cli, const struct bk_manifest *m, struct bk_err *err)
{
    json_t *doc, *list;

    if (!cli->args.json) {
        for (size_t i = 0; i < m->n_comps; i++)
            if (m->comps[i].status != BK_STATUS_FAILED)
                printf("%s%s\n", m->comps[i].name, m->comps[i].kind == BAKE_TREE ? "/" : "");
        return BAKE_OK;
    }
    doc = json_object();
    list = json_array();
    for (size_t i = 0; i < m->n_comps; i++) {
        json_t *j = json_object();

        bk_json_set_str(j, "name", m->comps[i].name);
        bk_json_set_str(j, "kind", m->comps[i].kind == BAKE_TREE ? "tree" : "blob");
        bk_json_set_str(j, "status", bk_status_name(m->comps[i].status));
        bk_json_set_u64(j, "bytes", m->comps[i].bytes_in);
        json_array_append_new(list, j);
    }
    json_object_set_new(doc, "components", list);
    return bk_cli_json(doc, err);
}

static const char *type_name(uint32_t type)
{
    static const char *const names[] = {"?",    "file", "dir",   "symlink",
                                        "file", "char", "block", "fifo"};

    return type < BK_LEN(names) ? names[type] : "?";
}

static json_t *entry_json(const struct bake_entry *e)
{
    json_t *j = json_object();

    bk_json_set_str(j, "path", e->path);
    bk_json_set_str(j, "type", type_name(e->type));
    if (e->type == BAKE_FILE)
        bk_json_set_u64(j, "size", e->size);
    bk_json_set_u64(j, "mode", e->mode);
    bk_json_set_u64(j, "uid", e->uid);
    bk_json_set_u64(j, "gid", e->gid);
    bk_json_set_str(j, "user", e->user);
    bk_json_set_str(j, "group", e->group);
    if (e->valid & BAKE_HAS_MTIME)
        bk_json_set_time(j, "mtime", e->mtime_ns);
    bk_json_set_str(j, "link", e->link);
    return j;
}

static void print_entry(const struct bake_entry *e)
{
    static const char letters[] = "?-dl-cbp";
    static const char bits[] = "rwxrwxrwx";
    char mode[11], time[BK_TIME_CAP] = "", path[4200], link[4200] = "";

    mode[0] = e->type < sizeof(letters) - 1 ? letters[e->type] : '?';
    for (int i = 0; i < 9; i++)
        mode[i + 1] = e->mode & (0400u >> i) ? bits[i] : '-';
    if (e->mode & 04000)
        mode[3] = mode[3] == 'x' ? 's' : 'S';
    if (e->mode & 02000)
        mode[6] = mode[6] == 'x' ? 's' : 'S';
    if (e->mode & 01000)
        mode[9] = mode[9] == 'x' ? 't' : 'T';
    mode[10] = '\0';
    if (e->valid & BAKE_HAS_MTIME)
        bk_format_time(time, e->mtime_ns / 1000000000 * 1000000000);
    if (e->link)
        bk_printable(link, sizeof(link), e->link, strlen(e->link));
    printf("%s %-8s %-8s %10llu %s %s%s%s\n", mode, e->user ? e->user : "?",
           e->group ? e->group : "?", (unsigned long long)(e->type == BAKE_FILE ? e->size : 0),
           time, bk_printable(path, sizeof(path), e->path, strlen(e->path)), *link ? " -> " : "",
           link);
}

static int each_entry(const struct bk_cli *cli, struct bk_compr *r, json_t *list,
                      struct bk_err *err)
{
    const char *glob = cli->args.pos[3];
    uint64_t shown = 0;

    for (;;) {
        struct bake_entry e;
        int rc = bk_compr_next(r, &e, err);

        if (rc < 0)
            return rc;
        if (rc == BAKE_END)
            break;
        if (glob && !bkc_glob_beneath(glob + strspn(glob, "/"), e.path))
            continue;
        shown++;
        if (list)
            json_array_append_new(list, entry_json(&e));
        else
            print_entry(&e);
    }
    if (glob && shown == 0)
        return bk_fail(err, BK_E_NOSTORE, "there is no '%s' in component '%s'", glob,
                       cli->args.pos[2]);
    return bk_compr_finish(r, err);
}

static int ls_entries(struct bk_cli *cli, struct bk_view *v, const struct bk_manifest *m,
                      const struct bk_mcomp *c, struct bk_err *err)
{
    json_t *list = cli->args.json ? json_array() : NULL, *doc;
    struct bk_compr *r;
    int rc;

    rc = bk_compr_open(v->session.store, bk_store_base(v->session.store), m, c, BK_COMPR_LIST,
                       cli->cancel, &r, err);
    if (rc >= 0) {
        rc = each_entry(cli, r, list, err);
        bk_compr_free(r);
    }
    if (rc < 0 || !list) {
        json_decref(list);
        return rc;
    }
    doc = json_object();
    json_object_set_new(doc, "entries", list);
    return bk_cli_json(doc, err);
}

int bk_verb_ls(struct bk_cli *cli, struct bk_err *err)
{
    const struct bk_backup *b;
    const struct bk_manifest *m;
    const struct bk_mcomp *c = NULL;
    struct bk_view v;
    int rc = bk_view_open(cli, 0, &v, err);

    if (rc < 0)
        return rc;
    rc = bk_view_find(cli, &v, cli->args.pos[1], &b, &m, err);
    if (rc >= 0 && cli->args.n_pos > 2) {
        rc = bk_view_component(m, cli->args.pos[2], &c, err);
        if (rc >= 0 && c->kind != BAKE_TREE)
            rc = bk_fail(err, BK_E_USAGE, "component '%s' is one stream: there is nothing to list",
                         c->name);
        if (rc >= 0)
            rc = ls_entries(cli, &v, m, c, err);
    } else if (rc >= 0) {
        rc = ls_components(cli, m, err);
    }
    bk_view_close(&v);
    return rc;
}
