/* The extractor with files that several threads make while it goes on. */
#include "tree_kit.h"

#include <pthread.h>
#include <sys/resource.h>

enum { HANDS = 3, QUEUE = 40 };

/* ---- a small crowd of threads ---------------------------------------------------------------- */

struct job {
    struct bkc_file *file;
    char text[64];
    int drop, bad; /* freed without being begun; ended as not good */
};

struct crowd {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t threads[HANDS];
    struct job jobs[QUEUE];
    size_t n, busy;
    int shut, held; /* held: jobs pile up until they are let go */
    int failed, existing, same;
};

/* Its own context, as each thread needs one: what is said goes nowhere. */
static void hush_report(struct bake_ctx *c, int severity, const char *subject, const char *fmt,
                        va_list ap)
{
    (void)c;
    (void)severity;
    (void)subject;
    (void)fmt;
    (void)ap;
}
static int hush_fail(struct bake_ctx *c, int rc, const char *fmt, va_list ap)
{
    (void)c;
    (void)fmt;
    (void)ap;
    return rc;
}
static const struct bake_host hush_host = {
    .struct_size = sizeof(struct bake_host),
    .abi_major = BAKE_ABI_MAJOR,
    .abi_minor = BAKE_ABI_MINOR,
    .vlog = kit_log,
    .cancelled = kit_cancelled,
    .cancel_fd = kit_cancel_fd,
    .vreport = hush_report,
    .vfail = hush_fail,
    .sleep_ms = kit_sleep,
};

static int do_job(const struct job *j, struct bake_ctx *ctx)
{
    struct bake_in in = {j->text, strlen(j->text), 0};
    int rc = j->drop ? BAKE_OK : bkc_file_begin(j->file, ctx);

    if (rc == BAKE_OK && !j->drop) {
        rc = bkc_file_write(j->file, &in);
        if (rc == BAKE_OK)
            rc = bkc_file_end(j->file, !j->bad);
    }
    bkc_file_free(j->file);
    return rc;
}

