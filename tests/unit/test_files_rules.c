/* What belongs to a backup of the files source: roots, globs, excludes, tags, mounts, probe. */
#include "files_kit.h"

#include <sys/mount.h>

static char *own(struct kit *k, const char *name, char out[512]) { return in_dir(k, name, out); }

/* All entries but the scratch directory itself, within it, in one line. */
static void entries(struct kit *k, const char *want)
{
    char got[4000] = "";
    size_t skip_len = strlen(k->base) + 1;
    for (size_t i = 0; i < k->n; i++) {
        const char *path = k->got[i].e.path;
        if (strlen(path) > skip_len)
            (void)snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", *got ? " " : "",
                           path + skip_len);
    }
    if (strcmp(got, want) != 0)
        fakehost_print(&k->host);
    assert_string_equal(got, want);
}

static void tree(const struct kit *k)
{
    make_dir(k, "a");
    make_dir(k, "a/b");
    make_dir(k, "a/b/c");
    put_text(k, "a/b/c/x.log", "x");
    put_text(k, "a/b/y", "y");
    put_text(k, "a/x.log", "x");
    make_dir(k, "cache");
    put_text(k, "cache/1", "1");
    make_dir(k, "e");
    put_text(k, "e/cache", "a file of that name");
    put_text(k, "z", "z");
}

static void test_excludes(void **state)
{
    struct kit *k = *state;
    char anchored[520];
    tree(k);
    k->exclude[0] = "*.log";
    k->exclude[1] = "cache/";
    run(k);
    entries(k, "a a/b a/b/c a/b/y e e/cache z");
    (void)snprintf(anchored, sizeof(anchored), "%s/a/b", k->dir);
    k->exclude[1] = anchored; /* with the leading slash: the root of the file system */
    run(k);
    entries(k, "a cache cache/1 e e/cache z");
    k->exclude[1] = "!a/x.log"; /* anchored at the root: is not that one */
    run(k);
    entries(k, "a a/b a/b/c a/b/y cache cache/1 e e/cache z");
    k->exclude[1] = "!**/a/x.log";
    run(k);
    entries(k, "a a/b a/b/c a/b/y a/x.log cache cache/1 e e/cache z");
    reports(k, BAKE_NOTICE, 0, "");
}

static void test_roots(void **state)
{
    struct kit *k = *state;
    char p[6][512];
    tree(k);
    k->paths[0].path = own(k, "z", p[0]);
    k->paths[1].path = own(k, "a/b", p[1]);
    k->paths[2].path = own(k, "a/b/c", p[2]); /* within another */
    k->paths[3].path = own(k, "z", p[3]);     /* twice */
    k->paths[4].path = own(k, "a/x.log", p[4]);
    run(k);
    entries(k, "a/b a/b/c a/b/c/x.log a/b/y a/x.log z");
    assert_null(find(k, "a")); /* never what is above a root */
    reports(k, BAKE_NOTICE, 0, "");
}

static void test_missing(void **state)
{
    struct kit *k = *state;
    char p[6][512];
    tree(k);
    k->paths[0].path = own(k, "z", p[0]);
    k->paths[1].path = own(k, "nope", p[1]);
    k->paths[2].path = own(k, "*.nope", p[2]);
    run(k);
    entries(k, "z");
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, "/nope", "is not there"), 1);
    reports(k, BAKE_PARTIAL, 2, "");
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, "/*.nope", "matches nothing"), 1);
    k->paths[1].optional = k->paths[2].optional = 1;
    run(k);
    reports(k, BAKE_NOTICE, 2, "");
    k->paths[0].path = own(k, "z/in a file", p[0]);
    k->paths[1].path = NULL;
    run(k);
    reports(k, BAKE_PARTIAL, 1, "is not there");
}

static void test_globs(void **state)
{
    struct kit *k = *state;
    char p[4][512];
    tree(k);
    put_text(k, ".hidden", "");
    put_text(k, "[z]", "");
    k->paths[0].path = own(k, "?/b", p[0]);
    k->paths[1].path = own(k, "[yz]", p[1]);
    run(k);
    entries(k, "a/b a/b/c a/b/c/x.log a/b/y z");
    k->paths[0].path = own(k, "*", p[0]);
    k->paths[1].path = NULL;
    run(k);
    entries(k, "[z] a a/b a/b/c a/b/c/x.log a/b/y a/x.log cache cache/1 e e/cache z");
    k->paths[0].path = own(k, "[z]", p[0]); /* is there as it stands */
    run(k);
    entries(k, "[z]");
    k->paths[0].path = own(k, ".h*", p[0]);
    run(k);
    entries(k, ".hidden");
}

