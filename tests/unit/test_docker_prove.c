/* Is a directory of this machine the container's? What only looks like it is never read: other
 * mount namespaces, other hosts, replaced directories, links that are swapped meanwhile. With a
 * real daemon (docker_tree_kit.h). */
#include "docker_tree_kit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- in another mount namespace -------------------------------------------------------------- */

struct apart {                     /* what the child is to find; strings may be NULL */
    const char *script;            /* run in the new namespace first */
    const char *host;              /* of the daemon */
    const char *way, *has, *lacks; /* how `auto` reads it, and entries */
    const char *why;               /* `direct` refuses with this */
};

static int in_child(struct kit *k, const struct apart *a)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return 10;
    if (a->script)
        shell("%s", a->script);
    k->source.proof.level = 0;
    kit_connect(k, a->host ? a->host : text("unix://%s", socket_path()));
    read_tree(k, DK_READ_AUTO);
    if (k->end != BAKE_END || !strstr(k->facts, text("\"read\":\"%s\"", a->way))) {
        (void)fprintf(stderr, "auto: %d %s %s\n", k->end, k->why, k->facts);
        return 11;
    }
    if (a->has && !find(k, a->has))
        return 12;
    if (a->lacks && find(k, a->lacks))
        return 13;
    read_tree(k, DK_READ_DIRECT);
    if (a->why ? k->opened != BAKE_E_UNSUPPORTED || !strstr(k->why, a->why) : k->end != BAKE_END) {
        (void)fprintf(stderr, "direct: %d %s\n", k->end, k->why);
        return 14;
    }
    return 0;
}

static void apart(struct kit *k, const struct apart *a)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    int status = -1;
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(in_child(k, a));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("way %s: status %x", a->way, status);
}

static const char *volumes_of(const struct kit *k, char out[600])
{
    (void)snprintf(out, 600, "%s", k->dir);
    *strrchr(out, '/') = '\0';
    *strrchr(out, '/') = '\0';
    return out;
}

static void test_decoy_of_a_volume(void **state)
{
    struct kit *k = *state;
    char volumes[600], copy[] = "/tmp/bake-decoy.XXXXXX";
    assert_non_null(mkdtemp(copy));
    shell("cd '%s'; mkdir d; echo real >d/f; echo real >g", k->dir);
    make_container(k, "", "", false);
    read_good(k, DK_READ_DIRECT, "direct");
    /* another namespace sees the same volumes, which the daemon's answer proves */
    apart(k, &(struct apart){.way = "direct", .has = "d/f"});
    /* an exact copy lies over it; over its folder; over all volumes; over all of the daemon's */
    apart(k, &(struct apart){.script = text("cp -a '%s/.' %s; mount --bind %s '%s'", k->dir, copy,
                                            copy, k->dir),
                             .way = "api",
                             .why = "something is mounted on it"});
    apart(k, &(struct apart){.script =
                                 text("echo x >%s/decoy; mount --bind %s '%s'", copy, copy, k->dir),
                             .way = "api",
                             .has = "d/f",
                             .lacks = "decoy",
                             .why = "something is mounted on it"});
    const char *all =
        text("rm -rf %s/*; mkdir %s/v; cp -a '%s/%s' %s/v; mount --bind %s/v '%s'", copy, copy,
             volumes_of(k, volumes), k->volume, copy, copy, volumes_of(k, volumes));
    apart(k, &(struct apart){.script = all, .way = "api", .has = "d/f", .why = "not on this"});
    shell("rm -rf %s", copy);
}

/* What is mounted on the daemon's side only must not be taken for the empty directory below. */
static void test_mounted_elsewhere(void **state)
{
    struct kit *k = *state;
    shell("echo below >'%s/below'", k->dir);
    k->item.kind = DK_VOLUME;
    k->item.volume = strdup(k->volume);
    discover(k);
    read_good(k, DK_READ_DIRECT, "direct");
    shell("mount -t tmpfs none '%s'; echo above >'%s/above'", k->dir, k->dir);
    read_good(k, DK_READ_DIRECT, "direct");
    assert_non_null(find(k, "above"));
    apart(k, &(struct apart){.script = text("umount '%s'", k->dir),
                             .way = "api",
                             .has = "above",
                             .lacks = "below",
                             .why = "another one"});
    shell("umount '%s'", k->dir);
}

