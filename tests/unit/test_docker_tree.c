/* Reading directories of containers, both ways, with a real daemon (docker_tree_kit.h). */
#include "docker_tree_kit.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

static void fill(struct kit *k)
{
    shell("cd '%s'; mkdir -p d/e empty; echo one >d/one; ln d/one d/two; ln -s ../d d/e/back;"
          "printf 'x\\377y' >\"$(printf 'raw\\377name')\"; mkfifo pipe; mknod null c 1 3;"
          "truncate -s 3M sparse; printf end | dd of=sparse bs=1 seek=2000000 conv=notrunc "
          "2>/dev/null;"
          "cp /bin/true setuid; chown 1234:4321 setuid; chmod 4755 setuid; chown 999:999 d;"
          "chmod 2750 d; touch -d '2001-02-03 04:05:06.123456789' d/one; : >a; : >a.b;"
          "mkdir a-dir; : >a-dir/x; chown 3000000:3000000 a;"
          "n=$(printf %%0200d 7); mkdir -p $n/$n; echo deep >$n/$n/file; chown 999:999 .;"
          "chmod 0711 .",
          k->dir);
}

/* Both ways give the same, in the same order, but for what the daemon's archive cannot hold. */
static void compare_ways(struct kit *k)
{
    read_good(k, DK_READ_DIRECT, "direct");
    struct got *direct = k->got;
    size_t n = k->n;
    k->got = NULL;
    k->n = 0;
    read_good(k, DK_READ_API, "api");
    assert_int_equal(k->n, n);
    assert_true(n > 15);
    for (size_t i = 0; i < n; i++) {
        const struct bake_entry *a = &direct[i].e, *b = &k->got[i].e;
        assert_string_equal(a->path, b->path);
        assert_int_equal(a->type, b->type);
        assert_int_equal(!a->link, !b->link);
        if (a->link)
            assert_string_equal(a->link, b->link);
        assert_int_equal(a->mode, b->mode);
        assert_int_equal(a->uid, b->uid);
        assert_int_equal(a->gid, b->gid);
        assert_int_equal(a->dev_major, b->dev_major);
        assert_int_equal(a->dev_minor, b->dev_minor);
        assert_int_equal(a->size, b->size);
        assert_null(a->user);
        assert_true(a->mtime_ns / 1000000000 == b->mtime_ns / 1000000000);
        assert_int_equal(direct[i].n, k->got[i].n);
        if (a->type == BAKE_FILE)
            assert_memory_equal(direct[i].data, k->got[i].data, direct[i].n);
        assert_true(a->valid & BAKE_HAS_INODE);
        assert_false(b->valid & (BAKE_HAS_INODE | BAKE_HAS_CTIME));
    }
    struct got *api = k->got;
    size_t n_api = k->n;
    k->got = direct;
    k->n = n;
    drop_got(k);
    k->got = api;
    k->n = n_api;
}

static void test_both_ways(void **state)
{
    struct kit *k = *state;
    fill(k);
    make_container(k, "", "", false); /* never started */
    compare_ways(k);
    assert_non_null(find(k, "raw\377name"));
    assert_true(strstr(k->facts, "\"service\":\"app\"") != NULL);
    remove_container(k);
    make_container(k, "", "", true); /* running */
    compare_ways(k);
    post(k, text("/containers/%s/pause", k->id), "", NULL);
    compare_ways(k);
    post(k, text("/containers/%s/unpause", k->id), "", NULL);
    set_path(k, "/v/d");
    read_good(k, DK_READ_AUTO, "direct");
    assert_true(holds(k, "one", "one\n"));
    read_good(k, DK_READ_API, "api");
    assert_true(holds(k, "one", "one\n"));
    assert_int_equal(find(k, ".")->e.mode, 02750);
    assert_int_equal(find(k, "two")->e.type, BAKE_HARDLINK);
    assert_string_equal(find(k, "two")->e.link, "one");
}

