/* sink-flat: every object is a file in one directory; the slashes of its name are written as %2F.
 * A small example of a sink; read docs/plugin-api.md with it. */
#include "flat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct bake_option options[] = {
    {.key = "path",
     .type = BAKE_T_PATH,
     .flags = BAKE_OPT_REQUIRED,
     .offset = BAKE_MEMBER(struct flat_config, path, const char *),
     .help = "The directory for the objects; made if its parent exists."},
    {.key = NULL},
};

static void flat_close(void *self)
{
    struct flat *f = self;
    if (f->dir >= 0)
        (void)close(f->dir);
    free(f->path);
    free(f);
}

static int flat_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    const struct flat_config *c = cfg;
    struct flat *f = calloc(1, sizeof(*f));
    if (!f || !(f->path = strdup(c->path))) {
        free(f);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    f->dir = -1;
    if (mkdir(f->path, 0750) == 0 || errno == EEXIST)
        f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir < 0) {
        int rc = bake_fail(ctx, BAKE_E_CONFIG,
                           "cannot open the directory '%s': %s\n"
                           "HINT: 'path' must name a directory, or one that can be made",
                           f->path, strerror(errno));
        flat_close(f);
        return rc;
    }
    *ret_self = f;
    return BAKE_OK;
}

/* An upper bound in bytes for one put or get: the struct, and what the C library needs. */
static uint64_t flat_memory(const void *cfg, int dir)
{
    (void)cfg;
    (void)dir;
    return 4096;
}

static const struct bake_sink_ops ops = {
    .struct_size = sizeof(ops),
    .open = flat_open,
    .memory = flat_memory,
    .put_begin = flat_put_begin,
    .put_write = flat_put_write,
    .put_end = flat_put_end,
    .put_abort = flat_put_abort,
    .get_begin = flat_get_begin,
    .get_read = flat_get_read,
    .get_close = flat_get_close,
    .list = flat_list,
    .stat = flat_stat,
    .remove = flat_remove,
    .space = flat_space,
    .sweep = flat_sweep,
    .close = flat_close,
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,   .name = "flat",
    .version = "1.0",   .summary = "stores objects as files of one directory, without folders",
    .options = options, .config_size = sizeof(struct flat_config),
    .sink = &ops,
};

BAKE_PLUGIN(plugin)
