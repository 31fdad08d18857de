/* What the tests of reading trees share: a daemon that BAKE_TEST_DOCKER names (a Unix socket), with
 * an image `bake/app:1` that has a shell; containers and volumes of their own; and reading all of a
 * tree. Everything is static: each test is one program. */
#ifndef DOCKER_TREE_KIT_H
#define DOCKER_TREE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api.h"
#include "fakehost.h"
#include "hold.h"
#include "match/gitignore.h"
#include "tree_impl.h"
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
#define IMAGE  "bake/app:1"

struct got {
    struct bake_entry e; /* strings are copies */
    char *data;
    size_t n;
    int read; /* the last result of read() */
};

struct kit {
    struct fakehost host;
    struct dk_config cfg;
    struct dk_source source;
    struct dk_item item;
    char id[80], name[64], volume[64], dir[600]; /* dir: the volume's on the host */
    struct got *got;
    size_t n;
    int end, opened;
    char facts[500];
    char why[1500]; /* the last failure */
};

static UNUSED char *text(const char *fmt, ...) BAKE_PRINTF(1, 2);
static UNUSED char *text(const char *fmt, ...) /* one of a few buffers */
{
    static char ring[8][2048];
    static unsigned at;
    va_list ap;
    char *out = ring[at++ % 8];
    va_start(ap, fmt);
    (void)vsnprintf(out, sizeof(ring[0]), fmt, ap);
    va_end(ap);
    return out;
}

static const char *socket_path(void) { return getenv("BAKE_TEST_DOCKER"); }

static UNUSED void shell(const char *fmt, ...) BAKE_PRINTF(1, 2);
static UNUSED void shell(const char *fmt, ...)
{
    char command[4096];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(command, sizeof(command), fmt, ap);
    va_end(ap);
    pid_t pid = fork();
    int status = -1;
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)execl("/bin/sh", "sh", "-ec", command, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("failed (%d): %s", status, command);
}

/* ---- the daemon ------------------------------------------------------------------------------ */

static UNUSED void kit_connect(struct kit *k, const char *host)
{
    struct dk_api_opts opts = {.host = host, .timeout_ms = 20000};
    assert_int_equal(dk_api_open(&k->host.ctx, &opts, &k->source.api), BAKE_OK);
}

static UNUSED void discover(struct kit *k)
{
    dk_world_free(k->source.world);
    k->source.world = NULL;
    assert_int_equal(dk_discover(&k->source, &k->host.ctx, &k->source.world), BAKE_OK);
    for (size_t i = 0; i < k->source.world->n_containers; i++)
        if (strcmp(k->source.world->containers[i].id, k->id) == 0)
            k->item.container = &k->source.world->containers[i];
}

static UNUSED void post(struct kit *k, const char *path, const char *body, json_t **ret)
{
    json_t *j = *body ? json_loads(body, 0, NULL) : NULL, *answer = NULL;
    assert_true(!*body || j);
    if (dk_post(k->source.api, &k->host.ctx, path, j, &answer) != BAKE_OK)
        fail_msg("POST %s: %s", path, k->host.fail);
    json_decref(j);
    if (ret)
        *ret = answer;
    else
        json_decref(answer);
}

/* A container that sleeps, with the kit's volume at /v and whatever else is wanted; started if run.
 */
static UNUSED void make_container(struct kit *k, const char *more, const char *host_more, bool run)
{
    json_t *answer = NULL;
    static unsigned made;
    (void)snprintf(k->name, sizeof(k->name), "treetest-%d-%u", (int)getpid(), made++);
    post(k, text("/containers/create?name=%s", k->name),
         text("{\"Image\":\"" IMAGE "\",\"Entrypoint\":[\"/bin/sh\",\"-c\",\"sleep 600\"],"
              "\"StopSignal\":\"SIGKILL\"%s,\"HostConfig\":{\"NetworkMode\":\"none\",\"Mounts\":"
              "[{\"Type\":\"volume\",\"Source\":\"%s\",\"Target\":\"/v\","
              "\"VolumeOptions\":{\"NoCopy\":true}}]%s}}",
              more, k->volume, host_more),
         &answer);
    (void)snprintf(k->id, sizeof(k->id), "%s", json_string_value(json_object_get(answer, "Id")));
    json_decref(answer);
    if (run)
        post(k, text("/containers/%s/start", k->id), "", NULL);
    discover(k);
    k->item.kind = DK_PATH;
    k->item.path = k->item.path ? k->item.path : strdup("/v");
}

static UNUSED void remove_container(struct kit *k)
{
    if (*k->id)
        (void)dk_remove_container(k->source.api, &k->host.ctx, k->id, true);
    *k->id = '\0';
    k->item.container = NULL;
}

static UNUSED void set_path(struct kit *k, const char *path)
{
    free(k->item.path);
    k->item.path = strdup(path);
}

