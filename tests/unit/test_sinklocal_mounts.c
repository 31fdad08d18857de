/* sink-local on file systems that are full, nearly full or read-only. Mounts for real, in a mount
 * namespace of its own: needs root. */
#include "sinklocal_kit.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, mounted_teardown)

static int own_namespace(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        return 0;
    (void)fprintf(stderr,
                  "cannot mount in a namespace of our own: %s\n"
                  "HINT: this test needs root and CAP_SYS_ADMIN\n",
                  strerror(errno));
    return -1;
}

static int mounted_teardown(void **state)
{
    struct kit *k = *state;

    kit_close(k);
    (void)umount2(k->store, MNT_DETACH);
    return kit_teardown(state);
}

static void mount_tmpfs(struct kit *k, const char *options)
{
    assert_int_equal(mkdir(k->store, 0755), 0);
    if (mount("none", k->store, "tmpfs", 0, options) != 0)
        fail_msg("cannot mount a tmpfs: %s", strerror(errno));
}

static void full(void **state)
{
    struct kit *k = *state;
    size_t n = 3 << 20;
    char *data = calloc(1, n);
    struct bake_in in = {data, n, 0};
    uint64_t room = 0;
    void *put;

    assert_non_null(data);
    mount_tmpfs(k, "size=2m");
    kit_open(k, NULL);
    assert_int_equal(k->ops->space(k->self, &k->ctx.base, &room), BAKE_OK);
    assert_int_equal(room, 2 << 20);
    assert_int_equal(kit_put(k, "kept", "x", 1, 0), BAKE_OK);

    /* unknown size: found out while writing */
    assert_int_equal(kit_put(k, "deep/large", data, n, 0), BAKE_E_NOSPACE);
    kit_says(k, "no space left on the file system of '");
    kit_says(k, k->store);
    kit_says(k, " free)");
    kit_says(k, "\nHINT: ");
    assert_int_equal(kit_files(k->store), 1);
    assert_int_equal(kit_count(k, ""), 1);

    /* known size: refused before a byte is written */
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "large", n, 0, &put), BAKE_E_NOSPACE);
    kit_says(k, "3.0 MiB to be written");
    assert_int_equal(kit_files(k->store), 1);
    assert_int_equal(kit_get(k, "kept", "x"), BAKE_OK);

    /* and there is room again afterwards */
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "fits", 1 << 20, 0, &put), BAKE_OK);
    in.size = 1 << 20;
    assert_int_equal(k->ops->put_write(put, &in), BAKE_OK);
    assert_int_equal(k->ops->put_end(put), BAKE_OK);
    free(data);
}

static void no_inodes(void **state)
{
    struct kit *k = *state;
    char name[16];
    int rc = BAKE_OK;

    mount_tmpfs(k, "size=2m,nr_inodes=10");
    kit_open(k, NULL);
    for (int i = 0; i < 20 && rc == BAKE_OK; i++) {
        (void)snprintf(name, sizeof(name), "o%d", i);
        rc = kit_put(k, name, "x", 1, 0);
    }
    assert_int_equal(rc, BAKE_E_NOSPACE);
    assert_int_equal(kit_put(k, "new/folder", "x", 1, 0), BAKE_E_NOSPACE);
}

static void min_free(void **state)
{
    struct kit *k = *state;
    size_t n = 12 << 20;
    char *data = calloc(1, n);
    uint64_t room = 0;
    void *put;

    assert_non_null(data);
    mount_tmpfs(k, "size=20m");
    kit_open(k, "min_free=10 MiB", NULL);
    assert_int_equal(k->ops->space(k->self, &k->ctx.base, &room), BAKE_OK);
    assert_int_equal(room, 10 << 20);
    assert_int_equal(k->ops->put_begin(k->self, &k->ctx.base, "o", n, 0, &put), BAKE_E_NOSPACE);
    kit_says(k, "12.0 MiB to be written, 'min_free' keeps 10.0 MiB");
    /* unknown size: found out on the way */
    assert_int_equal(kit_put(k, "o", data, n, 0), BAKE_E_NOSPACE);
    kit_says(k, "'min_free' keeps 10.0 MiB");
    assert_int_equal(kit_files(k->store), 0);
    assert_int_equal(kit_put(k, "o", data, 1 << 20, 0), BAKE_OK);
    free(data);
}

static void read_only(void **state)
{
    struct kit *k = *state;
    uint64_t removed;

    mount_tmpfs(k, "size=2m");
    kit_open(k, NULL);
    assert_int_equal(kit_put(k, "a/o", "x", 1, 0), BAKE_OK);
    if (mount(NULL, k->store, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) != 0)
        fail_msg("cannot make it read-only: %s", strerror(errno));
    kit_open(k, NULL);
    assert_int_equal(k->rc, BAKE_OK); /* reading a store needs no more */
    assert_int_equal(kit_get(k, "a/o", "x"), BAKE_OK);
    assert_int_equal(kit_count(k, ""), 1);
    assert_int_equal(kit_put(k, "a/p", "x", 1, 0), BAKE_E_IO);
    kit_says(k, "' is read-only");
    kit_says(k, "\nHINT: ");
    assert_int_equal(kit_put(k, "b/p", "x", 1, 0), BAKE_E_IO);
    kit_says(k, "' is read-only");
    assert_int_equal(k->ops->remove(k->self, &k->ctx.base, "a/o"), BAKE_E_IO);
    kit_says(k, "' is read-only");
    assert_int_equal(k->ops->sweep(k->self, &k->ctx.base, 0, &removed), BAKE_E_IO);
    assert_int_equal(k->subject.plugin->probe(&k->ctx.base, k->subject.config.cfg), BAKE_E_IO);
    kit_says(k, "' is read-only");
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(full), TEST(no_inodes), TEST(min_free),
                                       TEST(read_only)};

    return cmocka_run_group_tests_name("sink-local on mounts", tests, own_namespace, NULL);
}
