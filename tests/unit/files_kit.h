/* What the tests of the files source share: a scratch tree, a run over it that keeps every entry
 * with its data, and hooks between the calls. Everything is static: each test is one program. */
#ifndef FILES_KIT_H
#define FILES_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

struct got {
    struct bake_entry e; /* its pointers are copies of our own, or NULL */
    char *data;          /* bytes that read() gave */
    size_t n;
    int opened, read; /* results; read: the last one */
};

enum stage { AFTER_NEXT, AFTER_OPEN, AFTER_READ };

struct kit {
    struct fakehost host;
    char dir[64];     /* scratch directory, absolute */
    const char *base; /* the same as an entry's path */
    struct bake_path paths[8];
    const char *exclude[8], *tags[4];
    struct files_config cfg;
    struct files_source *source;
    struct bkc_walk_limits limits; /* 0: as they are */
    size_t buffer;                 /* of each read */
    void (*hook)(struct kit *, enum stage, const struct bake_entry *);
    int fired; /* for hooks: to act once */
    struct got *got;
    size_t n, cap;
    int end; /* what the last next() returned */
    int no_data;
};

static const struct bake_source_ops *ops_of(void) { return bake_plugin_v1()->source; }

static UNUSED char *in_dir(const struct kit *k, const char *name, char out[512])
{
    (void)snprintf(out, 512, "%s%s%s", k->dir, *name ? "/" : "", name);
    return out;
}

static UNUSED void put(const struct kit *k, const char *name, const void *data, size_t n)
{
    char path[512];
    int fd = open(in_dir(k, name, path), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static UNUSED void put_text(const struct kit *k, const char *name, const char *text)
{
    put(k, name, text, strlen(text));
}

static UNUSED void make_dir(const struct kit *k, const char *name)
{
    char path[512];
    assert_int_equal(mkdir(in_dir(k, name, path), 0755), 0);
}

/* Bytes that repeat nowhere soon. */
static UNUSED char *pattern(size_t n, unsigned seed)
{
    char *data = malloc(n + 1);
    assert_non_null(data);
    uint64_t x = seed + 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        data[i] = (char)(x >> 56);
    }
    return data;
}

static UNUSED int kit_setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    assert_non_null(k);
    fakehost_init(&k->host);
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/bake-files.XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    k->base = k->dir + 1;
    k->paths[0].path = k->dir;
    k->cfg = (struct files_config){
        .paths = k->paths, .exclude = k->exclude, .exclude_if_present = k->tags};
    k->buffer = 64 << 10;
    *state = k;
    return 0;
}

static void drop_got(struct kit *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free((void *)(uintptr_t)k->got[i].e.path);
        free((void *)(uintptr_t)k->got[i].e.link);
        free((void *)(uintptr_t)k->got[i].e.extents);
        free((void *)(uintptr_t)k->got[i].e.xattrs);
        free(k->got[i].data);
    }
    free(k->got);
    k->got = NULL;
    k->n = k->cap = 0;
}

static UNUSED int rm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static UNUSED int kit_teardown(void **state)
{
    struct kit *k = *state;
    (void)nftw(k->dir, rm_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    drop_got(k);
    fakehost_free(&k->host);
    free(k);
    return 0;
}

static void *dup_of(const void *p, size_t n)
{
    void *copy = p ? malloc(n + 1) : NULL;
    if (p) {
        assert_non_null(copy);
        memcpy(copy, p, n);
    }
    return copy;
}

static struct got *keep(struct kit *k, const struct bake_entry *e)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 64;
        k->got = realloc(k->got, k->cap * sizeof(*k->got));
        assert_non_null(k->got);
    }
    struct got *g = &k->got[k->n++];
    *g = (struct got){.e = *e};
    g->e.path = strdup(e->path);
    g->e.link = e->link ? strdup(e->link) : NULL;
    g->e.user = g->e.group = NULL;
    g->e.extents = dup_of(e->extents, e->n_extents * sizeof(*e->extents));
    g->e.xattrs = dup_of(e->xattrs, e->xattrs_size);
    return g;
}

