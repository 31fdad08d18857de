/* What a container's labels ask for. Labels are written by whoever runs the container: none is
 * trusted, and each that makes no sense is named. */
#include "discover.h"

#include <stdlib.h>
#include <string.h>

#define VOLUME_PATH "backup.volume-path."

void dk_wish_release(struct dk_wish *w)
{
    for (size_t i = 0; i < w->n_paths; i++) {
        free(w->paths[i].label);
        free(w->paths[i].name);
        free(w->paths[i].path);
    }
    free(w->paths);
    free(w->db_service);
    memset(w, 0, sizeof(*w));
}

/* 1: yes, 0: no, -1: it makes no sense. */
static int truth(const char *value)
{
    if (strcasecmp(value, "true") == 0)
        return 1;
    return strcasecmp(value, "false") == 0 || *value == '\0' ? 0 : -1;
}

static bool asks(struct bake_ctx *ctx, const struct dk_container *c, const char *label, bool quiet)
{
    const char *value = dk_label(c, label);
    int is = value ? truth(value) : 0;
    if (is < 0 && !quiet)
        bake_report(ctx, BAKE_PARTIAL, c->name,
                    "label '%s' is neither \"true\" nor \"false\" but '%s': taken as false", label,
                    value);
    return is > 0;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool dk_labels_enabled(struct bake_ctx *ctx, const struct dk_container *c, bool quiet)
{
    bool enabled = asks(ctx, c, "backup.enable", quiet);
    if (!enabled && !quiet && !dk_label(c, "backup.enable") &&
        (dk_label(c, "backup.volumes") || dk_label(c, "backup.db.service")))
        bake_report(ctx, BAKE_WARNING, c->name,
                    "has old backup labels but not 'backup.enable=true': nothing of it is backed "
                    "up");
    return enabled;
}

enum dk_consistency dk_labels_consistency(struct bake_ctx *ctx, const struct dk_config *cfg,
                                          const struct dk_container *c, bool quiet)
{
    const char *value = dk_label(c, "backup.consistency");
    if (!value)
        return (enum dk_consistency)cfg->consistency;
    if (strcmp(value, "stop") == 0)
        return DK_STOP;
    if (strcmp(value, "pause") == 0)
        return DK_PAUSE;
    if (strcmp(value, "none") == 0)
        return DK_NONE;
    if (!quiet)
        bake_report(ctx, BAKE_WARNING, c->name,
                    "label 'backup.consistency' is none of stop, pause and none but '%s': the "
                    "pipeline's option decides",
                    value);
    return (enum dk_consistency)cfg->consistency;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static bool name_taken(const struct dk_wish *w, const char *name)
{
    for (size_t i = 0; i < w->n_paths; i++)
        if (strcmp(w->paths[i].name, name) == 0)
            return true;
    return false;
}

/* Takes path. */
static int push_path(struct bake_ctx *ctx, struct dk_wish *w, const char *label, const char *name,
                     char *path)
{
    struct dk_wished_path *more = realloc(w->paths, (w->n_paths + 1) * sizeof(*more));
    struct dk_wished_path to = {strdup(label), dk_safe_name(name), path};
    if (more)
        w->paths = more;
    if (!more || !to.label || !to.name) {
        free(to.label);
        free(to.name);
        free(path);
        return dk_nomem(ctx);
    }
    w->paths[w->n_paths++] = to;
    return BAKE_OK;
}

/* Does the pipeline let this path be backed up? */
static bool path_wanted(struct bake_ctx *ctx, const struct dk_config *cfg,
                        const struct dk_container *c, const char *label, const char *path,
                        bool quiet)
{
    const char *why = NULL;
    if (dk_globs_match(cfg->exclude_paths, path))
        why = "is left out by 'exclude_paths'";
    else if (cfg->paths && cfg->paths[0] && !dk_globs_match(cfg->paths, path))
        why = "is not among 'paths'";
    if (why && !quiet)
        bake_report(ctx, BAKE_NOTICE, c->name, "label '%s': '%s' %s", label, path, why);
    return !why;
}

/* *ret NULL: not to be backed up, which was said. */
static int take_path(struct bake_ctx *ctx, const struct dk_config *cfg,
                     const struct dk_container *c, const char *label, const char *value, bool quiet,
                     char **ret)
{
    const char *why = dk_path_normal(value, ret);
    if (!why && !*ret)
        return dk_nomem(ctx);
    if (why && !quiet)
        bake_report(ctx, BAKE_PARTIAL, c->name, "label '%s': the path '%s' %s, it is not backed up",
                    label, value, why);
    if (!why && !path_wanted(ctx, cfg, c, label, *ret, quiet)) {
        free(*ret);
        *ret = NULL;
    }
    return BAKE_OK;
}

static int add_volume_path(struct bake_ctx *ctx, const struct dk_config *cfg,
                           const struct dk_container *c, const char *label, bool quiet,
                           struct dk_wish *w)
{
    const char *name = label + sizeof(VOLUME_PATH) - 1;
    char *path = NULL;
    if (*name == '\0') {
        if (!quiet)
            bake_report(ctx, BAKE_PARTIAL, c->name,
                        "label '%s' lacks a name after its last '.', it is not backed up", label);
        return BAKE_OK;
    }
    int rc = take_path(ctx, cfg, c, label, dk_label(c, label), quiet, &path);
    return rc == BAKE_OK && path ? push_path(ctx, w, label, name, path) : rc;
}

/* ---- the old labels -------------------------------------------------------------------------- */

/* "/var/www/data" -> "data", or "data-2" where that is taken. */
static int add_old_path(struct bake_ctx *ctx, struct dk_wish *w, char *path)
{
    char *base = dk_safe_name(strrchr(path, '/') + 1), *name = base ? strdup(base) : NULL;
    for (int i = 2; name && name_taken(w, name); i++) {
        free(name);
        name = dk_strf("%s-%d", base, i);
    }
    free(base);
    if (!name) {
        free(path);
        return dk_nomem(ctx);
    }
    int rc = push_path(ctx, w, "backup.volumes", name, path);
    free(name);
    return rc;
}

static int read_old_volumes(struct bake_ctx *ctx, const struct dk_config *cfg,
                            const struct dk_container *c, bool quiet, struct dk_wish *w)
{
    const char *value = dk_label(c, "backup.volumes");
    int rc = BAKE_OK;
    if (!value)
        return BAKE_OK;
    if (!quiet)
        bake_report(ctx, BAKE_NOTICE, c->name,
                    "label 'backup.volumes' is old: write backup.volume-path.<name>=<path> for "
                    "each path");
    for (const char *p = value; rc == BAKE_OK;) {
        size_t n = strcspn(p, "|");
        char *one = strndup(p, n), *path = NULL;
        if (!one)
            return dk_nomem(ctx);
        if (n > 0 || value[0] == '\0')
            rc = take_path(ctx, cfg, c, "backup.volumes", one, quiet, &path);
        free(one);
        if (rc == BAKE_OK && path)
            rc = add_old_path(ctx, w, path);
        if (p[n] == '\0')
            break;
        p += n + 1;
    }
    return rc;
}

static int read_old_database(struct bake_ctx *ctx, const struct dk_container *c, bool quiet,
                             struct dk_wish *w)
{
    const char *value = dk_label(c, "backup.db.service");
    if (!value || *value == '\0')
        return BAKE_OK;
    if (!quiet)
        bake_report(ctx, BAKE_NOTICE, c->name,
                    "label 'backup.db.service' is old: write backup.database.pg_dumpall=true or "
                    "backup.database.mariadb-dump=true on the service '%s'",
                    value);
    w->db_service = strdup(value);
    return w->db_service ? BAKE_OK : dk_nomem(ctx);
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* A misspelt label must not pass in silence; other programs may have some of that prefix, too. */
static void name_unknown(struct bake_ctx *ctx, const struct dk_container *c, const char *label)
{
    static const char *const known[] = {"backup.enable",
                                        "backup.consistency",
                                        "backup.database.pg_dumpall",
                                        "backup.database.mariadb-dump",
                                        "backup.volumes",
                                        "backup.db.service",
                                        NULL};
    for (const char *const *k = known; *k; k++)
        if (strcmp(label, *k) == 0)
            return;
    if (!starts(label, VOLUME_PATH))
        bake_report(ctx,
                    starts(label, "backup.volume") || starts(label, "backup.database") ||
                            starts(label, "backup.db")
                        ? BAKE_WARNING
                        : BAKE_NOTICE,
                    c->name, "label '%s' is not known here, nothing is done for it", label);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* The labels in order, NULL-ended. */
static const char **labels_of(const struct dk_container *c)
{
    json_t *labels = json_object_get(json_object_get(c->inspect, "Config"), "Labels");
    const char **list = calloc(json_object_size(labels) + 1, sizeof(*list));
    size_t n = 0;
    if (!list)
        return NULL;
    for (void *i = json_object_iter(labels); i; i = json_object_iter_next(labels, i))
        if (json_is_string(json_object_iter_value(i)))
            list[n++] = json_object_iter_key(i);
    qsort(list, n, sizeof(*list), by_text);
    return list;
}

int dk_labels_read(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_container *c,
                   bool quiet, struct dk_wish *ret)
{
    const char **labels = labels_of(c);
    struct dk_wish w = {0};
    int rc = labels ? BAKE_OK : dk_nomem(ctx);
    for (size_t i = 0; rc == BAKE_OK && labels[i]; i++) {
        if (starts(labels[i], VOLUME_PATH))
            rc = add_volume_path(ctx, cfg, c, labels[i], quiet, &w);
        else if (starts(labels[i], "backup.") && !quiet)
            name_unknown(ctx, c, labels[i]);
    }
    free(labels);
    if (rc == BAKE_OK)
        rc = read_old_volumes(ctx, cfg, c, quiet, &w);
    if (rc == BAKE_OK)
        rc = read_old_database(ctx, c, quiet, &w);
    if (rc != BAKE_OK) {
        dk_wish_release(&w);
        return rc;
    }
    w.pg = asks(ctx, c, "backup.database.pg_dumpall", quiet);
    w.maria = asks(ctx, c, "backup.database.mariadb-dump", quiet);
    *ret = w;
    return BAKE_OK;
}
