/* The reader: a walk over what the source's paths name. */
#include "files.h"

#include "roots.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int report_missing(void *arg, const struct bake_path *path, const char *at, int error)
{
    struct bake_ctx *ctx = arg;
    bool is_glob = strcmp(at, path->path) == 0 && strpbrk(at, "*?[");
    if (strcmp(at, path->path) != 0)
        files_report(ctx, BAKE_PARTIAL, at + strspn(at, "/"),
                     "this directory cannot be searched for '%s': %s", path->path, strerror(error));
    else if (error != ENOENT && error != ENOTDIR)
        files_report(ctx, BAKE_PARTIAL, at + 1, "cannot be read: %s", strerror(error));
    else
        files_report(ctx, path->optional ? BAKE_NOTICE : BAKE_PARTIAL, at + 1, "%s",
                     is_glob ? "matches nothing" : "is not there");
    return 0;
}

int files_reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                      void **ret_reader)
{
    const struct files_source *s = self;
    struct files_roots roots = {0};
    struct bkc_walk *w = NULL;
    (void)c; /* there is but one */
    if (files_roots_expand(s->cfg->paths, report_missing, ctx, &roots) != 0)
        return files_nomem(ctx);
    const struct bkc_walk_opts opts = {
        .at = AT_FDCWD,
        .roots = roots.items,
        .n_roots = roots.n,
        .ignore = s->ignore,
        .exclude_if_present = s->cfg->exclude_if_present,
        .exclude_caches = s->cfg->exclude_caches,
        .one_file_system = s->cfg->one_file_system,
        .limits = s->limits,
    };
    int rc = bkc_walk_open(ctx, &opts, &w);
    files_roots_free(&roots);
    *ret_reader = w;
    return rc;
}

int files_next(void *reader, struct bake_entry *ret) { return bkc_walk_next(reader, ret); }

int files_open_entry(void *reader, struct bake_entry *entry)
{
    return bkc_walk_open_entry(reader, entry);
}

int files_read(void *reader, struct bake_out *out) { return bkc_walk_read(reader, out); }

int files_finish(void *reader, struct bake_result *ret)
{
    (void)reader; /* whatever is missing was reported where it was met */
    (void)ret;
    return BAKE_OK;
}

void files_reader_close(void *reader) { bkc_walk_close(reader); }