static void *hand(void *arg)
{
    struct bake_ctx ctx = {&hush_host};
    struct crowd *c = arg;

    (void)pthread_mutex_lock(&c->lock);
    for (;;) {
        struct job j;
        int rc;

        while ((c->n == 0 || c->held) && !c->shut)
            (void)pthread_cond_wait(&c->changed, &c->lock);
        if (c->n == 0)
            break;
        j = c->jobs[0];
        memmove(c->jobs, c->jobs + 1, --c->n * sizeof(j));
        c->busy++;
        (void)pthread_cond_broadcast(&c->changed);
        (void)pthread_mutex_unlock(&c->lock);
        rc = do_job(&j, &ctx);
        (void)pthread_mutex_lock(&c->lock);
        c->busy--;
        c->same += rc == BAKE_END;
        c->existing += rc == BAKE_E_EXISTS;
        c->failed += rc < 0 && rc != BAKE_E_EXISTS;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void crowd_open(struct crowd *c)
{
    memset(c, 0, sizeof(*c));
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    for (int i = 0; i < HANDS; i++)
        assert_int_equal(pthread_create(&c->threads[i], NULL, hand, c), 0);
}

static void crowd_give(struct crowd *c, const struct job *j)
{
    (void)pthread_mutex_lock(&c->lock);
    while (c->n == QUEUE)
        (void)pthread_cond_wait(&c->changed, &c->lock);
    c->jobs[c->n++] = *j;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

static void crowd_hold(struct crowd *c, int held)
{
    (void)pthread_mutex_lock(&c->lock);
    c->held = held;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

static void crowd_end(struct crowd *c)
{
    (void)pthread_mutex_lock(&c->lock);
    c->shut = 1;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < HANDS; i++)
        (void)pthread_join(c->threads[i], NULL);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
}

static void give(struct kit *k, struct crowd *c, const char *path, const char *text, int bad)
{
    struct bake_entry e = kit_entry(BAKE_FILE, path);
    struct job j = {.bad = bad};

    (void)snprintf(j.text, sizeof(j.text), "%s", text);
    e.size = strlen(j.text);
    assert_int_equal(bkc_extract_file(k->x, &e, &j.file), BAKE_OK);
    assert_string_equal(bkc_file_path(j.file), path);
    crowd_give(c, &j);
}

static int64_t mtime_of(const struct kit *k, const char *rel)
{
    struct stat st = kit_stat(k, rel);

    return (int64_t)st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec;
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* Directories are left while files are made in them: their modes and times must come last. */
static void test_many(void **state)
{
    enum { DIRS = 60, FILES = 12 };
    struct kit *k = *state;
    struct crowd c;
    char path[64], text[64];

    kit_open(k, 0);
    crowd_open(&c);
    for (int d = 0; d < DIRS; d++) {
        (void)snprintf(path, sizeof(path), "d%02d", d);
        assert_int_equal(kit_dir(k, path, d % 3 ? 0750 : 0500), BAKE_OK);
        for (int f = 0; f < FILES; f++) {
            (void)snprintf(path, sizeof(path), "d%02d/f%02d", d, f);
            give(k, &c, path, path, 0);
        }
    }
    crowd_end(&c);
    kit_finish(k);
    assert_int_equal(c.failed + c.existing + c.same, 0);
    assert_int_equal(kit_counts(k).files, DIRS * FILES);
    assert_int_equal(kit_counts(k).dirs, DIRS);
    assert_int_equal(kit_counts(k).bytes, DIRS * FILES * 7);
    for (int d = 0; d < DIRS; d++) {
        (void)snprintf(path, sizeof(path), "d%02d", d);
        assert_int_equal(kit_stat(k, path).st_mode & 07777, d % 3 ? 0750 : 0500);
        assert_int_equal(mtime_of(k, path), T0);
        for (int f = 0; f < FILES; f++) {
            (void)snprintf(text, sizeof(text), "d%02d/f%02d", d, f);
            kit_content(kit_path(k, text), text);
            assert_int_equal(kit_stat(k, text).st_mode & 07777, 0644);
            assert_int_equal(mtime_of(k, text), T0);
        }
    }
    kit_no_tmp(k);
}

static void *let_go_soon(void *arg)
{
    (void)usleep(50000);
    crowd_hold(arg, 0);
    return NULL;
}

/* A hard link waits for the file it names, however long that takes. */
static void test_link_waits(void **state)
{
    struct kit *k = *state;
    struct crowd c;
    pthread_t timer;

    kit_open(k, 0);
    crowd_open(&c);
    crowd_hold(&c, 1);
    give(k, &c, "a/first", "one", 0);
    assert_int_equal(pthread_create(&timer, NULL, let_go_soon, &c), 0);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "b/second", "a/first"), BAKE_OK);
    (void)pthread_join(timer, NULL);
    crowd_end(&c);
    kit_finish(k);
    assert_int_equal(kit_stat(k, "b/second").st_ino, kit_stat(k, "a/first").st_ino);
}

/* The first name of a hard link was not good: the link fails, and does not wait for ever. */
static void test_link_of_lost(void **state)
{
    struct kit *k = *state;
    struct crowd c;

    kit_open(k, 0);
    crowd_open(&c);
    give(k, &c, "first", "one", 1);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "second", "first"), BAKE_E_NOTFOUND);
    crowd_end(&c);
    kit_finish(k);
    assert_true(kit_absent(k, "first"));
    assert_true(kit_absent(k, "second"));
    assert_int_equal(kit_counts(k).files, 0);
}

/* Going back into a directory that was left while files were still to come. */
static void test_back_again(void **state)
{
    struct kit *k = *state;
    struct crowd c;
    pthread_t timer;

    kit_open(k, 0);
    crowd_open(&c);
    crowd_hold(&c, 1);
    assert_int_equal(kit_dir(k, "d", 0500), BAKE_OK);
    give(k, &c, "d/one", "1", 0);
    assert_int_equal(kit_dir(k, "e", 0755), BAKE_OK);
    assert_int_equal(pthread_create(&timer, NULL, let_go_soon, &c), 0);
    give(k, &c, "d/two", "2", 0);
    (void)pthread_join(timer, NULL);
    assert_int_equal(kit_dir(k, "z", 0755), BAKE_OK);
    crowd_end(&c);
    kit_finish(k);
    kit_content(kit_path(k, "d/one"), "1");
    kit_content(kit_path(k, "d/two"), "2");
    assert_int_equal(kit_stat(k, "d").st_mode & 07777, 0500);
    assert_int_equal(mtime_of(k, "d"), T0);
}