static void test_decoy_of_a_bind(void **state)
{
    struct kit *k = *state;
    char dir[] = "/tmp/bake-bind.XXXXXX", copy[] = "/tmp/bake-decoy.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_non_null(mkdtemp(copy));
    shell("cd %s; mkdir sub d; echo real >d/f; echo in >sub/x", dir);
    make_container(k, "", text(",\"Binds\":[\"%s:/b\"]", dir), false);
    set_path(k, "/b");
    read_good(k, DK_READ_DIRECT, "direct");
    assert_true(holds(k, "d/f", "real\n"));
    apart(k,
          &(struct apart){.script = text("cp -a %s/. %s; mount --bind %s %s", dir, copy, copy, dir),
                          .way = "api",
                          .why = "different file systems"});
    apart(k, &(struct apart){.way = "api", .has = "d/f", .why = "different file systems"});
    /* replaced while the container runs, which goes on with the old one */
    remove_container(k);
    make_container(k, "", text(",\"Binds\":[\"%s:/b\"]", dir), true);
    read_good(k, DK_READ_DIRECT, "direct");
    shell("mv %s %s.old; cp -a %s.old %s; echo new >%s/d/f", dir, dir, dir, dir, dir);
    read_bad(k, DK_READ_DIRECT, BAKE_E_UNSUPPORTED, "processes have another directory");
    read_good(k, DK_READ_AUTO, "api"); /* the daemon, too, looks at what is there now */
    assert_true(holds(k, "d/f", "new\n"));
    assert_int_equal(fakehost_count(&k->host, BAKE_WARNING, "/b", "was replaced"), 1);
    /* stopped: it will start with what is there then, and so the daemon looks at that */
    post(k, text("/containers/%s/stop?t=0", k->id), "", NULL);
    read_good(k, DK_READ_DIRECT, "direct");
    assert_true(holds(k, "d/f", "new\n"));
    shell("rm -rf %s %s.old %s", dir, dir, copy);
}

static void test_mounts_below(void **state)
{
    struct kit *k = *state;
    char dir[] = "/tmp/bake-bind.XXXXXX";
    assert_non_null(mkdtemp(dir));
    shell("echo upper >%s/f; mkdir %s/v; echo lower >'%s/g'", dir, dir, k->dir);
    make_container(k, "", text(",\"Binds\":[\"%s:/b\",\"%s:/b/v\"]", dir, k->volume), false);
    set_path(k, "/b");
    read_bad(k, DK_READ_DIRECT, BAKE_E_UNSUPPORTED, "other mounts");
    read_good(k, DK_READ_AUTO, "api");
    assert_true(holds(k, "f", "upper\n") && holds(k, "v/g", "lower\n"));
    set_path(k, "/b/v");
    read_good(k, DK_READ_AUTO, "direct");
    assert_true(holds(k, "g", "lower\n"));
    shell("rm -rf %s", dir);
}

static void test_driver_options(void **state)
{
    struct kit *k = *state;
    char name[100];
    (void)snprintf(name, sizeof(name), "%s-tmpfs", k->volume);
    post(k, "/volumes/create",
         text("{\"Name\":\"%s\",\"DriverOpts\":{\"type\":\"tmpfs\",\"device\":\"tmpfs\"}}", name),
         NULL);
    k->item.kind = DK_VOLUME;
    k->item.volume = strdup(name);
    discover(k);
    read_bad(k, DK_READ_DIRECT, BAKE_E_UNSUPPORTED, "mounted by the daemon");
    read_good(k, DK_READ_AUTO, "api");
    assert_int_equal(dk_delete(k->source.api, &k->host.ctx, text("/volumes/%s", name)), BAKE_OK);
}

/* ---- over TCP -------------------------------------------------------------------------------- */

