/* The extractor's face: order of calls, checks of paths, and one way for each type of entry. */
#include "tree/extract.h"

#include "tree/impl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int bkc_path_check(struct bkc_extract *x, const char *path, const char *what)
{
    const char *p = path;

    if (!path || !*path)
        return bake_fail(x->ctx, BAKE_E_CORRUPT, "refused an entry: its %s is empty", what);
    if (*path == '/')
        return bake_fail(x->ctx, BAKE_E_CORRUPT, "refused '%s': its %s is absolute",
                         bkc_show(x, path), what);
    for (;;) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return bake_fail(x->ctx, BAKE_E_CORRUPT, "refused '%s': its %s has a part '%.*s'",
                             bkc_show(x, path), what, (int)n, p);
        if (!p[n])
            return BAKE_OK;
        p += n + 1;
    }
}

static int check(struct bkc_extract *x, const struct bake_entry *e)
{
    const char *p = e->xattrs, *name;
    size_t left = e->valid & BAKE_HAS_XATTRS && p ? e->xattrs_size : 0;
    const void *value;
    uint32_t n;
    int more, rc = BAKE_OK;

    if (!e->path || strcmp(e->path, ".") != 0 || e->type != BAKE_DIR)
        rc = bkc_path_check(x, e->path, "path");
    if (rc == BAKE_OK && e->type == BAKE_HARDLINK)
        rc = bkc_path_check(x, e->link, "link");
    if (rc == BAKE_OK && e->type == BAKE_SYMLINK && (!e->link || !*e->link))
        rc = bake_fail(x->ctx, BAKE_E_CORRUPT, "refused '%s': a symbolic link to nothing",
                       bkc_show(x, e->path));
    if (rc < 0)
        return rc;
    do {
        more = bkc_xattr_next(&p, &left, &name, &value, &n);
    } while (more > 0);
    if (more < 0)
        return bake_fail(x->ctx, BAKE_E_CORRUPT, "refused '%s': its attributes are broken",
                         bkc_show(x, e->path));
    return BAKE_OK;
}

/* Keeps the path, as the caller's may be gone before the end, and goes to its directory. */
static int go(struct bkc_extract *x, const char *path)
{
    size_t n = strlen(path);
    char *slash;

    if (bkc_grow((void **)&x->path, &x->cap_path, n + 1) < 0)
        return bkc_nomem(x);
    memcpy(x->path, path, n + 1);
    slash = strrchr(x->path, '/');
    x->name = slash ? slash + 1 : x->path;
    return bkc_dirs_enter(x, x->path, slash ? (size_t)(slash - x->path) : 0);
}

int bkc_extract_put(struct bkc_extract *x, const struct bake_entry *entry)
{
    int rc;

    if (x->cur.type)
        return bake_fail(x->ctx, BAKE_E_INTERNAL, "the entry before was not ended");
    rc = check(x, entry);
    if (rc == BAKE_OK)
        rc = go(x, entry->path);
    if (rc < 0)
        return rc;
    switch (entry->type) {
    case BAKE_FILE:
        rc = bkc_file_put(x, entry);
        break;
    case BAKE_DIR:
        rc = bkc_dirs_put(x, entry);
        break;
    case BAKE_SYMLINK:
    case BAKE_HARDLINK:
    case BAKE_CHARDEV:
    case BAKE_BLOCKDEV:
    case BAKE_FIFO:
        rc = bkc_node_put(x, entry);
        break;
    default:
        rc = bake_fail(x->ctx, BAKE_E_UNSUPPORTED, "refused '%s': its type %u is not known",
                       bkc_show(x, entry->path), (unsigned)entry->type);
    }
    if (rc == BAKE_OK)
        x->cur.type = entry->type;
    return rc;
}

int bkc_extract_end(struct bkc_extract *x, int good)
{
    uint32_t type = x->cur.type;
    int rc = BAKE_OK;

    x->cur.type = 0;
    if (type == BAKE_FILE) {
        if (good)
            rc = bkc_file_end(x);
        bkc_file_drop(x); /* does nothing to one that is in its place */
    } else if (type && type != BAKE_DIR && !good) {
        (void)unlinkat(bkc_here(x)->fd, x->name, 0);
    }
    return rc;
}

int bkc_extract_finish(struct bkc_extract *x)
{
    int rc = bkc_dirs_finish(x);

    bkc_once_end(x);
    return rc;
}

void bkc_extract_counts(const struct bkc_extract *x, struct bkc_extract_counts *ret)
{
    *ret = x->counts;
}

int bkc_extract_open(struct bake_ctx *ctx, const struct bkc_extract_opts *opts,
                     struct bkc_extract **ret)
{
    struct bkc_extract *x = calloc(1, sizeof(*x));
    int rc;

    if (!x)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    x->ctx = ctx;
    x->force = opts->force;
    x->parent_mode = opts->parent_mode & 07777;
    x->euid = geteuid();
    x->cur.fd = -1;
    x->ids = bkc_ids_new();
    if (getrandom(&x->random, sizeof(x->random), GRND_NONBLOCK) < 0)
        x->random = (uint64_t)(uintptr_t)x ^ (uint64_t)getpid() << 32; /* O_EXCL guards anyway */
    rc = x->ids ? bkc_dirs_open(x, opts->root) : bkc_nomem(x);
    if (rc < 0) {
        bkc_extract_close(x);
        return rc;
    }
    *ret = x;
    return BAKE_OK;
}

void bkc_extract_close(struct bkc_extract *x)
{
    if (!x)
        return;
    bkc_file_drop(x);
    bkc_dirs_close(x);
    for (size_t i = 0; i < x->n_once; i++)
        free(x->once[i].what);
    free(x->once);
    bkc_ids_free(x->ids);
    free(x->cur.extents);
    free(x->xattrs);
    free(x->path);
    free(x);
}
