/* What a dry run says: what would be read, where it would go, and how much memory it may take. */
#include "run/backup.h"

#include "base/cleanup.h"
#include "store/comp.h"

#include <string.h>

/* The program itself, its libraries, plans and manifests. */
#define BASE_BYTES (16u << 20)
/* A source's reader: names of a directory in memory before they are spilled, hard links, buffers;
 * and the lane's own buffer. */
#define READER_BYTES (12u << 20)

static uint64_t per_component(const struct bk_session *s)
{
    return READER_BYTES + bk_comp_memory(s->store, BAKE_TREE);
}

uint64_t bk_run_budget(const struct bk_session *s, size_t n_components)
{
    size_t lanes = (size_t)s->pipeline->parallel;

    if (lanes > n_components)
        lanes = n_components;
    return BASE_BYTES + bk_backup_memory(s->store) + lanes * per_component(s);
}

static void add_parts(json_t *e, const char *key, const struct bk_part *parts, size_t n)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *j = parts[i].shown ? json_copy(parts[i].shown) : json_object();

        bk_json_set_str(j, "name", parts[i].name);
        bk_json_set_str(j, "plugin", parts[i].plugin->desc.name);
        json_array_append_new(a, j);
    }
    json_object_set_new(e, key, a);
}

/* A tree's size is only known by walking it: metadata, no data. */
static int measure(struct bk_session *s, struct bk_planned *item, uint64_t *ret_bytes,
                   uint64_t *ret_entries, struct bk_err *err)
{
    const struct bake_source_ops *ops = item->source->ops;
    struct bk_ctx ctx;
    void *reader;
    int rc;

    *ret_bytes = item->component.size_hint;
    *ret_entries = 0;
    if (item->component.kind != BAKE_TREE)
        return BAKE_OK;
    *ret_bytes = 0;
    bk_ctx_init(&ctx, s->cancel, "source '%s'", item->source->part->name);
    rc = ops->reader_open(item->source->self, &ctx.base, &item->component, &reader);
    if (rc < 0)
        return bk_ctx_fail(&ctx, rc, err);
    for (;;) {
        struct bake_entry e = {0};

        e.struct_size = sizeof(e);
        rc = ops->next(reader, &e);
        if (rc != BAKE_OK)
            break;
        ++*ret_entries;
        *ret_bytes += e.type == BAKE_FILE ? e.size : 0;
    }
    ops->reader_close(reader);
    return rc < 0 ? bk_ctx_fail(&ctx, rc, err) : BAKE_OK;
}

static int add_component(struct bk_session *s, struct bk_planned *item, json_t *list,
                         struct bk_err *err)
{
    json_t *j = json_object();
    struct bk_err why = {0};
    uint64_t bytes, entries;
    int rc = measure(s, item, &bytes, &entries, &why);

    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        json_decref(j);
        if (err)
            *err = why;
        return rc;
    }
    bk_json_set_str(j, "name", item->name);
    bk_json_set_str(j, "source", item->source->part->name);
    bk_json_set_str(j, "group", item->group);
    bk_json_set_str(j, "kind", item->component.kind == BAKE_TREE ? "tree" : "blob");
    bk_json_set_str(j, "object", item->object);
    bk_json_set_u64(j, "bytes", bytes);
    if (item->component.kind == BAKE_TREE)
        bk_json_set_u64(j, "entries", entries);
    if (rc < 0)
        bk_json_set_str(j, "error", why.text);
    json_array_append_new(list, j);
    return BAKE_OK;
}

int bk_run_plan_event(struct bk_session *s, const struct bk_plan *plan, struct bk_err *err)
{
    json_t *e = bk_event("plan"), *list = json_array(), *groups;
    int rc = BAKE_OK;

    bk_json_set_str(e, "pipeline", s->pipeline->name);
    bk_json_set_str(e, "format", bk_format_name(s->pipeline->format));
    json_object_set_new(e, "components", list);
    for (size_t i = 0; i < plan->n_items && rc >= 0; i++)
        rc = add_component(s, &plan->items[i], list, err);
    if (rc >= 0)
        rc = bk_run_plan_groups(s, plan, &groups, err);
    if (rc < 0) {
        json_decref(e);
        return rc;
    }
    json_object_set_new(e, "groups", groups);
    add_parts(e, "transforms", s->pipeline->transforms, s->pipeline->n_transforms);
    add_parts(e, "sinks", s->pipeline->sinks, s->pipeline->n_sinks);
    bk_json_set_u64(e, "parallel", (uint64_t)s->pipeline->parallel);
    bk_json_set_u64(e, "memory_budget", bk_run_budget(s, plan->n_items));
    bk_json_set_u64(e, "failed_sources", plan->n_failed);
    bk_event_send(s->reporter, e);
    if (plan->n_failed > 0)
        return bk_fail(err, BK_E_PARTIAL, "%zu source%s failed; the rest could be backed up",
                       plan->n_failed, plan->n_failed == 1 ? "" : "s");
    if (plan->n_lacking > 0)
        return bk_fail(err, BK_E_PARTIAL,
                       "something would be left out, as named above; the rest could be backed up");
    return BAKE_OK;
}