/* What stands there is kept or replaced as by one thread. */
static void test_existing(void **state)
{
    struct kit *k = *state;
    struct crowd c;

    for (int force = 0; force <= 1; force++) {
        kit_open(k, force);
        crowd_open(&c);
        if (!force) {
            kit_write(kit_path(k, "differs"), "mine");
            assert_int_equal(mkdir(kit_path(k, "full"), 0755), 0);
            kit_write(kit_path(k, "full/x"), "x");
        }
        give(k, &c, "differs", "theirs", 0);
        give(k, &c, "full", "file", 0);
        give(k, &c, "new", "new", 0);
        crowd_end(&c);
        kit_finish(k);
        kit_content(kit_path(k, "differs"), force ? "theirs" : "mine");
        assert_int_equal(c.existing, force ? 1 : 2);
        assert_int_equal(c.same, 0);
        assert_int_equal(kit_counts(k).kept, force ? 1 : 2);
        assert_int_equal(kit_counts(k).files, force ? 2 : 1);
        kit_content(kit_path(k, "full/x"), "x");
        kit_content(kit_path(k, "new"), "new");
        kit_no_tmp(k);
    }
}

/* A second time all is the same, also for several threads. */
static void test_same(void **state)
{
    struct kit *k = *state;
    struct crowd c;
    char path[32];

    for (int turn = 0; turn < 2; turn++) {
        kit_open(k, 0);
        crowd_open(&c);
        for (int i = 0; i < 100; i++) {
            (void)snprintf(path, sizeof(path), "d%d/f%d", i / 10, i);
            give(k, &c, path, path, 0);
        }
        crowd_end(&c);
        kit_finish(k);
        assert_int_equal(c.same, turn ? 100 : 0);
        assert_int_equal(kit_counts(k).same, turn ? 100 : 0);
    }
}

/* Many directories at once, each with a file in flight, deeper than directories may be open. */
static void test_deep(void **state)
{
    enum { DEPTH = 300 };
    struct kit *k = *state;
    struct rlimit few, before;
    struct crowd c;
    char path[2 * DEPTH + 8] = "";

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 160;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    kit_open(k, 0);
    crowd_open(&c);
    for (int i = 0; i < DEPTH; i++) {
        size_t n = strlen(path);

        (void)snprintf(path + n, sizeof(path) - n, "f");
        give(k, &c, path, "x", 0);
        (void)snprintf(path + n, sizeof(path) - n, "d/");
    }
    crowd_end(&c);
    kit_finish(k);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(c.failed, 0);
    assert_int_equal(kit_counts(k).files, DEPTH);
}

/* Files that never begin, or are ended as bad, leave nothing. */
static void test_given_up(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "d/half");
    struct bkc_file *f;
    struct bake_in in = {"xy", 2, 0};

    kit_open(k, 0);
    e.size = 4;
    assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_OK);
    bkc_file_free(f);
    assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_OK);
    assert_int_equal(bkc_file_begin(f, &k->ctx), BAKE_OK);
    assert_int_equal(bkc_file_write(f, &in), BAKE_OK);
    assert_int_equal(bkc_file_end(f, 1), BAKE_E_CORRUPT);
    assert_non_null(strstr(k->error, "less data"));
    bkc_file_free(f);
    assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_OK);
    assert_int_equal(bkc_file_end(f, 1), BAKE_E_INTERNAL);
    bkc_file_free(f);
    e = kit_entry(BAKE_DIR, "d2");
    assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_E_INTERNAL);
    e = kit_entry(BAKE_FILE, "../out");
    assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_E_CORRUPT);
    kit_finish(k);
    assert_true(kit_absent(k, "d/half"));
    kit_no_tmp(k);
}

/* A new file's mode and owner are right though not each is looked at: any umask, set-gid. */
static void test_modes(void **state)
{
    static const uint32_t modes[] = {0644, 0600, 0777, 0000, 0466, 04755, 02711, 0640};
    struct kit *k = *state;
    struct bkc_file *f;
    char path[32];

    for (int mask = 0; mask < 2; mask++) {
        (void)umask(mask ? 077 : 0);
        kit_open(k, 1);
        for (size_t turn = 0; turn < 3; turn++)
            for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
                struct bake_entry e;

                (void)snprintf(path, sizeof(path), "m%d/f%zu.%zu", mask, turn, i);
                e = kit_entry(BAKE_FILE, path);
                e.mode = modes[i];
                assert_int_equal(bkc_extract_file(k->x, &e, &f), BAKE_OK);
                assert_int_equal(bkc_file_begin(f, &k->ctx), BAKE_OK);
                assert_int_equal(bkc_file_end(f, 1), BAKE_OK);
                bkc_file_free(f);
                assert_int_equal(kit_stat(k, path).st_mode & 07777, modes[i]);
                assert_int_equal(kit_stat(k, path).st_uid, geteuid());
            }
        kit_finish(k);
    }
    (void)umask(022);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_link_waits, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_link_of_lost, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_back_again, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_existing, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_same, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_deep, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_given_up, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(test_modes, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