static UNUSED int kit_setup(void **state)
{
    static unsigned made;
    struct kit *k = calloc(1, sizeof(*k));
    json_t *answer = NULL;
    assert_non_null(k);
    fakehost_init(&k->host);
    k->source.ctx = &k->host.ctx;
    k->source.cfg = &k->cfg;
    static const char *const none[] = {NULL};
    k->cfg = (struct dk_config){.projects = none,
                                .exclude_projects = none,
                                .paths = none,
                                .exclude_paths = none,
                                .exclude = none,
                                .volumes = none};
    (void)pthread_mutex_init(&k->source.lock, NULL);
    kit_connect(k, text("unix://%s", socket_path()));
    k->item.name = strdup("treetest/app/volumes/v");
    k->item.facts = strdup("{\"service\":\"app\"}");
    (void)snprintf(k->volume, sizeof(k->volume), "treetest-%d-%u", (int)getpid(), made++);
    post(k, "/volumes/create", text("{\"Name\":\"%s\"}", k->volume), &answer);
    (void)snprintf(k->dir, sizeof(k->dir), "%s",
                   json_string_value(json_object_get(answer, "Mountpoint")));
    json_decref(answer);
    *state = k;
    return 0;
}

static UNUSED void drop_got(struct kit *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free((void *)(uintptr_t)k->got[i].e.path);
        free((void *)(uintptr_t)k->got[i].e.link);
        free(k->got[i].data);
    }
    free(k->got);
    k->got = NULL;
    k->n = 0;
}

static UNUSED int kit_teardown(void **state)
{
    struct kit *k = *state;
    remove_container(k);
    (void)dk_delete(k->source.api, &k->host.ctx, text("/volumes/%s?force=1", k->volume));
    dk_world_free(k->source.world);
    dk_api_close(k->source.api);
    bkc_ignore_free(k->source.ignore);
    dk_where_release(&k->source.where);
    free(k->item.name);
    free(k->item.path);
    free(k->item.facts);
    free(k->item.volume);
    free(k->item.stack);
    drop_got(k);
    fakehost_free(&k->host);
    free(k);
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static UNUSED void take(struct kit *k, struct dk_tree *t, struct bake_entry *e)
{
    if (e->type == BAKE_FILE && dk_tree_open_entry(t, e) != BAKE_OK)
        return;
    k->got = realloc(k->got, (k->n + 1) * sizeof(*k->got));
    assert_non_null(k->got);
    struct got *g = &k->got[k->n++];
    *g = (struct got){.e = *e};
    g->e.path = strdup(e->path);
    g->e.link = e->link ? strdup(e->link) : NULL;
    uint64_t holes = 0, end = 0;
    for (size_t i = 0; i < e->n_extents; i++) {
        holes += e->extents[i].offset - end;
        end = e->extents[i].offset + e->extents[i].length;
    }
    size_t cap = 1 << 16, x = 0;
    char *raw = malloc(cap);
    for (size_t n = 0; e->type == BAKE_FILE; n = g->n) {
        if (cap - n < 1 << 15)
            raw = realloc(raw, cap *= 2);
        struct bake_out out = {raw, cap, n};
        g->read = dk_tree_read(t, &out);
        g->n = out.pos;
        if (g->read != BAKE_OK)
            break;
    }
    g->data = raw;
    if (e->type == BAKE_FILE && e->extents) { /* as a program would read it */
        char *whole = calloc(1, (size_t)e->size + 1);
        size_t from = 0;
        for (; x < e->n_extents; x++) {
            memcpy(whole + e->extents[x].offset, raw + from, (size_t)e->extents[x].length);
            from += (size_t)e->extents[x].length;
        }
        free(raw);
        g->data = whole;
        g->n = (size_t)e->size;
    }
}

/* Reads it all; k->opened and k->end are the results of the first and the last step. */
static UNUSED void read_tree(struct kit *k, int how)
{
    struct dk_tree *t = NULL;
    struct bake_entry e = {0};
    struct bake_result result = {.struct_size = sizeof(result)};
    k->cfg.read = how;
    drop_got(k);
    fakehost_clear(&k->host);
    *k->facts = '\0';
    k->opened = dk_tree_open(&k->source, &k->host.ctx, &k->item, &t);
    k->end = k->opened;
    if (k->opened == BAKE_OK) {
        while ((k->end = dk_tree_next(t, &e)) == BAKE_OK)
            take(k, t, &e);
        if (k->end == BAKE_END) {
            assert_int_equal(dk_tree_finish(t, &result), BAKE_OK);
            (void)snprintf(k->facts, sizeof(k->facts), "%s", result.facts);
        }
        (void)snprintf(k->why, sizeof(k->why), "%s", k->host.fail);
        dk_tree_close(t);
    } else
        (void)snprintf(k->why, sizeof(k->why), "%s", k->host.fail);
}

static UNUSED void read_good(struct kit *k, int how, const char *way)
{
    read_tree(k, how);
    if (k->end != BAKE_END) {
        fakehost_print(&k->host);
        fail_msg("reading failed: %s", k->why);
    }
    if (way && !strstr(k->facts, text("\"read\":\"%s\"", way)))
        fail_msg("not read '%s': %s", way, k->facts);
}

static UNUSED void read_bad(struct kit *k, int how, int rc, const char *words)
{
    read_tree(k, how);
    if (k->end != rc || !strstr(k->why, words))
        fail_msg("want %d '%s', got %d '%s'", rc, words, k->end, k->why);
}

static UNUSED const struct got *find(const struct kit *k, const char *path)
{
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->got[i].e.path, path) == 0)
            return &k->got[i];
    return NULL;
}

static UNUSED bool holds(const struct kit *k, const char *path, const char *data)
{
    const struct got *g = find(k, path);
    return g && g->read == BAKE_END && g->n == strlen(data) && memcmp(g->data, data, g->n) == 0;
}

#endif
