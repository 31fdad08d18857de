/* The extractor against entries that want out of the root, and against what is in the way. */
#include "tree_kit.h"

/* The file that no trick may change or reach. */
static const char *victim(const struct kit *k)
{
    static char path[220];

    (void)snprintf(path, sizeof(path), "%s/victim", k->dir);
    return path;
}

static void refused(struct kit *k, const char *path, const char *why)
{
    k->error[0] = '\0';
    assert_int_equal(kit_file(k, path, "evil"), BAKE_E_CORRUPT);
    assert_non_null(strstr(k->error, why));
    assert_int_equal(kit_dir(k, path, 0755), strcmp(path, ".") == 0 ? BAKE_OK : BAKE_E_CORRUPT);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, path, "x"), BAKE_E_CORRUPT);
}

static void test_bad_paths(void **state)
{
    struct kit *k = *state;

    kit_open(k, 1);
    refused(k, "/etc/passwd", "absolute");
    refused(k, "../victim", "'..'");
    refused(k, "a/../../victim", "'..'");
    refused(k, "a/..", "'..'");
    refused(k, "..", "'..'");
    refused(k, "./a", "'.'");
    refused(k, "a/./b", "'.'");
    refused(k, ".", "'.'");
    refused(k, "a//b", "part ''");
    refused(k, "a/", "part ''");
    refused(k, "", "empty");
    refused(k, "/", "absolute");
    assert_int_equal(kit_file(k, "...", "fine"), BAKE_OK);
    assert_int_equal(kit_file(k, "..a", "fine"), BAKE_OK);
    kit_finish(k);
    assert_true(kit_absent(k, "a"));
    assert_true(kit_absent(k, "../victim"));
}

static void test_messages_are_tame(void **state)
{
    struct kit *k = *state;
    char path[6000];

    kit_open(k, 0);
    assert_int_equal(kit_file(k, "/a\033[2Jb\n", "x"), BAKE_E_CORRUPT);
    assert_non_null(strstr(k->error, "/a\\x1b[2Jb\\x0a"));
    memset(path, 'y', sizeof(path));
    memcpy(path, "/begin", 6);
    memcpy(path + sizeof(path) - 5, "/end", 5);
    assert_int_equal(kit_file(k, path, "x"), BAKE_E_CORRUPT);
    assert_true(strlen(k->error) < 500);
    assert_non_null(strstr(k->error, "/begin"));
    assert_non_null(strstr(k->error, "/end"));
}

static void write_through(struct kit *k, int force)
{
    kit_open(k, force);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "out", ".."), BAKE_OK);
    assert_int_equal(kit_file(k, "out/victim", "evil"), BAKE_E_IO);
    assert_non_null(strstr(k->error, "symbolic link"));
    assert_int_equal(kit_file(k, "out/new/deep", "evil"), BAKE_E_IO);
    assert_int_equal(kit_dir(k, "out/newdir", 0755), BAKE_E_IO);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "out/h", "out"), BAKE_E_IO);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "out/victim"), BAKE_E_IO);
    assert_true(kit_absent(k, "h"));
    /* a link in the middle of a path that was real a moment ago */
    assert_int_equal(kit_file(k, "d/e/f", "ok"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "d/e", "../../.."), BAKE_E_EXISTS);
    assert_int_equal(kit_file(k, "d/e/g", "ok"), BAKE_OK);
    kit_finish(k);
    kit_content(victim(k), "safe");
    assert_true(kit_absent(k, "../new"));
    assert_true(kit_absent(k, "../newdir"));
    assert_true(kit_absent(k, "../h"));
    kit_content(kit_path(k, "d/e/g"), "ok");
}

static void test_planted_symlink(void **state)
{
    kit_write(victim(*state), "safe");
    write_through(*state, 0);
}

static void test_planted_symlink_force(void **state)
{
    kit_write(victim(*state), "safe");
    write_through(*state, 1);
}

static void test_symlink_on_disk(void **state)
{
    struct kit *k = *state;

    kit_write(victim(k), "safe");
    assert_int_equal(symlink(k->dir, kit_path(k, "there")), 0);
    assert_int_equal(symlink(victim(k), kit_path(k, "file")), 0);
    kit_open(k, 0);
    assert_int_equal(kit_file(k, "there/victim", "evil"), BAKE_E_IO);
    assert_int_equal(kit_dir(k, "there", 0700), BAKE_E_EXISTS);
    assert_int_equal(kit_file(k, "file", "evil"), BAKE_E_EXISTS);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "there/victim", "evil"), BAKE_E_IO);
    assert_int_equal(kit_file(k, "file", "new"), BAKE_OK); /* the link itself is replaced */
    assert_int_equal(kit_dir(k, "there", 0700), BAKE_OK);
    assert_int_equal(kit_file(k, "there/victim", "inside"), BAKE_OK);
    kit_finish(k);
    assert_true(S_ISREG(kit_stat(k, "file").st_mode));
    assert_true(S_ISDIR(kit_stat(k, "there").st_mode));
    kit_content(victim(k), "safe");
    kit_no_tmp(k);
}

