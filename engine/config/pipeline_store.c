/* A pipeline around a store's address, for the day when the YAML is gone. */
#include "config/pipeline_internal.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

struct address {
    const char *plugin; /* of the sink */
    const char *option; /* that takes the address */
};

static int understand(const char *text, struct address *ret, struct bk_err *err)
{
    const char *scheme_end = strstr(text, "://");
    if (*text == '/' || *text == '.') {
        *ret = (struct address){"local", "path"};
        return 0;
    }
    if (scheme_end)
        return bk_fail(err, BK_E_USAGE, "'%s': no sink is known for '%.*s://'", text,
                       (int)(scheme_end - text), text);
    return bk_fail(err, BK_E_USAGE,
                   "'%s' is not a store's address\nHINT: a directory is written as '/%s' or './%s'",
                   text, text, text);
}

struct first {
    char text[500];
};

static void keep_first(void *arg, const char *file, struct bk_pos at, bool is_error,
                       const char *text)
{
    struct first *first = arg;
    (void)file;
    (void)at;
    if (is_error && !*first->text)
        (void)snprintf(first->text, sizeof(first->text), "%s", text);
}

static int load_sink(struct bk_load *l, const char *text)
{
    struct address a = {0};
    const struct bk_plugin *plugin = NULL;
    int rc = understand(text, &a, l->err);
    if (rc == 0)
        rc = bk_registry_get(l->reg, BK_SINK, a.plugin, &plugin, l->err);
    if (rc < 0)
        return rc;
    /* the map that a file would have: {OPTION: TEXT}; it is only read */
    struct bk_node key = {.type = BK_SCALAR, .text = a.option};
    struct bk_node value = {.type = BK_SCALAR, .text = text, .quoted = true};
    struct bk_node *keys[] = {&key}, *items[] = {&value};
    struct bk_node map = {.type = BK_MAP, .n = 1, .keys = keys, .items = items};
    struct bk_part *part = bk_optmem_alloc(l->p->mem, sizeof(*part));
    if (!part)
        return bk_nomem(l->err);
    l->p->sinks = part;
    l->p->n_sinks = 1;
    part->name = bk_optmem_text(l->p->mem, a.plugin, strlen(a.plugin));
    if (!part->name)
        return bk_nomem(l->err);
    rc = bk_load_part(l, &bk_part_kinds[BK_SINK], plugin, &map, part);
    if (rc == 0 && bk_diags_errors(l->diags)) {
        struct first first = {""};
        bk_diags_each(l->diags, keep_first, &first);
        rc = bk_fail(l->err, BK_E_USAGE, "'%s': %s", text, first.text);
    }
    return rc;
}

int bk_pipeline_from_store(struct bk_registry *reg, const char *address, struct bk_pipeline **ret,
                           struct bk_err *err)
{
    struct bk_diags *diags BK_CLEANUP(bk_diags_drop) = NULL;
    struct bk_load l = {.reg = reg, .err = err};
    int rc = bk_diags_new(address, &diags, err);
    if (rc == 0)
        rc = bk_pipeline_new(address, &l.p, err);
    if (rc < 0)
        return rc;
    l.diags = diags;
    char *dir BK_FREE = bk_path_absolute(".");
    l.p->dir = dir ? bk_optmem_text(l.p->mem, dir, strlen(dir)) : NULL;
    rc = l.p->dir ? load_sink(&l, address) : bk_nomem(err);
    if (rc < 0) {
        bk_pipeline_free(l.p);
        return rc;
    }
    *ret = l.p;
    return 0;
}
