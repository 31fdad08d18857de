/* Loads a pipeline file. */
#include "config/pipeline_internal.h"

#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"

#include <string.h>
#include <unistd.h>

#define MAX_PARALLEL 64

int bk_pipeline_new(const char *file, struct bk_pipeline **ret, struct bk_err *err)
{
    struct bk_pipeline *p = calloc(1, sizeof(*p));
    if (!p)
        return bk_nomem(err);
    p->require = BK_REQUIRE_ANY; /* one copy is a backup; the other sinks fail with exit 3 */
    p->retention = (struct bk_retention){-1, -1, -1, -1, -1, -1, -1};
    p->parallel = sysconf(_SC_NPROCESSORS_ONLN);
    p->parallel = p->parallel < 1 ? 1 : p->parallel > MAX_PARALLEL ? MAX_PARALLEL : p->parallel;
    p->parallel_groups = 1;
    p->shown = json_object();
    int rc = bk_optmem_new(&p->mem, err);
    if (rc == 0)
        rc = bk_env_new(&p->env, err);
    if (rc == 0 && p->shown)
        p->file = bk_optmem_text(p->mem, file, strlen(file));
    if (rc == 0 && !p->file)
        rc = bk_nomem(err);
    if (rc < 0) {
        bk_pipeline_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}

static void free_parts(struct bk_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(parts[i].shown);
}

void bk_pipeline_free(struct bk_pipeline *p)
{
    if (!p)
        return;
    free_parts(p->sources, p->n_sources);
    free_parts(p->transforms, p->n_transforms);
    free_parts(p->sinks, p->n_sinks);
    json_decref(p->shown);
    bk_strv_free(&p->set);
    bk_env_free(p->env);
    bk_optmem_free(p->mem);
    free(p);
}

int bk_load_show(struct bk_load *l, const char *key, json_t *value)
{
    return json_object_set_new(l->p->shown, key, value) < 0 ? bk_nomem(l->err) : 0;
}

const struct bk_node *bk_load_get(struct bk_load *l, const char *key, enum bk_node_type type)
{
    char shown[BK_QUOTE_CAP];
    const char *wanted = type == BK_MAP ? "a map of options" : "a list";
    const struct bk_node *node = bk_map_get(l->root, key, NULL);
    if (!node || node->type == type || node->bad)
        return node && !node->bad ? node : NULL;
    if (bk_node_is_null(node))
        bk_diag_error(l->diags, node->at, "'%s' has no value; give one or leave the key out", key);
    else if (node->type == BK_SCALAR)
        bk_diag_error(l->diags, node->at, "'%s' must be %s, got '%s'", key, wanted,
                      bk_quote(shown, node->text));
    else
        bk_diag_error(l->diags, node->at, "'%s' must be %s, got %s", key, wanted,
                      bk_node_kind(node));
    return NULL;
}

/* ---- ${...} -----------------------------------------------------------------------------------
 */

/* Loads the env_file. *ret_lost: it could not be, so that nobody knows which names it sets. */
static int load_env(struct bk_load *l, bool *ret_lost)
{
    static const char *const only[] = {"env_file", NULL};
    struct bk_err err = {0};
    struct bk_fill how = {.env = l->p->env, .only = only};
    int rc = bk_yaml_fill(l->yaml, l->root, &how, l->diags, l->err);
    const struct bk_node *node = bk_map_get(l->root, "env_file", NULL);
    if (rc < 0 || !node || node->type != BK_SCALAR || bk_node_is_null(node) || !*node->text)
        return rc;
    *ret_lost = node->bad;
    if (node->bad || *node->text == '~')
        return 0;
    char *path BK_FREE = bk_path_join(l->p->dir, node->text);
    if (!path)
        return bk_nomem(l->err);
    rc = bk_env_load(l->p->env, path, &err);
    if (rc == BAKE_E_NOMEM)
        return bk_nomem(l->err);
    if (rc == 0)
        return 0;
    if (rc == BAKE_E_NOTFOUND && (l->flags & BK_LOAD_STORE)) {
        bk_diag_notice(l->diags, node->at, "'env_file': %s; going on without it", err.text);
        return 0;
    }
    *ret_lost = true;
    bk_diag_error(l->diags, node->at, "'env_file': %s%s%s", err.text, *err.hint ? "; " : "",
                  err.hint);
    return 0;
}

static int fill_in(struct bk_load *l)
{
    const char *const store_only[] = {"pipeline", "env_file",
                                      "store",    "transforms",
                                      "sinks",    l->flags & BK_LOAD_REQUIRE ? "require" : NULL,
                                      NULL};
    struct bk_fill how = {.env = l->p->env};
    int rc = load_env(l, &how.quiet_unset);
    if (rc < 0)
        return rc;
    how.only = l->flags & BK_LOAD_STORE ? store_only : NULL;
    return bk_yaml_fill(l->yaml, l->root, &how, l->diags, l->err);
}

/* ---- the top level ----------------------------------------------------------------------------
 */

static bool is_pipeline_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 64 && s[n] == '\0';
}