static void test_hard_links(void **state)
{
    struct kit *k = *state;

    kit_write(victim(k), "safe");
    kit_open(k, 0);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "../victim"), BAKE_E_CORRUPT);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", victim(k)), BAKE_E_CORRUPT);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", NULL), BAKE_E_CORRUPT);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "missing"), BAKE_E_NOTFOUND);
    assert_int_equal(kit_dir(k, "d", 0755), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "h", "d"), BAKE_E_IO);
    assert_int_equal(kit_file(k, "d/file", "text"), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "e/h", "d/file"), BAKE_OK);
    assert_int_equal(kit_stat(k, "e/h").st_ino, kit_stat(k, "d/file").st_ino);
    assert_int_equal(kit_stat(k, "e/h").st_nlink, 2);
    /* a link to a symbolic link is another name of it, and writing to it changes nothing else */
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "s", victim(k)), BAKE_OK);
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "hs", "s"), BAKE_OK);
    assert_true(S_ISLNK(kit_stat(k, "hs").st_mode));
    assert_int_equal(kit_file(k, "hs", "evil"), BAKE_E_EXISTS);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "hs", "mine"), BAKE_OK);
    assert_true(S_ISREG(kit_stat(k, "hs").st_mode));
    kit_finish(k);
    kit_content(victim(k), "safe");
    kit_no_tmp(k);
}

/* A hard link's data must not be changed through another name when a file is replaced. */
static void test_replacing_breaks_links(void **state)
{
    struct kit *k = *state;

    kit_write(kit_path(k, "a"), "old");
    assert_int_equal(link(kit_path(k, "a"), kit_path(k, "b")), 0);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "a", "new"), BAKE_OK);
    kit_content(kit_path(k, "b"), "old");
    kit_content(kit_path(k, "a"), "new");
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "b", "a"), BAKE_OK);
    kit_content(kit_path(k, "b"), "new");
    assert_int_equal(kit_link(k, BAKE_HARDLINK, "b", "a"), BAKE_OK); /* once more: no change */
    assert_int_equal(kit_stat(k, "b").st_nlink, 2);
    kit_no_tmp(k);
}

static void test_type_swaps(void **state)
{
    struct kit *k = *state;

    assert_int_equal(mkdir(kit_path(k, "empty"), 0755), 0);
    assert_int_equal(mkdir(kit_path(k, "full"), 0755), 0);
    kit_write(kit_path(k, "full/x"), "x");
    kit_write(kit_path(k, "file"), "old");
    kit_open(k, 0);
    assert_int_equal(kit_file(k, "empty", "f"), BAKE_E_EXISTS);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "empty", "f"), BAKE_E_EXISTS);
    assert_int_equal(kit_dir(k, "file", 0755), BAKE_E_EXISTS);
    assert_int_equal(kit_file(k, "file/below", "f"), BAKE_E_IO);
    assert_int_equal(kit_counts(k).kept, 3);
    kit_content(kit_path(k, "file"), "old");
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "full", "f"), BAKE_E_EXISTS);
    assert_non_null(strstr(k->error, "not empty"));
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "full", "f"), BAKE_E_EXISTS);
    assert_non_null(strstr(k->error, "not empty"));
    assert_int_equal(kit_file(k, "empty", "f"), BAKE_OK);
    assert_int_equal(kit_dir(k, "file", 0750), BAKE_OK);
    assert_int_equal(kit_file(k, "file/below", "b"), BAKE_OK);
    kit_finish(k);
    kit_content(kit_path(k, "empty"), "f");
    kit_content(kit_path(k, "file/below"), "b");
    kit_content(kit_path(k, "full/x"), "x");
    assert_int_equal(kit_stat(k, "file").st_mode & 07777, 0750);
    assert_int_equal(kit_link(k, BAKE_SYMLINK, "empty", "to"), BAKE_OK);
    assert_true(S_ISLNK(kit_stat(k, "empty").st_mode));
    kit_no_tmp(k);
}