static void test_volume(void **state)
{
    struct kit *k = *state;
    fill(k);
    k->item.kind = DK_VOLUME;
    k->item.volume = strdup(k->volume);
    discover(k);
    compare_ways(k);
    /* no helper stays, and an empty volume is not filled by its image */
    shell("rm -rf '%s'/*", k->dir);
    read_good(k, DK_READ_API, "api");
    assert_int_equal(k->n, 1);
    json_t *list = NULL;
    assert_int_equal(dk_get(k->source.api, &k->host.ctx,
                            "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22bakengine.helper"
                            "%22%5D%7D",
                            &list),
                     BAKE_OK);
    assert_int_equal(json_array_size(list), 0);
    json_decref(list);
    k->item.volume[0] = 'X';
    read_bad(k, DK_READ_API, BAKE_E_NOTFOUND, "is not there");
    read_bad(k, DK_READ_AUTO, BAKE_E_NOTFOUND, "is not there");
}

static void test_paths(void **state)
{
    struct kit *k = *state;
    shell("cd '%s'; mkdir -p real/in; echo x >real/in/f; ln -s real/in rel; ln -s /v/real/in abs;"
          "ln -s abs chain; ln -s /etc out; ln -s nowhere dangling; ln -s loop loop; mkfifo p;"
          "echo single >real/file",
          k->dir);
    make_container(k, "", ",\"Tmpfs\":{\"/scratch\":\"\"}", true);
    static const struct {
        const char *path;
        int rc;
        const char *words;
    } bad[] = {
        {"/v/nope", BAKE_E_NOTFOUND, "has nothing at '/v/nope'"},
        {"/v/dangling", BAKE_E_NOTFOUND, "which its label's path '/v/dangling' leads to"},
        {"/v/loop", BAKE_E_IO, ""},
        {"/v/p", BAKE_E_UNSUPPORTED, "neither a directory nor a file"},
        {"/scratch", BAKE_E_UNSUPPORTED, "tmpfs"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_path(k, bad[i].path);
        read_tree(k, DK_READ_AUTO);
        if (k->end >= 0 || !strstr(k->why, bad[i].words) || (*bad[i].words && k->end != bad[i].rc))
            fail_msg("%s: %d %s", bad[i].path, k->end, k->why);
    }
    static const char *const good[] = {"/v/rel", "/v/abs", "/v/chain", "/v/real/in"};
    for (size_t i = 0; i < 4; i++) {
        set_path(k, good[i]);
        read_good(k, DK_READ_DIRECT, "direct");
        assert_true(holds(k, "f", "x\n"));
        assert_int_equal(k->n, 2);
        read_good(k, DK_READ_API, "api");
        assert_true(holds(k, "f", "x\n"));
    }
    set_path(k, "/v/real/file"); /* a single file */
    for (int how = DK_READ_DIRECT; how <= DK_READ_API; how++) {
        read_good(k, how, NULL);
        assert_int_equal(k->n, 1);
        assert_true(holds(k, "file", "single\n"));
    }
    set_path(k, "/v/out"); /* leads into the container's own /etc, not the host's */
    read_good(k, DK_READ_AUTO, "api");
    assert_null(find(k, "machine-id"));
    read_bad(k, DK_READ_DIRECT, BAKE_E_UNSUPPORTED, "image");
    set_path(k, "/bin");
    read_bad(k, DK_READ_DIRECT, BAKE_E_UNSUPPORTED, "image");
    remove_container(k);
    discover(k);
}

static void test_exclude(void **state)
{
    struct kit *k = *state;
    const char *patterns[] = {"*.log", "cache/", "!keep.log", NULL};
    size_t bad;
    shell("cd '%s'; mkdir -p cache/in d; : >cache/in/f; : >x.log; : >keep.log; : >d/y.log; : >d/z;"
          "echo data >cache/first; ln cache/first d/second",
          k->dir);
    make_container(k, "", "", false);
    assert_int_equal(bkc_ignore_new(patterns, &k->source.ignore, &bad), 0);
    for (int how = DK_READ_DIRECT; how <= DK_READ_API; how++) {
        read_good(k, how, NULL);
        assert_null(find(k, "cache"));
        assert_null(find(k, "cache/in/f"));
        assert_null(find(k, "x.log"));
        assert_null(find(k, "d/y.log"));
        assert_non_null(find(k, "keep.log"));
        assert_non_null(find(k, "d/z"));
        if (how == DK_READ_DIRECT) {
            assert_true(holds(k, "d/second", "data\n"));
        } else { /* its data came under the other name */
            assert_null(find(k, "d/second"));
            assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, "/v/d/second", "first"), 1);
        }
    }
}