/* Reads the data of the entry that next() gave last. Drops the entry if it is left out. */
static void take_data(struct kit *k, void *reader, struct bake_entry *e)
{
    int opened = ops_of()->open_entry(reader, e);
    if (k->hook)
        k->hook(k, AFTER_OPEN, e);
    if (opened == BAKE_END)
        return;
    struct got *g = keep(k, e);
    size_t cap = 0;
    g->opened = opened;
    while (opened == BAKE_OK) {
        if (cap - g->n < k->buffer) {
            cap = cap * 2 + k->buffer;
            g->data = realloc(g->data, cap);
            assert_non_null(g->data);
        }
        struct bake_out out = {g->data + g->n, k->buffer, 0};
        g->read = ops_of()->read(reader, &out);
        g->n += out.pos;
        if (g->read != BAKE_OK)
            break;
        assert_true(out.pos > 0);
        if (k->hook)
            k->hook(k, AFTER_READ, e);
    }
}

static void take_all(struct kit *k, void *reader)
{
    struct bake_entry e = {0};
    while ((k->end = ops_of()->next(reader, &e)) == BAKE_OK) {
        if (k->hook)
            k->hook(k, AFTER_NEXT, &e);
        if (e.type == BAKE_FILE && !k->no_data)
            take_data(k, reader, &e);
        else
            (void)keep(k, &e);
    }
}

/* One backup of what the config says. */
static UNUSED void run(struct kit *k)
{
    struct bake_component c = {.struct_size = sizeof(c)};
    struct bake_result result = {.struct_size = sizeof(result)};
    void *self = NULL, *reader = NULL;
    drop_got(k);
    fakehost_clear(&k->host);
    k->fired = 0;
    assert_int_equal(bake_plugin_v1()->validate(&k->host.ctx, &k->cfg), BAKE_OK);
    assert_int_equal(ops_of()->open(&k->host.ctx, &k->cfg, &self), BAKE_OK);
    k->source = self;
    if (k->limits.names)
        k->source->limits = k->limits;
    assert_int_equal(ops_of()->plan(self, &c), BAKE_OK);
    assert_string_equal(c.name, ".");
    assert_int_equal(c.kind, BAKE_TREE);
    assert_int_equal(ops_of()->reader_open(self, &k->host.ctx, &c, &reader), BAKE_OK);
    take_all(k, reader);
    assert_int_equal(ops_of()->finish(reader, &result), BAKE_OK);
    ops_of()->reader_close(reader);
    assert_int_equal(ops_of()->plan(self, &c), BAKE_END);
    ops_of()->close(self);
}

/* The entry of this path within the scratch directory; NULL: there is none. */
static UNUSED const struct got *find(const struct kit *k, const char *name)
{
    char path[512];
    (void)in_dir(k, name, path);
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->got[i].e.path, path + 1) == 0)
            return &k->got[i];
    return NULL;
}

static UNUSED const struct got *must(struct kit *k, const char *name, uint32_t type)
{
    const struct got *g = find(k, name);
    if (!g) {
        fakehost_print(&k->host);
        fail_msg("no entry '%s'", name);
    }
    assert_int_equal(g->e.type, type);
    return g;
}

static UNUSED bool holds(struct kit *k, const char *name, const void *data, size_t n)
{
    const struct got *g = must(k, name, BAKE_FILE);
    return g->read == BAKE_END && g->n == n && memcmp(g->data, data, n) == 0;
}

/* Exactly so many reports of that kind, and none of any other. */
static UNUSED void reports(struct kit *k, int severity, size_t n, const char *text)
{
    if (fakehost_count(&k->host, severity, NULL, text) != n ||
        fakehost_count(&k->host, 0, NULL, NULL) != n) {
        fakehost_print(&k->host);
        fail_msg("want %zu reports '%s'", n, text);
    }
}

#endif