static int load_top(struct bk_load *l)
{
    char shown[BK_QUOTE_CAP];
    struct bk_top_cfg cfg = {0};
    struct bk_opt_job job = {
        .options = bk_top_options,
        .also = bk_top_also,
        .what = "a pipeline",
        .dir = l->p->dir,
        .partial = (l->flags & BK_LOAD_STORE) != 0,
    };
    struct bake_option name_only[] = {bk_top_options[0], {0}};
    if (job.partial) /* the worst day: of the rest nothing is looked at */
        job.options = name_only;
    int rc = bk_options_apply(&job, l->root, &cfg, l->p->mem, l->diags, l->err);
    if (rc < 0)
        return rc;
    if (cfg.pipeline && !is_pipeline_name(cfg.pipeline))
        bk_diag_error(l->diags, bk_map_get(l->root, "pipeline", NULL)->at,
                      "'pipeline' must be lower-case letters, digits and '-', at most 64 of them, "
                      "got '%s'",
                      bk_quote(shown, cfg.pipeline));
    if (cfg.pipeline) {
        l->p->name = bk_optmem_text(l->p->mem, cfg.pipeline, strlen(cfg.pipeline));
        if (!l->p->name)
            return bk_nomem(l->err);
    }
    if (cfg.parallel)
        l->p->parallel = cfg.parallel;
    if (cfg.parallel_groups)
        l->p->parallel_groups = cfg.parallel_groups;
    json_t *json = bk_options_json(job.options, &cfg, l->root);
    json_decref(l->p->shown);
    l->p->shown = json;
    return json ? 0 : bk_nomem(l->err);
}

static int load_all(struct bk_load *l)
{
    int rc = fill_in(l);
    if (rc == 0)
        rc = load_top(l);
    if (rc == 0 && !(l->flags & BK_LOAD_STORE))
        rc = bk_load_parts(l, BK_SOURCE);
    if (rc == 0)
        rc = bk_load_parts(l, BK_TRANSFORM);
    if (rc == 0)
        rc = bk_load_parts(l, BK_SINK);
    return rc < 0 ? rc : bk_load_sections(l);
}

static int set_dir(struct bk_pipeline *p, struct bk_err *err)
{
    char *dir BK_FREE = bk_path_dir(p->file);
    char *absolute BK_FREE = dir ? bk_path_absolute(dir) : NULL;
    if (absolute)
        p->dir = bk_optmem_text(p->mem, absolute, strlen(absolute));
    return p->dir ? 0 : bk_nomem(err);
}

static int load_file(struct bk_load *l)
{
    int rc = set_dir(l->p, l->err);
    if (rc == 0)
        rc = bk_yaml_load(l->p->file, NULL, l->diags, &l->yaml, l->err);
    if (rc < 0 && rc != BAKE_E_NOMEM)
        return l->err->rc = BAKE_E_CONFIG; /* whatever keeps it from being read: no pipeline */
    if (rc < 0)
        return rc;
    l->root = bk_yaml_root(l->yaml);
    if (l->root && l->root->type != BK_MAP)
        bk_diag_error(l->diags, l->root->at, "a pipeline is a map of keys, got %s",
                      bk_node_kind(l->root));
    else if (l->root)
        rc = load_all(l);
    return rc;
}

static int copy_set(const struct bk_strv *set, struct bk_pipeline *p, struct bk_err *err)
{
    int rc = 0;
    for (size_t i = 0; set && i < set->n && rc == 0; i++) {
        rc = bk_load_set_check(set->items[i], err);
        if (rc == 0 && bk_strv_add(&p->set, set->items[i]) < 0)
            rc = bk_nomem(err);
    }
    return rc;
}

int bk_pipeline_load_set(struct bk_registry *reg, const char *file, unsigned flags,
                         const struct bk_strv *set, struct bk_diags *diags,
                         struct bk_pipeline **ret, struct bk_err *err)
{
    struct bk_load l = {.reg = reg, .flags = flags, .diags = diags, .err = err};
    int rc = bk_pipeline_new(file, &l.p, err);
    if (rc < 0)
        return rc;
    rc = copy_set(set, l.p, err);
    if (rc == 0)
        rc = load_file(&l);
    bk_yaml_free(l.yaml);
    if (rc == 0 && bk_diags_errors(diags)) {
        bk_err_clear(err); /* the diags say it all */
        rc = err->rc = BAKE_E_CONFIG;
    }
    if (rc < 0) {
        bk_pipeline_free(l.p);
        return rc;
    }
    *ret = l.p;
    return 0;
}

int bk_pipeline_load(struct bk_registry *reg, const char *file, unsigned flags,
                     struct bk_diags *diags, struct bk_pipeline **ret, struct bk_err *err)
{
    return bk_pipeline_load_set(reg, file, flags, NULL, diags, ret, err);
}