/* A file that shrinks while the daemon sends it: what it answers is short, and well-formed. */
static void test_shrinks(void **state)
{
    struct kit *k = *state;
    struct dk_tree *t = NULL;
    struct bake_entry e;
    char *buf = malloc(1 << 20);
    int rc;
    shell("cd '%s'; echo x >a; head -c 300M /dev/zero >big; echo y >later", k->dir);
    make_container(k, "", "", false);
    k->cfg.read = DK_READ_API;
    assert_int_equal(dk_tree_open(&k->source, &k->host.ctx, &k->item, &t), BAKE_OK);
    do
        assert_int_equal(dk_tree_next(t, &e), BAKE_OK);
    while (strcmp(e.path, "big") != 0);
    assert_int_equal(dk_tree_open_entry(t, &e), BAKE_OK);
    struct bake_out out = {buf, 1 << 20, 0};
    assert_int_equal(dk_tree_read(t, &out), BAKE_OK);
    shell("truncate -s 1M '%s/big'", k->dir);
    do {
        out.pos = 0;
        rc = dk_tree_read(t, &out);
    } while (rc == BAKE_OK);
    assert_int_equal(rc, BAKE_E_IO);
    assert_non_null(strstr(k->host.fail, "shrank"));
    assert_int_equal(dk_tree_next(t, &e), BAKE_E_IO);
    assert_non_null(strstr(k->host.fail, "breaks off at 'big'"));
    /* whoever read the entry names it */
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, NULL, "is missing"), 0);
    dk_tree_close(t);
    free(buf);
}

static void test_database(void **state)
{
    struct kit *k = *state;
    shell("cd '%s'; mkdir -p pg/base/1; echo 15 >pg/PG_VERSION; echo 15 >pg/base/1/PG_VERSION;"
          ": >pg/pg_control",
          k->dir);
    make_container(k, "", "", true);
    for (int how = DK_READ_DIRECT; how <= DK_READ_API; how++) {
        read_good(k, how, NULL); /* no server's lock file: nobody uses it */
        shell("echo 1 >'%s/pg/postmaster.pid'", k->dir);
        read_bad(k, how, BAKE_E_UNSUPPORTED, text("while container '%s' runs", k->name));
        assert_non_null(strstr(k->why, "/v/pg"));
        post(k, text("/containers/%s/pause", k->id), "", NULL);
        read_good(k, how, NULL);
        post(k, text("/containers/%s/unpause", k->id), "", NULL);
        shell("rm '%s/pg/postmaster.pid'", k->dir);
        shell(": >'%s/ibdata1'", k->dir);
        read_bad(k, how, BAKE_E_UNSUPPORTED, "runs");
        shell("rm '%s/ibdata1'", k->dir);
    }
    /* another container that mounts it counts, wherever it has it */
    shell(": >'%s/aria_log_control'", k->dir);
    char running[80];
    (void)snprintf(running, sizeof(running), "%s", k->id);
    make_container(k, "", "", false);
    read_bad(k, DK_READ_AUTO, BAKE_E_UNSUPPORTED, "runs");
    (void)dk_remove_container(k->source.api, &k->host.ctx, running, true);
    read_good(k, DK_READ_AUTO, "direct");
}

/* While one tree of a container is sent, the daemon answers nothing about it: the next waits. */
static void *slow_reader(void *arg)
{
    struct dk_tree *t = arg;
    struct bake_entry e;
    (void)usleep(1500000);
    while (dk_tree_next(t, &e) == BAKE_OK)
        ;
    dk_tree_close(t);
    return NULL;
}

