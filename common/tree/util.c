/* Messages, packed attributes, and the small tables of the extractor. */
#include "tree/impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ONCE_MAX 64 /* kinds of loss that are told apart; an archive could name any number */

int bkc_grow(void **p, size_t *cap, size_t need)
{
    size_t want = *cap ? *cap : 256;
    void *more;

    if (need <= *cap)
        return 0;
    while (want < need) {
        if (want > SIZE_MAX / 2)
            return -1;
        want *= 2;
    }
    more = realloc(*p, want);
    if (!more)
        return -1;
    *p = more;
    *cap = want;
    return 0;
}

static size_t show_part(char *out, size_t room, const char *s, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;

    for (size_t i = 0; i < n && used + 4 < room; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c != 0x7f) {
            out[used++] = (char)c;
            continue;
        }
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = hex[c >> 4];
        out[used++] = hex[c & 15];
    }
    out[used] = '\0';
    return used;
}

const char *bkc_show(struct bkc_say *say, const char *path)
{
    enum { HEAD = 100, TAIL = 180 };
    const size_t cap = sizeof(say->shown[0]);
    char *out = say->shown[say->n_shown++ % 2];
    size_t n = strlen(path), used;

    if (n <= HEAD + TAIL) {
        (void)show_part(out, cap, path, n);
        return out;
    }
    used = show_part(out, HEAD + 8, path, HEAD);
    memcpy(out + used, "...", 3);
    used += 3;
    (void)show_part(out + used, cap - used, path + n - TAIL, TAIL);
    return out;
}

static int code_of(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return BAKE_E_NOSPACE;
    case ENOMEM:
        return BAKE_E_NOMEM;
    case ENOENT:
        return BAKE_E_NOTFOUND;
    default:
        return BAKE_E_IO;
    }
}

int bkc_fail_errno(struct bkc_say *say, int e, const char *fmt, ...)
{
    char text[700];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return bake_fail(say->ctx, code_of(e), "%s: %s", text, strerror(e));
}

int bkc_nomem(struct bkc_say *say) { return bake_fail(say->ctx, BAKE_E_NOMEM, "out of memory"); }

int bkc_xattr_next(const char **p, size_t *left, const char **name, const void **value, uint32_t *n)
{
    const unsigned char *len;
    size_t name_len;

    if (*left == 0)
        return 0;
    name_len = strnlen(*p, *left);
    if (name_len == 0 || *left - name_len < 5)
        return -1;
    len = (const unsigned char *)*p + name_len + 1;
    *n = (uint32_t)len[0] | (uint32_t)len[1] << 8 | (uint32_t)len[2] << 16 | (uint32_t)len[3] << 24;
    if (*n > *left - name_len - 5)
        return -1;
    *name = *p;
    *value = len + 4;
    *p += name_len + 5 + *n;
    *left -= name_len + 5 + *n;
    return 1;
}

bool bkc_dir_empty(int dirfd, const char *name)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool empty = true;

    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    (void)closedir(d);
    return empty;
}

bool bkc_umask(mode_t *ret)
{
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    char text[512], *at;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    mode_t mask = 0;

    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    at = strstr(text, "\nUmask:");
    if (!at)
        return false;
    at += strcspn(at, "01234567\0");
    for (; *at >= '0' && *at <= '7'; at++)
        mask = mask << 3 | (mode_t)(*at - '0');
    *ret = mask & 0777;
    return *at == '\n';
}

void bkc_count(struct bkc_extract *x, uint64_t *counter, uint64_t n)
{
    (void)pthread_mutex_lock(&x->lock);
    *counter += n;
    (void)pthread_mutex_unlock(&x->lock);
}

/* ---- reported once --------------------------------------------------------------------------- */

static struct bkc_once *once_find(struct bkc_extract *x, const char *what)
{
    struct bkc_once *more;

    for (size_t i = 0; i < x->n_once; i++)
        if (strcmp(x->once[i].what, what) == 0)
            return &x->once[i];
    if (x->n_once == ONCE_MAX)
        return &x->once[ONCE_MAX - 1];
    more = realloc(x->once, (x->n_once + 1) * sizeof(*more));
    if (!more)
        return NULL;
    x->once = more;
    more += x->n_once;
    more->what = strdup(x->n_once == ONCE_MAX - 1 ? "other attributes" : what);
    if (!more->what)
        return NULL;
    more->count = 0;
    x->n_once++;
    return more;
}

void bkc_once(struct bkc_extract *x, struct bkc_say *say, const char *what, const char *path, int e)
{
    struct bkc_once *o;
    bool first;

    (void)pthread_mutex_lock(&x->lock);
    o = once_find(x, what);
    first = !o || o->count++ == 0; /* without memory each is told */
    (void)pthread_mutex_unlock(&x->lock);
    if (first)
        bake_report(say->ctx, BAKE_WARNING, path, "not restored in full: %s: %s",
                    bkc_show(say, what), strerror(e));
}

void bkc_once_end(struct bkc_extract *x)
{
    for (size_t i = 0; i < x->n_once; i++) {
        if (x->once[i].count > 1)
            bake_report(x->say.ctx, BAKE_NOTICE, NULL, "not restored for %llu entries: %s",
                        (unsigned long long)x->once[i].count, bkc_show(&x->say, x->once[i].what));
        free(x->once[i].what);
    }
    x->n_once = 0;
}

void bkc_once_free(struct bkc_extract *x)
{
    for (size_t i = 0; i < x->n_once; i++)
        free(x->once[i].what);
    free(x->once);
}

/* ---- special directories: a hash table with open addressing ------------------------------------
 */

static struct bkc_seen_dir *seen_slot(const struct bkc_seen *s, dev_t dev, ino_t ino)
{
    uint64_t h = ((uint64_t)ino ^ (uint64_t)dev << 32) * 0x9e3779b97f4a7c15u;

    for (size_t i = (size_t)(h >> 20) & (s->cap - 1);; i = (i + 1) & (s->cap - 1))
        if (!s->slots[i].flags || (s->slots[i].ino == ino && s->slots[i].dev == dev))
            return &s->slots[i];
}

static int seen_widen(struct bkc_seen *s)
{
    struct bkc_seen wide = {NULL, s->n, s->cap ? 2 * s->cap : 64};

    wide.slots = calloc(wide.cap, sizeof(*wide.slots));
    if (!wide.slots)
        return -1;
    for (size_t i = 0; i < s->cap; i++)
        if (s->slots[i].flags)
            *seen_slot(&wide, s->slots[i].dev, s->slots[i].ino) = s->slots[i];
    free(s->slots);
    *s = wide;
    return 0;
}

/* Out of memory it is forgotten: then that directory is treated as if it had been there before. */
void bkc_seen_add(struct bkc_seen *s, const struct stat *st, uint32_t flags)
{
    struct bkc_seen_dir *d;

    if (2 * (s->n + 1) > s->cap && seen_widen(s) < 0)
        return;
    d = seen_slot(s, st->st_dev, st->st_ino);
    s->n += d->flags == 0;
    d->dev = st->st_dev;
    d->ino = st->st_ino;
    d->flags |= flags | 0x80000000u; /* a slot once used stays used: chains are not cut */
}

uint32_t bkc_seen_get(const struct bkc_seen *s, const struct stat *st)
{
    return s->n ? seen_slot(s, st->st_dev, st->st_ino)->flags : 0;
}

void bkc_seen_clear(struct bkc_seen *s, const struct stat *st, uint32_t flags)
{
    if (bkc_seen_get(s, st))
        seen_slot(s, st->st_dev, st->st_ino)->flags &= ~flags;
}
