/* Files that vanish, change, shrink, grow or cannot be read while they are backed up. */
#include "files_kit.h"

#include <time.h>

#define BIG ((size_t)1 << 20) /* more than is read in one go */

static bool is(const struct bake_entry *e, const char *name)
{
    size_t n = strlen(e->path), m = strlen(name);
    return n >= m && strcmp(e->path + n - m, name) == 0;
}

static void add_text(const struct kit *k, const char *name, const char *text)
{
    char path[512];
    int fd = open(in_dir(k, name, path), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void put_big(const struct kit *k, const char *name)
{
    char *data = pattern(BIG, 1);
    put(k, name, data, BIG);
    free(data);
}

static void vanish(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512];
    if (stage == AFTER_NEXT && is(e, "/a")) {
        assert_int_equal(unlink(in_dir(k, "a", path)), 0);
        assert_int_equal(unlink(in_dir(k, "b", path)), 0);
    }
    if (stage == AFTER_NEXT && is(e, "/d"))
        assert_int_equal(rmdir(in_dir(k, "d", path)), 0);
}

static void test_vanished(void **state)
{
    struct kit *k = *state;
    put_text(k, "a", "a");
    put_text(k, "b", "b");
    put_text(k, "c", "c");
    make_dir(k, "d");
    k->hook = vanish;
    run(k);
    assert_int_equal(k->end, BAKE_END);
    assert_null(find(k, "a")); /* between next() and open_entry() */
    assert_null(find(k, "b")); /* between the listing and its stat */
    assert_true(holds(k, "c", "c", 1));
    assert_non_null(find(k, "d")); /* its entry was given already */
    reports(k, BAKE_WARNING, 3, "vanished");
}

static void replace(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512], to[512];
    if (stage != AFTER_NEXT)
        return;
    if (is(e, "/a")) { /* as editors save */
        put_text(k, "new", "the new one, longer");
        assert_int_equal(chmod(in_dir(k, "new", path), 0600), 0);
        assert_int_equal(rename(path, in_dir(k, "a", to)), 0);
    }
    if (is(e, "/b")) {
        assert_int_equal(unlink(in_dir(k, "b", path)), 0);
        assert_int_equal(symlink("a", path), 0);
    }
    if (is(e, "/c")) {
        assert_int_equal(unlink(in_dir(k, "c", path)), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
    }
    if (is(e, "/d")) {
        assert_int_equal(rmdir(in_dir(k, "d", path)), 0);
        assert_int_equal(symlink("/etc", path), 0);
    }
}

static void test_replaced(void **state)
{
    struct kit *k = *state;
    put_text(k, "a", "old");
    put_text(k, "b", "b");
    put_text(k, "c", "c");
    make_dir(k, "d");
    k->hook = replace;
    run(k);
    assert_true(holds(k, "a", "the new one, longer", 19));
    assert_int_equal(must(k, "a", BAKE_FILE)->e.mode, 0600);
    assert_int_equal(must(k, "a", BAKE_FILE)->e.size, 19);
    assert_null(find(k, "b"));
    assert_null(find(k, "c"));
    assert_null(find(k, "d/passwd"));
    reports(k, BAKE_WARNING, 3, "replaced");
}

static void write_more(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    if (stage == AFTER_NEXT && is(e, "/small"))
        add_text(k, "small", " and more");
    if (stage == AFTER_READ && is(e, "/big") && !k->fired++)
        add_text(k, "big", "and more");
}

static void test_grown(void **state)
{
    struct kit *k = *state;
    put_text(k, "small", "some");
    put_big(k, "big");
    k->hook = write_more;
    run(k);
    /* changed before it was opened: just taken as it is now */
    assert_true(holds(k, "small", "some and more", 13));
    assert_int_equal(must(k, "small", BAKE_FILE)->e.size, 13);
    assert_int_equal(must(k, "big", BAKE_FILE)->n, BIG);
    assert_int_equal(must(k, "big", BAKE_FILE)->read, BAKE_END);
    reports(k, BAKE_WARNING, 1, "grew");
}

static void cut(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512];
    if (stage == AFTER_READ && is(e, "/big") && !k->fired++)
        assert_int_equal(truncate(in_dir(k, "big", path), 100), 0);
}