static int to_daemon(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", socket_path());
    return fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

static void relay(int a, int b)
{
    struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    char buf[65536];
    for (;;) {
        if (poll(p, 2, -1) < 0)
            return;
        for (int i = 0; i < 2; i++) {
            if (!p[i].revents)
                continue;
            ssize_t n = read(p[i].fd, buf, sizeof(buf));
            if (n <= 0 || send(p[!i].fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                return;
        }
    }
}

/* A daemon that is reached over TCP. */
static pid_t serve(int *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(listen(fd, 16), 0);
    *ret_port = ntohs(a.sin_port);
    pid_t pid = fork();
    if (pid == 0)
        for (;;) {
            int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
            if (client >= 0 && fork() == 0) {
                relay(client, to_daemon());
                _exit(0);
            }
            (void)close(client);
        }
    (void)close(fd);
    return pid;
}

static void test_tcp(void **state)
{
    struct kit *k = *state;
    char volumes[600], copy[] = "/tmp/bake-decoy.XXXXXX", host[80];
    int port = 0;
    pid_t server = serve(&port);
    assert_non_null(mkdtemp(copy));
    shell("cd '%s'; mkdir d; echo real >d/f", k->dir);
    make_container(k, "", "", false);
    (void)snprintf(host, sizeof(host), "tcp://127.0.0.1:%d", port);
    /* this machine's own daemon proves itself over TCP as well */
    apart(k, &(struct apart){.host = host, .way = "direct", .has = "d/f"});
    /* another host with an exact copy of it does not */
    const char *all = text("mkdir %s/v; cp -a '%s/%s' %s/v; mount --bind %s/v '%s'", copy,
                           volumes_of(k, volumes), k->volume, copy, copy, volumes_of(k, volumes));
    apart(
        k,
        &(struct apart){
            .script = all, .host = host, .way = "api", .has = "d/f", .why = "not on this machine"});
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    shell("rm -rf %s", copy);
}

/* ---- in a container -------------------------------------------------------------------------- */

/* This program within a container: reads /v of container `id`, says how and what by its status. */
static int sidecar(const char *id)
{
    struct kit *k = calloc(1, sizeof(*k));
    static const char *const none[] = {NULL};
    fakehost_init(&k->host);
    k->source.ctx = &k->host.ctx;
    k->source.cfg = &k->cfg;
    k->cfg = (struct dk_config){.projects = none,
                                .exclude_projects = none,
                                .paths = none,
                                .exclude_paths = none,
                                .exclude = none,
                                .volumes = none};
    (void)pthread_mutex_init(&k->source.lock, NULL);
    kit_connect(k, text("unix://%s", socket_path()));
    (void)snprintf(k->id, sizeof(k->id), "%s", id);
    discover(k);
    k->item.kind = DK_PATH;
    k->item.name = strdup("x/y/volumes/v");
    k->item.path = strdup("/v");
    read_tree(k, DK_READ_AUTO);
    int ret = k->end != BAKE_END ? 40 : 0;
    ret += strstr(k->facts, "\"read\":\"direct\"") ? 1 : 0;
    ret += find(k, "real") ? 2 : 0;
    ret += find(k, "decoy") ? 4 : 0;
    return ret;
}

/* Runs it with these mounts; its status. */
static int run_sidecar(struct kit *k, const char *mounts)
{
    char self[512] = "", id[80];
    json_t *answer = NULL;
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    post(k, "/containers/create",
         text("{\"Image\":\"" IMAGE "\",\"Entrypoint\":[\"/self\",\"sidecar\",\"%s\"],"
              "\"Env\":[\"BAKE_TEST_DOCKER=/run/"
              "docker.sock\",\"ASAN_OPTIONS=detect_leaks=0\"],\"HostConfig\":{\"NetworkMode\":"
              "\"none\",\"Binds\":[\"/usr:/usr:ro\",\"%s:/self:ro\",\"%s:/run/docker.sock\"%s]}}",
              k->id, self, socket_path(), mounts),
         &answer);
    (void)snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(answer, "Id")));
    json_decref(answer);
    post(k, text("/containers/%s/start", id), "", NULL);
    post(k, text("/containers/%s/wait", id), "", &answer);
    int status = (int)json_integer_value(json_object_get(answer, "StatusCode"));
    json_decref(answer);
    if (status >= 8)
        shell("curl -sS --unix-socket '%s' 'http://d/containers/%s/logs?stdout=1&stderr=1'",
              socket_path(), id);
    (void)dk_remove_container(k->source.api, &k->host.ctx, id, true);
    return status;
}

static void test_sidecar(void **state)
{
    struct kit *k = *state;
    char volumes[600], copy[] = "/tmp/bake-decoy.XXXXXX";
    assert_non_null(mkdtemp(copy));
    shell("echo >'%s/real'; cp -a '%s/.' %s; echo >%s/decoy", k->dir, k->dir, copy, copy);
    make_container(k, "", "", false);
    assert_int_equal(run_sidecar(k, ""), 2);
    assert_int_equal(run_sidecar(k, text(",\"%s:%s\"", copy, k->dir)), 2);
    shell("rm %s/decoy; touch -r '%s' %s", copy, k->dir, copy); /* just alike */
    assert_int_equal(run_sidecar(k, text(",\"%s:%s\"", copy, k->dir)), 2);
    /* given the daemon's volumes it reads them directly */
    const char *v = volumes_of(k, volumes);
    assert_int_equal(run_sidecar(k, text(",\"%s:%s:ro\"", v, v)), 1 + 2);
    /* and not what lies over them */
    assert_int_equal(run_sidecar(k, text(",\"%s:%s:ro\",\"%s:%s\"", v, v, copy, k->dir)), 2);
    shell("rm -rf %s", copy);
}

/* ---- links that are swapped ------------------------------------------------------------------ */

struct swap {
    const char *dir;
    atomic_bool stop;
};

static void *swapper(void *arg)
{
    struct swap *s = arg;
    int fd = open(s->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (!atomic_load(&s->stop))
        (void)renameat2(fd, "a", fd, "b", RENAME_EXCHANGE);
    (void)close(fd);
    return NULL;
}

/* Everything that was given is the container's: of its volume, or of its own root, where the link
 * leads within it. The host's root has what the container's does not. */
static void nothing_from_outside(const struct kit *k)
{
    for (size_t i = 0; i < k->n; i++) {
        const char *p = k->got[i].e.path;
        if (strstr(p, "bake-race-outside") || strcmp(p, "work") == 0)
            fail_msg("'%s' is from outside", p);
    }
}

static void race(struct kit *k, const char *path, const char *target, int how, int rounds)
{
    struct swap s = {.dir = k->dir};
    pthread_t thread;
    shell("cd '%s'; rm -rf a b; mkdir -p a/in/deep; echo ours >a/in/deep/f; ln -s '%s' b", k->dir,
          target);
    set_path(k, path);
    assert_int_equal(pthread_create(&thread, NULL, swapper, &s), 0);
    size_t good = 0;
    for (int i = 0; i < rounds; i++) {
        read_tree(k, how);
        nothing_from_outside(k);
        good += k->end == BAKE_END && strstr(k->facts, "direct");
    }
    atomic_store(&s.stop, true);
    (void)pthread_join(thread, NULL);
    (void)good;
}

static void test_swapped_links(void **state)
{
    struct kit *k = *state;
    char outside[] = "/tmp/bake-race.XXXXXX";
    assert_non_null(mkdtemp(outside));
    shell("mkdir -p %s/in/deep; echo secret >%s/in/deep/bake-race-outside;"
          "echo secret >%s/in/bake-race-outside; echo secret >%s/bake-race-outside",
          outside, outside, outside, outside);
    make_container(k, "", "", false);
    race(k, "/v/a", outside, DK_READ_DIRECT, 60);
    race(k, "/v/a/in", outside, DK_READ_DIRECT, 60);
    race(k, "/v/a/in/deep", "/", DK_READ_AUTO, 30);
    race(k, "/v/a/in", outside, DK_READ_API, 30);
    race(k, "/v/a/in", "../../../../../../../../../../../../tmp", DK_READ_AUTO, 30);
    race(k, "/v", outside, DK_READ_AUTO, 60); /* swapped while it is walked */
    race(k, "/v", "/", DK_READ_API, 30);
    /* and the descriptor itself */
    int fd = open(k->dir, O_PATH | O_DIRECTORY | O_CLOEXEC), got;
    shell("cd '%s'; rm -rf a b; ln -s %s a; ln -s /../.. up", k->dir, outside);
    assert_int_equal(dk_open_inside(fd, "a/in", O_PATH | O_DIRECTORY), -ENOENT);
    assert_int_equal(dk_open_inside(fd, "nope", O_PATH), -ENOENT);
    got = dk_open_inside(fd, "up/../../up", O_PATH | O_DIRECTORY);
    assert_true(got >= 0);
    struct stat a, b;
    assert_int_equal(fstat(fd, &a), 0);
    assert_int_equal(fstat(got, &b), 0);
    assert_true(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    (void)close(got);
    (void)close(fd);
    shell("rm -rf %s", outside);
}

/* Nothing of the user's is written to for a proof, and nothing stays of it. */
static void test_leaves_nothing(void **state)
{
    struct kit *k = *state;
    json_t *list = NULL, *volume;
    struct stat before, after;
    size_t i;
    shell("echo >'%s/f'", k->dir);
    make_container(k, "", "", false);
    assert_int_equal(stat(k->dir, &before), 0);
    read_good(k, DK_READ_DIRECT, "direct");
    assert_int_equal(stat(k->dir, &after), 0);
    assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
                before.st_ctim.tv_nsec == after.st_ctim.tv_nsec &&
                before.st_atim.tv_nsec == after.st_atim.tv_nsec);
    assert_int_equal(dk_get(k->source.api, &k->host.ctx, "/volumes", &list), BAKE_OK);
    json_array_foreach(json_object_get(list, "Volumes"), i, volume)
        assert_null(strstr(json_string_value(json_object_get(volume, "Name")), "proof"));
    json_decref(list);
    /* a stray of a process that is gone goes with the next proof; of others it stays */
    char *owner = dk_owner(&k->source, &k->host.ctx);
    json_t *dead = json_loads(owner, 0, NULL);
    assert_int_equal(json_object_set_new(dead, "pid", json_integer(4190000)), 0);
    char *gone = json_dumps(dead, JSON_COMPACT);
    const char *const owners[] = {gone, owner};
    for (i = 0; i < 2; i++) {
        json_t *body =
            json_pack("{s:s#, s:{s:s, s:s}}", "Name", i ? "bakengine-proof-b" : "bakengine-proof-a",
                      17, "Labels", "bakengine.helper", "1", "bakengine.owner", owners[i]);
        assert_int_equal(dk_post(k->source.api, &k->host.ctx, "/volumes/create", body, NULL),
                         BAKE_OK);
        json_decref(body);
    }
    k->source.proof.level = 0;
    read_good(k, DK_READ_DIRECT, "direct");
    assert_int_equal(dk_get(k->source.api, &k->host.ctx, "/volumes/bakengine-proof-a", NULL),
                     BAKE_E_NOTFOUND);
    assert_int_equal(dk_delete(k->source.api, &k->host.ctx, "/volumes/bakengine-proof-b"), BAKE_OK);
    json_decref(dead);
    free(owner);
    free(gone);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_decoy_of_a_volume), TEST(test_mounted_elsewhere), TEST(test_decoy_of_a_bind),
        TEST(test_mounts_below),      TEST(test_driver_options),    TEST(test_tcp),
        TEST(test_sidecar),           TEST(test_swapped_links),     TEST(test_leaves_nothing),
    };
    if (argc == 3 && strcmp(argv[1], "sidecar") == 0)
        return sidecar(argv[2]);
    if (!socket_path()) {
        (void)fprintf(stderr, "BAKE_TEST_DOCKER names no daemon\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