static void test_in_turn(void **state)
{
    struct kit *k = *state;
    struct dk_tree *t = NULL;
    pthread_t thread;
    shell("head -c 50M /dev/urandom >'%s/big'", k->dir);
    make_container(k, "", "", false);
    dk_api_close(k->source.api);
    struct dk_api_opts opts = {.host = text("unix://%s", socket_path()), .timeout_ms = 700};
    assert_int_equal(dk_api_open(&k->host.ctx, &opts, &k->source.api), BAKE_OK);
    k->cfg.read = DK_READ_API;
    assert_int_equal(dk_tree_open(&k->source, &k->host.ctx, &k->item, &t), BAKE_OK);
    assert_int_equal(pthread_create(&thread, NULL, slow_reader, t), 0);
    read_good(k, DK_READ_API, "api"); /* longer than the time limit of one request */
    (void)pthread_join(thread, NULL);
    assert_null(k->source.reading);
}

static void test_gone(void **state)
{
    struct kit *k = *state;
    make_container(k, "", "", false);
    (void)dk_remove_container(k->source.api, &k->host.ctx, k->id, true);
    read_bad(k, DK_READ_AUTO, BAKE_E_NOTFOUND, "is not there any more");
}

static void test_cancel(void **state)
{
    struct kit *k = *state;
    struct dk_tree *t = NULL;
    struct bake_entry e;
    shell("head -c 50M /dev/urandom >'%s/big'", k->dir);
    k->item.kind = DK_VOLUME;
    k->item.volume = strdup(k->volume);
    k->cfg.read = DK_READ_API;
    assert_int_equal(dk_tree_open(&k->source, &k->host.ctx, &k->item, &t), BAKE_OK);
    char helper[80];
    (void)snprintf(helper, sizeof(helper), "%s", t->helper);
    assert_int_equal(dk_tree_next(t, &e), BAKE_OK);
    fakehost_cancel(&k->host);
    assert_int_equal(dk_tree_next(t, &e), BAKE_E_CANCELLED);
    dk_tree_close(t); /* the helper goes all the same */
    shell("! curl -sSf --unix-socket '%s' http://d/containers/%s/json 2>/dev/null", socket_path(),
          helper);
    fakehost_clear(&k->host);
    atomic_store(&k->host.cancelled, 0);
}

