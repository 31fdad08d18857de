/* Directories that are open: on the way to the current one, or left while files are being made in
 * them. */
#include "tree/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bkc_level_free(struct bkc_level *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        (void)close(l->fd);
    free(l->meta.xattrs);
    free(l->path);
    free(l);
}

/* Few directories are open at once. */
static void close_far(struct bkc_extract *x)
{
    struct bkc_level *far;

    if (x->depth <= BKC_OPEN_MAX)
        return;
    far = x->levels[x->depth - BKC_OPEN_MAX];
    if (far->fd < 0)
        return;
    bkc_await_level(x, far);
    (void)close(far->fd);
    far->fd = -1;
}

int bkc_level_push(struct bkc_extract *x, const char *name, int fd, const struct stat *st,
                   bool made)
{
    size_t n = strlen(name), at = bkc_here(x)->end;
    struct bkc_level *l = calloc(1, sizeof(*l));

    if (!l || bkc_grow((void **)&x->dir, &x->cap_dir, at + n + 2) < 0 ||
        bkc_grow((void **)&x->levels, &x->cap_levels, (x->depth + 2) * sizeof(struct bkc_level *)) <
            0) {
        (void)close(fd);
        free(l);
        return bkc_nomem(&x->say);
    }
    if (at)
        x->dir[at++] = '/';
    memcpy(x->dir + at, name, n + 1);
    l->fd = fd;
    l->end = at + n;
    l->st = *st;
    l->made = made;
    x->levels[++x->depth] = l;
    close_far(x);
    return BAKE_OK;
}

/* What is set when a directory is left for good or for now. */
void bkc_level_settle(struct bkc_extract *x, struct bkc_level *l, const char *path)
{
    struct bkc_obj o = {.fd = l->fd, .dirfd = -1, .path = path, .type = BAKE_DIR};
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, l->st.st_mtim};

    if (l->has_meta) {
        bkc_obj_of(&o, &l->st);
        o.drop_acl = !l->made;
        if (l->unlocked)
            o.mode |= 0700;
        bkc_meta_set(x, &x->say, &l->meta, &o);
        if ((l->meta.mode & 0700) != 0700)
            bkc_seen_add(&x->seen, &l->st, BKC_SEEN_LOCKED);
        return;
    }
    if (l->unlocked)
        (void)fchmod(l->fd, l->st.st_mode & 07777);
    if (l->touched && !l->made && l != x->levels[0])
        (void)futimens(l->fd, t); /* as it was found; not ours: it may be refused */
}

void bkc_level_pop(struct bkc_extract *x)
{
    struct bkc_level *l = bkc_here(x);

    if (bkc_level_busy(x, l)) {
        l->path = strdup(x->dir);
        if (l->path) {
            l->next = x->left;
            x->left = l;
            l = NULL;
        } else {
            bkc_await_level(x, l);
        }
    }
    if (l)
        bkc_level_settle(x, l, x->dir);
    bkc_level_free(l);
    x->dir[x->levels[--x->depth]->end] = '\0';
}

/* Takes the directory at *at out of those that were left. */
static void settle_left(struct bkc_extract *x, struct bkc_level **at)
{
    struct bkc_level *l = *at;

    bkc_await_level(x, l);
    *at = l->next;
    bkc_level_settle(x, l, l->path);
    bkc_level_free(l);
}

void bkc_left_settle(struct bkc_extract *x, bool wait)
{
    struct bkc_level **at = &x->left;

    if (!x->left || (!atomic_exchange(&x->landed_left, false) && !wait))
        return;
    while (*at) {
        if (wait || !bkc_level_busy(x, *at))
            settle_left(x, at);
        else
            at = &(*at)->next;
    }
}

bool bkc_left_again(struct bkc_extract *x, const struct stat *st)
{
    for (struct bkc_level **at = &x->left; *at; at = &(*at)->next)
        if ((*at)->st.st_ino == st->st_ino && (*at)->st.st_dev == st->st_dev) {
            settle_left(x, at);
            return true;
        }
    return false;
}