static void test_shrunk(void **state)
{
    struct kit *k = *state;
    put_big(k, "big");
    put_text(k, "next", "fine");
    k->hook = cut;
    run(k);
    const struct got *g = must(k, "big", BAKE_FILE);
    assert_int_equal(g->read, BAKE_E_IO);
    assert_true(g->n < BIG);
    assert_int_equal(k->host.failed, BAKE_E_IO);
    assert_non_null(strstr(k->host.fail, "shrank"));
    assert_true(holds(k, "next", "fine", 4)); /* the entry's failure alone */
}

static void overwrite(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512];
    if (stage != AFTER_READ || !is(e, "/big") || k->fired++)
        return;
    int fd = open(in_dir(k, "big", path), O_WRONLY | O_CLOEXEC);
    struct timespec pause = {0, 20000000}; /* past the file system's clock tick */
    (void)nanosleep(&pause, NULL);
    assert_int_equal(pwrite(fd, "torn", 4, BIG - 100), 4);
    close(fd);
}

static void test_torn(void **state)
{
    struct kit *k = *state;
    put_big(k, "big");
    k->hook = overwrite;
    run(k);
    assert_int_equal(must(k, "big", BAKE_FILE)->n, BIG);
    reports(k, BAKE_PARTIAL, 1, "mix old and new");
}

static void change_mode(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512];
    struct timespec pause = {0, 20000000};
    if (stage != AFTER_READ || !is(e, "/big") || k->fired++)
        return;
    (void)nanosleep(&pause, NULL);
    assert_int_equal(chmod(in_dir(k, "big", path), 0600), 0);
}

static void test_metadata_changed(void **state)
{
    struct kit *k = *state;
    put_big(k, "big");
    k->hook = change_mode;
    run(k);
    reports(k, BAKE_WARNING, 1, "attributes changed");
}

/* A file that never keeps still: a writer that is faster than the reader. */
struct writer {
    int fd;
    atomic_int stop;
};

static void *scribble(void *arg)
{
    struct writer *w = arg;
    for (uint64_t i = 0; !atomic_load(&w->stop); i++) {
        struct timespec times[2] = {{(time_t)i, (long)(i % 1000)}, {(time_t)i, 7}};
        if (pwrite(w->fd, &i, sizeof(i), 0) != sizeof(i) || futimens(w->fd, times) != 0)
            break;
    }
    return NULL;
}

static void test_never_still(void **state)
{
    struct kit *k = *state;
    char path[512], *data = pattern(200000, 3);
    struct writer w = {.fd = -1};
    pthread_t thread;
    put(k, "busy", data, 200000);
    free(data);
    w.fd = open(in_dir(k, "busy", path), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pthread_create(&thread, NULL, scribble, &w), 0);
    bool seen = false;
    /* On a busy machine the writer may not have its turn for a while. */
    for (time_t end = time(NULL) + 30; !seen && time(NULL) < end;) {
        run(k);
        assert_int_equal(must(k, "busy", BAKE_FILE)->n, 200000);
        size_t partial = fakehost_count(&k->host, BAKE_PARTIAL, "/busy", "keeps changing");
        size_t again = fakehost_count(&k->host, BAKE_WARNING, "/busy", "consistently");
        assert_true(partial + again <= 1);
        assert_int_equal(fakehost_count(&k->host, 0, NULL, NULL), partial + again);
        seen = partial + again == 1;
    }
    atomic_store(&w.stop, 1);
    pthread_join(thread, NULL);
    close(w.fd);
    assert_true(seen);
}

static void drop_first(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char path[512];
    if (stage == AFTER_NEXT && is(e, "/a"))
        assert_int_equal(unlink(in_dir(k, "a", path)), 0);
}

static void test_first_of_links_lost(void **state)
{
    struct kit *k = *state;
    char a[512], b[512];
    put_text(k, "a", "shared");
    assert_int_equal(link(in_dir(k, "a", a), in_dir(k, "b", b)), 0);
    assert_int_equal(link(a, in_dir(k, "c", b)), 0);
    k->hook = drop_first;
    run(k);
    assert_null(find(k, "a"));
    assert_true(holds(k, "b", "shared", 6)); /* not a link to what is not there */
    assert_string_equal(must(k, "c", BAKE_HARDLINK)->e.link, must(k, "b", BAKE_FILE)->e.path);
}