/* What dk_tar_*() writes is extracted as it is meant: also the root's own mode and owner. */
static void test_upload(void **state)
{
    struct kit *k = *state;
    struct dk_upload *up = NULL;
    struct dk_tar *t = NULL;
    char name[] = "raw\377 name", deep[400], folder[202];
    static const struct bake_extent data[] = {{100000, 3}};
    memset(deep, 'n', sizeof(deep) - 1);
    deep[1] = deep[201] = '/';
    deep[sizeof(deep) - 1] = '\0';
    memcpy(folder, deep, 201);
    folder[201] = '\0';
    const struct bake_entry list[] = {
        {.type = BAKE_DIR, .path = ".", .mode = 02711, .uid = 999, .gid = 998, .mtime_ns = 7000000},
        {.type = BAKE_FILE, .path = "a", .mode = 04755, .uid = 5, .gid = 6, .size = 3},
        {.type = BAKE_HARDLINK, .path = "b", .mode = 04755, .uid = 5, .gid = 6, .link = "a"},
        {.type = BAKE_SYMLINK, .path = "link", .mode = 0777, .link = "/etc/passwd"},
        {.type = BAKE_DIR, .path = "n", .mode = 0700},
        {.type = BAKE_DIR, .path = folder, .mode = 0700},
        {.type = BAKE_FILE, .path = deep, .mode = 0600, .mtime_ns = 981173045123456789},
        {.type = BAKE_FILE, .path = name, .mode = 0644, .uid = 3000000, .gid = 3000000},
        {.type = BAKE_FILE,
         .path = "sparse",
         .mode = 0600,
         .size = 200000,
         .extents = data,
         .n_extents = 1},
    };
    make_container(k, "", "", false);
    assert_int_equal(dk_archive_put(k->source.api, &k->host.ctx, k->id, "/", &up), BAKE_OK);
    assert_int_equal(dk_tar_open(&k->host.ctx, up, "v", &t), BAKE_OK);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        assert_int_equal(dk_tar_entry(t, &list[i]), BAKE_OK);
        if (list[i].size)
            assert_int_equal(dk_tar_data(t, "abc", 3), BAKE_OK);
        assert_int_equal(dk_tar_end_entry(t), BAKE_OK);
    }
    assert_int_equal(dk_tar_finish(t), BAKE_OK);
    dk_tar_close(t);
    if (dk_upload_end(up) != BAKE_OK)
        fail_msg("%s", k->host.fail);
    read_good(k, DK_READ_DIRECT, "direct");
    const struct bake_entry *root = &find(k, ".")->e;
    assert_int_equal(root->mode, 02711);
    assert_int_equal(root->uid, 999);
    assert_int_equal(root->gid, 998);
    assert_true(root->mtime_ns == 7000000);
    assert_true(holds(k, "a", "abc"));
    assert_int_equal(find(k, "a")->e.uid, 5);
    assert_int_equal(find(k, "a")->e.mode, 04755);
    assert_int_equal(find(k, "b")->e.type, BAKE_HARDLINK);
    assert_string_equal(find(k, "link")->e.link, "/etc/passwd");
    assert_true(find(k, deep)->e.mtime_ns == 981173045123456789);
    assert_int_equal(find(k, name)->e.uid, 3000000);
    assert_int_equal(find(k, "sparse")->n, 200000);
    assert_memory_equal(find(k, "sparse")->data + 99999, "\0abc\0", 5);
}

/* Compose's files, as its labels name them. */
static void test_config(void **state)
{
    struct kit *k = *state;
    char dir[] = "/tmp/bake-config.XXXXXX";
    assert_non_null(mkdtemp(dir));
    shell("cd %s; mkdir -p sub secret other; echo a >compose.yml; echo b >sub/more.yml;"
          "echo K=V >.env; echo s >secret/key; echo o >other/out.yml; ln -s ../other/out.yml "
          "sub/link.yml; mkdir wd; echo w >wd/w.yml",
          dir);
    make_container(k,
                   text(",\"Labels\":{\"com.docker.compose.project\":\"treetest\","
                        "\"com.docker.compose.service\":\"app\","
                        "\"com.docker.compose.project.working_dir\":\"%s\","
                        "\"com.docker.compose.project.config_files\":"
                        "\"compose.yml,%s/sub/more.yml,%s/sub/link.yml,x/y/compose.yml,"
                        "/etc/hostname,gone.yml\"}",
                        dir, dir, dir),
                   "", false);
    k->item.kind = DK_CONFIG;
    k->item.container = NULL;
    k->item.stack = strdup("treetest");
    read_good(k, DK_READ_AUTO, "direct");
    assert_true(holds(k, "compose.yml", "a\n"));
    assert_true(holds(k, "sub/more.yml", "b\n"));
    assert_true(holds(k, "sub/link.yml", "o\n"));
    assert_true(holds(k, ".env", "K=V\n"));
    assert_non_null(find(k, ".outside/etc/hostname"));
    assert_int_equal(k->n, 5);
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, "gone.yml", "not there"), 1);
    read_bad(k, DK_READ_API, BAKE_E_UNSUPPORTED, "Compose files");
    shell("rm -r %s", dir);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_both_ways), TEST(test_volume),   TEST(test_paths),   TEST(test_exclude),
        TEST(test_shrinks),   TEST(test_database), TEST(test_in_turn), TEST(test_gone),
        TEST(test_cancel),    TEST(test_config),   TEST(test_upload),
    };
    if (!socket_path()) {
        (void)fprintf(stderr, "BAKE_TEST_DOCKER names no daemon\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