static void test_bad_data_leave_nothing(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "new");
    struct bake_in in = {"12345", 5, 0};

    kit_write(kit_path(k, "old"), "old");
    kit_open(k, 1);
    e.size = 5;
    assert_int_equal(bkc_extract_put(k->x, &e), BAKE_OK);
    assert_int_equal(bkc_extract_write(k->x, &in), BAKE_OK);
    assert_true(kit_absent(k, "new"));
    assert_int_equal(bkc_extract_end(k->x, 0), BAKE_OK);
    assert_true(kit_absent(k, "new"));
    e.path = "old";
    assert_int_equal(kit_put(k, &e, "123", 3), BAKE_E_CORRUPT); /* too short */
    assert_int_equal(kit_put(k, &e, "123456", 6), BAKE_E_CORRUPT);
    kit_content(kit_path(k, "old"), "old");
    /* in the middle of one: close, and a call out of order */
    assert_int_equal(bkc_extract_put(k->x, &e), BAKE_OK);
    assert_int_equal(bkc_extract_put(k->x, &e), BAKE_E_INTERNAL);
    bkc_extract_close(k->x);
    k->x = NULL;
    kit_no_tmp(k);
    kit_content(kit_path(k, "old"), "old");
    kit_open(k, 0);
    in.pos = 0;
    assert_int_equal(bkc_extract_write(k->x, &in), BAKE_E_INTERNAL);
    e = kit_entry(BAKE_SYMLINK, "bad");
    e.link = "x";
    assert_int_equal(bkc_extract_put(k->x, &e), BAKE_OK);
    assert_int_equal(bkc_extract_end(k->x, 0), BAKE_OK);
    assert_true(kit_absent(k, "bad"));
}

static void test_nonsense(void **state)
{
    struct kit *k = *state;
    struct bake_entry e = kit_entry(BAKE_FILE, "f");
    struct bake_extent twice[] = {{0, 4}, {2, 4}}, far[] = {{4, 8}};

    kit_open(k, 0);
    e.size = 10;
    e.extents = twice;
    e.n_extents = 2;
    assert_int_equal(kit_put(k, &e, "12345678", 8), BAKE_E_CORRUPT);
    e.extents = far;
    e.n_extents = 1;
    assert_int_equal(kit_put(k, &e, "12345678", 8), BAKE_E_CORRUPT);
    far[0] = (struct bake_extent){8, UINT64_MAX};
    assert_int_equal(kit_put(k, &e, "12345678", 8), BAKE_E_CORRUPT);
    e.extents = NULL;
    e.size = UINT64_MAX;
    assert_int_equal(kit_put(k, &e, "1", 1), BAKE_E_CORRUPT);
    e = kit_entry(99, "f");
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_UNSUPPORTED);
    e = kit_entry(BAKE_SYMLINK, "f");
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_CORRUPT);
    e = kit_entry(BAKE_FILE, "f");
    e.valid |= BAKE_HAS_XATTRS;
    e.xattrs = "user.a\0\377\0\0\0v";
    e.xattrs_size = 12;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_CORRUPT);
    e.xattrs_size = 3;
    assert_int_equal(kit_put(k, &e, NULL, 0), BAKE_E_CORRUPT);
    kit_finish(k);
    assert_true(kit_absent(k, "f"));
    kit_no_tmp(k);
}

static void test_root_must_exist(void **state)
{
    struct kit *k = *state;
    char path[220];
    struct bkc_extract_opts o = {.root = path, .parent_mode = 0755};

    (void)snprintf(path, sizeof(path), "%s/missing", k->dir);
    assert_int_equal(bkc_extract_open(&k->ctx, &o, &k->x), BAKE_E_NOTFOUND);
    kit_write(path, "a file");
    assert_int_equal(bkc_extract_open(&k->ctx, &o, &k->x), BAKE_E_IO);
    assert_null(k->x);
}

/* The same entry twice: the first stays, or the last with force. */
static void test_doubles(void **state)
{
    struct kit *k = *state;

    kit_open(k, 0);
    assert_int_equal(kit_file(k, "d/f", "one"), BAKE_OK);
    assert_int_equal(kit_file(k, "d/f", "three"), BAKE_E_EXISTS);
    assert_int_equal(kit_file(k, "d/f", "two"), BAKE_E_EXISTS);
    assert_int_equal(kit_counts(k).kept, 1);
    assert_int_equal(kit_counts(k).same, 1); /* size and time are equal */
    kit_content(kit_path(k, "d/f"), "one");
    kit_finish(k);
    kit_open(k, 1);
    assert_int_equal(kit_file(k, "e/f", "one"), BAKE_OK);
    assert_int_equal(kit_file(k, "e/f", "two"), BAKE_OK);
    kit_content(kit_path(k, "e/f"), "two");
    kit_no_tmp(k);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bad_paths),
        TEST(test_messages_are_tame),
        TEST(test_planted_symlink),
        TEST(test_planted_symlink_force),
        TEST(test_symlink_on_disk),
        TEST(test_hard_links),
        TEST(test_replacing_breaks_links),
        TEST(test_type_swaps),
        TEST(test_bad_data_leave_nothing),
        TEST(test_nonsense),
        TEST(test_root_must_exist),
        TEST(test_doubles),
    };
    return cmocka_run_group_tests_name("tree_safe", tests, NULL, NULL);
}