static void test_few_levels_open(void **state)
{
    struct kit *k = *state;
    make_dir(k, "a");
    make_dir(k, "a/b");
    make_dir(k, "a/b/c");
    put_text(k, "a/b/c/f", "f");
    put_text(k, "a/b/z", "z");
    put_text(k, "z", "z");
    k->limits =
        (struct bkc_walk_limits){.names = 1 << 20, .levels = 2, .whole = 1000, .extents = 10};
    run(k);
    assert_true(holds(k, "a/b/z", "z", 1)); /* reopened by ".." */
    reports(k, BAKE_WARNING, 0, "");
}

static void move_child(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char from[512], to[512];
    if (stage == AFTER_OPEN && is(e, "/a/b/c/d/f"))
        assert_int_equal(rename(in_dir(k, "a/b/c/d", from), in_dir(k, "elsewhere", to)), 0);
}

static void move_both(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    char from[512], to[512];
    if (stage != AFTER_OPEN || !is(e, "/a/b/c/d/f"))
        return;
    assert_int_equal(rename(in_dir(k, "a/b/c", from), in_dir(k, "elsewhere", to)), 0);
    assert_int_equal(rename(in_dir(k, "a", from), in_dir(k, "gone", to)), 0);
}

static void test_moved(void **state)
{
    struct kit *k = *state;
    char from[512], to[512];
    make_dir(k, "a");
    make_dir(k, "a/b");
    make_dir(k, "a/b/c");
    make_dir(k, "a/b/c/d");
    put_text(k, "a/b/c/d/f", "f");
    put_text(k, "a/b/c/z", "z");
    put_text(k, "a/b/z", "z");
    put_text(k, "z", "last");
    k->limits =
        (struct bkc_walk_limits){.names = 1 << 20, .levels = 2, .whole = 1000, .extents = 10};
    k->hook = move_child; /* ".." leads elsewhere: found again from the root */
    run(k);
    assert_true(holds(k, "a/b/c/z", "z", 1));
    assert_true(holds(k, "a/b/z", "z", 1));
    assert_true(holds(k, "z", "last", 4));
    reports(k, BAKE_PARTIAL, 0, "");

    assert_int_equal(rename(in_dir(k, "elsewhere", from), in_dir(k, "a/b/c/d", to)), 0);
    k->hook = move_both; /* not to be found: said, and the rest goes on */
    run(k);
    assert_int_equal(k->end, BAKE_END);
    assert_true(holds(k, "a/b/c/z", "z", 1)); /* it was open */
    assert_null(find(k, "a/b/z"));
    reports(k, BAKE_PARTIAL, 2, "was moved or removed");
    assert_true(holds(k, "z", "last", 4));
}

static void test_unreadable(void **state)
{
    struct kit *k = *state;
    char path[512];
    if (geteuid() != 0)
        skip();
    put_text(k, "open", "open");
    put_text(k, "shut", "shut");
    make_dir(k, "locked");
    put_text(k, "locked/in", "in");
    assert_int_equal(chmod(in_dir(k, "shut", path), 0), 0);
    assert_int_equal(chmod(in_dir(k, "locked", path), 0), 0);
    assert_int_equal(chmod(k->dir, 0755), 0);
    assert_int_equal(seteuid(65534), 0);
    run(k);
    assert_int_equal(seteuid(0), 0);
    assert_true(holds(k, "open", "open", 4));
    assert_null(find(k, "shut"));
    assert_non_null(find(k, "locked"));
    assert_null(find(k, "locked/in"));
    reports(k, BAKE_PARTIAL, 2, "cannot be read");
}

static void stop(struct kit *k, enum stage stage, const struct bake_entry *e)
{
    if (stage == AFTER_READ && is(e, "/big"))
        fakehost_cancel(&k->host);
}

static void test_cancelled(void **state)
{
    struct kit *k = *state;
    put_big(k, "big");
    put_text(k, "never", "");
    k->hook = stop;
    run(k);
    assert_int_equal(k->end, BAKE_E_CANCELLED);
    assert_int_equal(must(k, "big", BAKE_FILE)->read, BAKE_E_CANCELLED);
    assert_null(find(k, "never"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_vanished),
        T(test_replaced),
        T(test_grown),
        T(test_shrunk),
        T(test_torn),
        T(test_metadata_changed),
        T(test_never_still),
        T(test_first_of_links_lost),
        T(test_few_levels_open),
        T(test_moved),
        T(test_unreadable),
        T(test_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