static void test_root_links(void **state)
{
    struct kit *k = *state;
    char p[4][512];
    tree(k);
    assert_int_equal(symlink("a/b", own(k, "link", p[0])), 0);
    k->paths[0].path = p[0];
    run(k);
    entries(k, "link");
    must(k, "link", BAKE_SYMLINK);
    reports(k, BAKE_WARNING, 1, "only the link is backed up");
    k->paths[0].path = own(k, "link/", p[0]); /* a slash follows it */
    run(k);
    entries(k, "link link/c link/c/x.log link/y");
    must(k, "link", BAKE_DIR);
    reports(k, BAKE_WARNING, 0, "");
    k->paths[0].path = own(k, "link", p[0]);
    k->paths[1].path = own(k, "link/c", p[1]); /* beneath it: no entry lies in a link */
    run(k);
    entries(k, "link/c link/c/x.log");
    reports(k, BAKE_WARNING, 1, "left out");
}

static void test_excluded_root(void **state)
{
    struct kit *k = *state;
    char p[4][512];
    tree(k);
    k->paths[1].path = own(k, "a/b/c", p[1]);
    k->exclude[0] = "b"; /* what is named within what is excluded is still wanted */
    run(k);
    entries(k, "a a/b/c a/b/c/x.log a/x.log cache cache/1 e e/cache z");
    reports(k, BAKE_WARNING, 0, "");
    k->paths[2].path = own(k, "z", p[2]);
    k->paths[0].path = own(k, "e", p[0]);
    k->exclude[0] = "z";
    run(k);
    entries(k, "a/b/c a/b/c/x.log e e/cache");
    reports(k, BAKE_WARNING, 1, "matched by 'exclude'");
}

static void test_tags(void **state)
{
    struct kit *k = *state;
    tree(k);
    put_text(k, "cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# a cache\n");
    put_text(k, "e/CACHEDIR.TAG", "Signature: something else, longer than the right one is\n");
    put_text(k, "a/b/.nobackup", "");
    run(k);
    entries(k, "a a/b a/b/.nobackup a/b/c a/b/c/x.log a/b/y a/x.log cache cache/1 "
               "cache/CACHEDIR.TAG e e/CACHEDIR.TAG e/cache z");
    k->cfg.exclude_caches = 1;
    run(k);
    entries(k, "a a/b a/b/.nobackup a/b/c a/b/c/x.log a/b/y a/x.log cache cache/CACHEDIR.TAG e "
               "e/CACHEDIR.TAG e/cache z");
    k->tags[0] = ".nobackup";
    k->limits = (struct bkc_walk_limits){.names = 64, .levels = 9, .whole = 1000, .extents = 10};
    run(k); /* the same when the listing was spilled before the tag was met */
    entries(k, "a a/b a/b/.nobackup a/x.log cache cache/CACHEDIR.TAG e e/CACHEDIR.TAG e/cache z");
}

/* A tag that is met after a part of the listing was spilled. */
static void test_late_tag(void **state)
{
    struct kit *k = *state;
    k->limits = (struct bkc_walk_limits){.names = 64, .levels = 9, .whole = 1000, .extents = 10};
    for (int i = 0; i < 200; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "f%d", i);
        put_text(k, i == 100 ? "tag" : name, "");
    }
    k->tags[0] = "tag";
    run(k);
    entries(k, "tag");
}

