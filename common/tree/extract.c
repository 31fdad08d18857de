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
        return bake_fail(x->say.ctx, BAKE_E_CORRUPT, "refused an entry: its %s is empty", what);
    if (*path == '/')
        return bake_fail(x->say.ctx, BAKE_E_CORRUPT, "refused '%s': its %s is absolute",
                         bkc_show(&x->say, path), what);
    for (;;) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return bake_fail(x->say.ctx, BAKE_E_CORRUPT, "refused '%s': its %s has a part '%.*s'",
                             bkc_show(&x->say, path), what, (int)n, p);
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
        rc = bake_fail(x->say.ctx, BAKE_E_CORRUPT, "refused '%s': a symbolic link to nothing",
                       bkc_show(&x->say, e->path));
    if (rc < 0)
        return rc;
    do {
        more = bkc_xattr_next(&p, &left, &name, &value, &n);
    } while (more > 0);
    if (more < 0)
        return bake_fail(x->say.ctx, BAKE_E_CORRUPT, "refused '%s': its attributes are broken",
                         bkc_show(&x->say, e->path));
    return BAKE_OK;
}

/* Keeps the path, as the caller's may be gone before the end, and goes to its directory. */
static int go(struct bkc_extract *x, const char *path)
{
    size_t n = strlen(path);
    char *slash;

    if (bkc_grow((void **)&x->path, &x->cap_path, n + 1) < 0)
        return bkc_nomem(&x->say);
    memcpy(x->path, path, n + 1);
    slash = strrchr(x->path, '/');
    x->name = slash ? slash + 1 : x->path;
    return bkc_dirs_enter(x, x->path, slash ? (size_t)(slash - x->path) : 0);
}

/* Checks the entry and goes to its directory. */
static int arrive(struct bkc_extract *x, const struct bake_entry *e)
{
    int rc;

    if (x->type)
        return bake_fail(x->say.ctx, BAKE_E_INTERNAL, "the entry before was not ended");
    bkc_left_settle(x, false);
    rc = check(x, e);
    return rc == BAKE_OK ? go(x, e->path) : rc;
}

int bkc_extract_file(struct bkc_extract *x, const struct bake_entry *entry, struct bkc_file **ret)
{
    int rc = arrive(x, entry);

    return rc == BAKE_OK ? bkc_file_new(x, entry, ret) : rc;
}

static int put_file(struct bkc_extract *x, const struct bake_entry *e)
{
    int rc = bkc_file_new(x, e, &x->file);

    if (rc == BAKE_OK)
        rc = bkc_file_begin(x->file, x->say.ctx);
    if (rc != BAKE_OK) {
        bkc_file_free(x->file);
        x->file = NULL;
    }
    return rc;
}

int bkc_extract_put(struct bkc_extract *x, const struct bake_entry *entry)
{
    int rc = arrive(x, entry);

    if (rc < 0)
        return rc;
    switch (entry->type) {
    case BAKE_FILE:
        rc = put_file(x, entry);
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
        rc = bake_fail(x->say.ctx, BAKE_E_UNSUPPORTED, "refused '%s': its type %u is not known",
                       bkc_show(&x->say, entry->path), (unsigned)entry->type);
    }
    if (rc == BAKE_OK)
        x->type = entry->type;
    return rc;
}

int bkc_extract_write(struct bkc_extract *x, struct bake_in *in)
{
    if (x->file)
        return bkc_file_write(x->file, in);
    if (in->pos < in->size)
        return bake_fail(x->say.ctx, BAKE_E_INTERNAL, "data were written where no file is open");
    return BAKE_OK;
}

int bkc_extract_end(struct bkc_extract *x, int good)
{
    uint32_t type = x->type;
    int rc = BAKE_OK;

    x->type = 0;
    if (type == BAKE_FILE) {
        rc = bkc_file_end(x->file, good);
        bkc_file_free(x->file);
        x->file = NULL;
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

void bkc_extract_counts(struct bkc_extract *x, struct bkc_extract_counts *ret)
{
    (void)pthread_mutex_lock(&x->lock);
    *ret = x->counts;
    (void)pthread_mutex_unlock(&x->lock);
}

int bkc_extract_open(struct bake_ctx *ctx, const struct bkc_extract_opts *opts,
                     struct bkc_extract **ret)
{
    struct bkc_extract *x = calloc(1, sizeof(*x));
    uint64_t seed;
    int rc;

    if (!x)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    x->say.ctx = ctx;
    x->force = opts->force;
    x->parent_mode = opts->parent_mode & 07777;
    x->euid = geteuid();
    (void)pthread_mutex_init(&x->lock, NULL);
    (void)pthread_cond_init(&x->landed, NULL);
    x->knows_umask = bkc_umask(&x->umask);
    x->ids = bkc_ids_new();
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
        seed = (uint64_t)(uintptr_t)x ^ (uint64_t)getpid() << 32; /* O_EXCL guards anyway */
    atomic_store(&x->random, seed);
    rc = x->ids ? bkc_dirs_open(x, opts->root) : bkc_nomem(&x->say);
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
    bkc_file_free(x->file);
    bkc_dirs_close(x);
    bkc_once_free(x);
    bkc_ids_free(x->ids);
    (void)pthread_cond_destroy(&x->landed);
    (void)pthread_mutex_destroy(&x->lock);
    free(x->path);
    free(x);
}
