/* What the tests of sink-local share. */
#include "sinklocal_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_WORDS 12

int kit_setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    const char *tmp = getenv("TMPDIR");

    if (!k)
        return -1;
    (void)snprintf(k->dir, sizeof(k->dir), "%s/sinklocal-XXXXXX",
                   tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    if (!mkdtemp(k->dir)) {
        free(k);
        return -1;
    }
    (void)snprintf(k->store, sizeof(k->store), "%s/store", k->dir);
    *state = k;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int kit_teardown(void **state)
{
    struct kit *k = *state;

    kit_close(k);
    (void)nftw(k->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    free(k);
    return 0;
}

void kit_close(struct kit *k)
{
    if (k->self)
        k->ops->close(k->self);
    if (k->subject.plugin) {
        cf_subject_free(&k->subject);
        cf_ctx_free(&k->ctx);
    }
    k->self = NULL;
    memset(&k->subject, 0, sizeof(k->subject));
}

void kit_open(struct kit *k, ...)
{
    char path[128], *words[MAX_WORDS];
    int has_path = 0;
    size_t n = 0;
    va_list ap;

    kit_close(k);
    va_start(ap, k);
    for (char *word; n + 1 < MAX_WORDS && (word = va_arg(ap, char *)); n++) {
        words[n] = word;
        has_path = has_path || strncmp(word, "path=", 5) == 0;
    }
    va_end(ap);
    if (!has_path) {
        (void)snprintf(path, sizeof(path), "path=%s", k->store);
        words[n++] = path;
    }
    assert_int_equal(cf_subject_load(&k->subject, SINK_LOCAL, words, n), 0);
    cf_ctx_init(&k->ctx);
    k->ops = k->subject.plugin->sink;
    k->rc = k->subject.plugin->validate(&k->ctx.base, k->subject.config.cfg);
    if (k->rc == BAKE_OK)
        k->rc = k->ops->open(&k->ctx.base, k->subject.config.cfg, &k->self);
    if (k->rc < 0)
        k->self = NULL;
}

int kit_put(struct kit *k, const char *name, const void *data, size_t n, uint32_t flags)
{
    struct bake_in in = {data, n, 0};
    void *put;
    int rc = k->ops->put_begin(k->self, &k->ctx.base, name, 0, flags, &put);

    if (rc < 0)
        return rc;
    rc = k->ops->put_write(put, &in);
    if (rc == BAKE_OK)
        return k->ops->put_end(put);
    k->ops->put_abort(put);
    return rc;
}

int kit_get(struct kit *k, const char *name, const char *text)
{
    char back[256];
    struct bake_out out = {back, sizeof(back), 0};
    void *get;
    int rc = k->ops->get_begin(k->self, &k->ctx.base, name, 0, 0, &get);

    if (rc < 0)
        return rc;
    while ((rc = k->ops->get_read(get, &out)) == BAKE_OK)
        ;
    k->ops->get_close(get);
    if (rc < 0)
        return rc;
    assert_int_equal(out.pos, strlen(text));
    assert_memory_equal(back, text, out.pos);
    return BAKE_OK;
}

static int count_one(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)name;
    (void)size;
    (void)mtime_ns;
    ++*(size_t *)arg;
    return 0;
}

size_t kit_count(struct kit *k, const char *prefix)
{
    size_t n = 0;

    assert_int_equal(k->ops->list(k->self, &k->ctx.base, prefix, count_one, &n), BAKE_OK);
    return n;
}

size_t kit_files(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *e;
    size_t n = 0;

    while (d && (e = readdir(d))) {
        char path[1024];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        n += e->d_type == DT_DIR ? kit_files(path) : 1;
    }
    if (d)
        (void)closedir(d);
    return n;
}

void kit_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

const char *kit_path(struct kit *k, const char *name, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%s/%s", k->store, name);
    return out;
}

void kit_says(const struct kit *k, const char *part)
{
    if (!strstr(k->ctx.text, part))
        fail_msg("'%s' is not in: %s", part, k->ctx.text);
}