static void test_mounts(void **state)
{
    struct kit *k = *state;
    char mounted[512], proc[512], inner[512], file[512];
    tree(k);
    make_dir(k, "mnt");
    make_dir(k, "proc");
    put_text(k, "hidden", "bind");
    own(k, "mnt", mounted);
    own(k, "proc", proc);
    own(k, "hidden", file);
    if (mount("none", mounted, "tmpfs", 0, "size=1m") != 0)
        skip();
    int bound = mount("/proc", proc, NULL, MS_BIND, NULL);
    make_dir(k, "mnt/d");
    put_text(k, "mnt/d/in", "in");
    run(k);
    assert_true(holds(k, "mnt/d/in", "in", 2));
    if (bound == 0) {
        assert_null(find(k, "proc/self"));
        reports(k, BAKE_NOTICE, 1, "kernel");
    }
    k->cfg.one_file_system = 1;
    run(k);
    must(k, "mnt", BAKE_DIR);
    assert_null(find(k, "mnt/d"));
    assert_true(holds(k, "z", "z", 1));
    k->paths[1].path = own(k, "mnt/d", inner); /* named beyond the border */
    run(k);
    assert_true(holds(k, "mnt/d/in", "in", 2));
    assert_true(holds(k, "z", "z", 1));
    k->paths[1].path = mounted; /* the mount itself is named */
    run(k);
    assert_true(holds(k, "mnt/d/in", "in", 2));
    assert_int_equal(umount(mounted), 0);
    if (bound == 0)
        assert_int_equal(umount(proc), 0);
}

static void test_mounted_within_itself(void **state)
{
    struct kit *k = *state;
    char at[512], from[512];
    tree(k);
    make_dir(k, "a/loop");
    if (mount(own(k, "a", from), own(k, "a/loop", at), NULL, MS_BIND, NULL) != 0)
        skip();
    run(k);
    assert_null(find(k, "a/loop/x.log"));
    must(k, "a/loop", BAKE_DIR);
    reports(k, BAKE_NOTICE, 1, "mounted again");
    assert_int_equal(umount(at), 0);
}

static void test_validate(void **state)
{
    struct kit *k = *state;
    const struct bake_plugin *p = bake_plugin_v1();
    k->exclude[0] = "fine";
    k->exclude[1] = "bad[";
    assert_int_equal(p->validate(&k->host.ctx, &k->cfg), BAKE_E_CONFIG);
    assert_non_null(strstr(k->host.fail, "bad["));
    k->exclude[1] = NULL;
    k->tags[0] = "a/b";
    assert_int_equal(p->validate(&k->host.ctx, &k->cfg), BAKE_E_CONFIG);
    k->tags[0] = NULL;
    assert_int_equal(p->validate(&k->host.ctx, &k->cfg), BAKE_OK);
    k->paths[0].path = "relative";
    assert_int_equal(p->validate(&k->host.ctx, &k->cfg), BAKE_E_CONFIG);
    k->paths[0].path = NULL;
    assert_int_equal(p->validate(&k->host.ctx, &k->cfg), BAKE_E_CONFIG);
}

static void test_probe(void **state)
{
    struct kit *k = *state;
    const struct bake_plugin *p = bake_plugin_v1();
    char a[512], b[512];
    tree(k);
    assert_int_equal(p->probe(&k->host.ctx, &k->cfg), BAKE_OK);
    k->paths[1].path = own(k, "nope", a);
    assert_int_equal(p->probe(&k->host.ctx, &k->cfg), BAKE_E_NOTFOUND);
    assert_non_null(strstr(k->host.fail, a));
    k->paths[2].path = own(k, "nor*", b);
    assert_int_equal(p->probe(&k->host.ctx, &k->cfg), BAKE_E_NOTFOUND);
    assert_non_null(strstr(k->host.fail, "1 more"));
    k->paths[1].optional = k->paths[2].optional = 1;
    assert_int_equal(p->probe(&k->host.ctx, &k->cfg), BAKE_OK);
    if (geteuid() != 0)
        return;
    k->paths[1].path = own(k, "z", a);
    assert_int_equal(chmod(a, 0), 0);
    assert_int_equal(chmod(k->dir, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    int rc = p->probe(&k->host.ctx, &k->cfg);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, BAKE_E_IO);
}

/* A test that failed may have left its mounts. */
static int unmount_teardown(void **state)
{
    struct kit *k = *state;
    static const char *const mounts[] = {"mnt", "proc", "a/loop"};
    char path[512];
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
        (void)umount2(in_dir(k, mounts[i], path), MNT_DETACH);
    return kit_teardown(state);
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, unmount_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_excludes),   T(test_roots),
        T(test_missing),    T(test_globs),
        T(test_root_links), T(test_excluded_root),
        T(test_tags),       T(test_late_tag),
        T(test_mounts),     T(test_mounted_within_itself),
        T(test_validate),   T(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
