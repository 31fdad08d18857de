/* What the way back reads: accounts' statements, obligations, binary logs' times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "at_logs.h"
#include "fakehost.h"
#include "physical_restore.h"
#include "restore.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END "-- bakengine: end\n"

static int take(struct fakehost *f, struct my_restore *r, const char *text)
{
    fakehost_clear(f);
    return my_users_take(r, &f->ctx, text, strlen(text));
}

static void accounts(void **state)
{
    (void)state;
    struct fakehost f;
    struct my_restore r = {0};
    fakehost_init(&f);
    assert_int_equal(take(&f, &r,
                          "-- bakengine: accounts of MariaDB 10.11\n"
                          "CREATE ROLE IF NOT EXISTS `r`;\nGRANT `r` TO `u`@`%`;\n" END),
                     BAKE_OK);
    assert_int_equal(r.users.n, 2);
    assert_string_equal(r.users.lines[1], "GRANT `r` TO `u`@`%`");
    assert_int_equal(take(&f, &r, "GRANT `r` TO `u`@`%`;\n"), BAKE_E_CORRUPT);
    assert_int_equal(take(&f, &r, ""), BAKE_E_CORRUPT);
    assert_int_equal(take(&f, &r, END "GRANT `r` TO `u`@`%`;\n"), BAKE_E_CORRUPT);
    assert_int_equal(take(&f, &r, "DROP DATABASE shop;\n" END), BAKE_E_CORRUPT);
    assert_int_equal(take(&f, &r, "GRANT `r` TO `u`@`%`\n" END), BAKE_E_CORRUPT);
    assert_null(strstr(f.fail, "GRANT")); /* statements hold hashes */
    my_users_release(&r);
    fakehost_free(&f);
}

static void parts(void **state)
{
    (void)state;
    char a[] = "a*", b[] = "shop.b", *const list[] = {a, b, NULL};
    assert_true(my_part_wanted(NULL, "shop", "x"));
    assert_true(my_part_wanted(list, "shop", "abc"));
    assert_true(my_part_wanted(list, "shop", "b"));
    assert_false(my_part_wanted(list, "other", "b"));
    assert_false(my_part_wanted(list, "shop", "c"));
}

/* What cannot be one of ours is never acted upon: no server is there to be asked, even. */
static void bad_obligations(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool mine;
        int rc;
    } list[] = {
        {"", false, BAKE_OK},
        {"{\"kind\":\"base\"}", false, BAKE_OK},
        {"{\"kind\":\"mariadb\",\"phase\":\"staging\",\"databases\":[{\"target\":\"a\",\"fresh\":"
         "\"shop\",\"old\":\"x_bakengine_old_1\"}]}",
         true, BAKE_E_CORRUPT},
        {"{\"kind\":\"mariadb\",\"phase\":\"staging\",\"databases\":[{\"target\":\"a\",\"fresh\":"
         "\"x_bakengine_1\",\"old\":\"shop\"}]}",
         true, BAKE_E_CORRUPT},
        {"{\"kind\":\"mariadb\",\"phase\":\"staging\",\"databases\":[{}]}", true, BAKE_E_CORRUPT},
        {"{\"kind\":\"mariadb\",\"phase\":\"staging\",\"databases\":[],\"accounts\":[\"DROP "
         "DATABASE shop\"]}",
         true, BAKE_E_CORRUPT},
    };
    struct my_config cfg = {.socket = "/nonexistent/s", .timeout = 1000};
    struct fakehost f;
    fakehost_init(&f);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        bool mine = false;
        assert_int_equal(my_switch_redeem(&f.ctx, &cfg, list[i].what, &mine), list[i].rc);
        assert_int_equal(mine, list[i].mine);
    }
    fakehost_free(&f);
}

/* The old directory stands aside, the new one in its place: back, or done. */
static void directories(void **state)
{
    (void)state;
    struct fakehost f;
    char root[] = "/tmp/bake-my-way.XXXXXX", text[1000], path[300];
    fakehost_init(&f);
    assert_non_null(mkdtemp(root));
    for (int done = 0; done < 2; done++) {
        struct stat st;
        bool mine = false;
        (void)snprintf(path, sizeof(path), "%s/d.bakengine-old-1", root);
        assert_int_equal(mkdir(path, 0700), 0);
        (void)snprintf(path, sizeof(path), "%s/d.bakengine-old-1/f", root);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        (void)snprintf(path, sizeof(path), "%s/d", root);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(stat(path, &st), 0);
        (void)snprintf(text, sizeof(text),
                       "{\"kind\":\"mariadb-base\",\"phase\":\"%s\",\"stage\":\"%s/"
                       "d.bakengine-new-1\",\"aside\":\"%s/d.bakengine-old-1\",\"target\":\"%s/d\","
                       "\"device\":%llu,\"inode\":%llu}",
                       done ? "done" : "switching", root, root, root, (unsigned long long)st.st_dev,
                       (unsigned long long)st.st_ino);
        for (int again = 0; again < 2; again++)
            assert_int_equal(my_way_redeem(&f.ctx, text, &mine), BAKE_OK);
        assert_true(mine);
        (void)snprintf(path, sizeof(path), "%s/d/f", root);
        assert_int_equal(access(path, F_OK), done ? -1 : 0);
        (void)unlink(path);
        (void)snprintf(path, sizeof(path), "%s/d", root);
        assert_int_equal(rmdir(path), 0);
    }
    bool mine = false;
    (void)snprintf(
        text, sizeof(text),
        "{\"kind\":\"mariadb-base\",\"stage\":\"%s\",\"aside\":\"%s\",\"target\":\"%s\"}", root,
        root, root);
    assert_int_equal(my_way_redeem(&f.ctx, text, &mine), BAKE_E_CORRUPT);
    assert_int_equal(rmdir(root), 0); /* nothing was left beside it */
    fakehost_free(&f);
}

static void event(unsigned char *at, uint32_t when, uint32_t length)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(when >> (8 * i));
        at[9 + i] = (unsigned char)(length >> (8 * i));
    }
}

static void times(void **state)
{
    (void)state;
    struct fakehost f;
    char path[] = "/tmp/bake-my-binlog.XXXXXX";
    unsigned char data[100] = {0xfe, 'b', 'i', 'n'};
    int64_t first = 0, last = 0;
    int fd = mkstemp(path);
    fakehost_init(&f);
    assert_true(fd >= 0);
    event(data + 4, 1000, 30);
    event(data + 34, 3000, 40);
    event(data + 74, 2000, 26);
    assert_int_equal(pwrite(fd, data, 100, 0), 100);
    assert_int_equal(my_binlog_times(&f.ctx, path, &first, &last), BAKE_OK);
    assert_int_equal(first, 1000);
    assert_int_equal(last, 3000);
    event(data + 34, 3000, 5); /* no event is as short: the rest is not looked at */
    assert_int_equal(pwrite(fd, data, 100, 0), 100);
    assert_int_equal(my_binlog_times(&f.ctx, path, &first, &last), BAKE_OK);
    assert_int_equal(last, 1000);
    (void)close(fd);
    (void)unlink(path);
    assert_int_equal(my_binlog_times(&f.ctx, path, &first, &last), BAKE_E_IO);
    fakehost_free(&f);
}

static size_t statement(unsigned char *at, const char *from, const char *text)
{
    size_t n = 19 + 13 + 2 + strlen(from) + 1 + strlen(text) + 4;
    memset(at, 0, n);
    event(at, 500, (uint32_t)n);
    at[4] = 2;
    at[19 + 8] = (unsigned char)strlen(from);
    at[19 + 11] = 2; /* bytes of variables */
    memcpy(at + 19 + 13 + 2, from, strlen(from) + 1);
    memcpy(at + 19 + 13 + 2 + strlen(from) + 1, text, strlen(text));
    return n;
}

static void strays(void **state)
{
    (void)state;
    static const char *const list[][2] = {{"shop", "insert into t values (1)"},
                                          {"", "GRANT ALL ON shop.* TO x"},
                                          {"", "create user shop"},
                                          {"other", "alter table t add column i int"},
                                          {"", "alter table shop.t add column i int"},
                                          {"other", " Insert into `shop`.t values (1)"}};
    struct fakehost f;
    char path[] = "/tmp/bake-my-binlog.XXXXXX";
    unsigned char data[2000] = {0xfe, 'b', 'i', 'n'};
    size_t n = 4, fifth = 0;
    uint64_t found = 0, where = 0;
    for (size_t i = 0; i < 6; i++) {
        fifth = i == 4 ? n : fifth;
        n += statement(data + n, list[i][0], list[i][1]);
    }
    int fd = mkstemp(path);
    fakehost_init(&f);
    assert_int_equal(write(fd, data, n), n);
    assert_int_equal(my_binlog_strays(&f.ctx, path, "shop", 0, 501, &found, &where), BAKE_OK);
    assert_int_equal(found, 2);
    assert_int_equal(where, fifth);
    found = 0;
    assert_int_equal(my_binlog_strays(&f.ctx, path, "shop", fifth + 1, 501, &found, &where),
                     BAKE_OK);
    assert_int_equal(found, 1);
    found = 0;
    assert_int_equal(my_binlog_strays(&f.ctx, path, "shop", 0, 500, &found, &where), BAKE_OK);
    assert_int_equal(found, 0);
    for (size_t at = 4; at < n; at++) { /* nothing in it is trusted */
        unsigned char was = data[at];
        data[at] = 0xff;
        assert_int_equal(pwrite(fd, data, n, 0), n);
        assert_int_equal(my_binlog_strays(&f.ctx, path, "shop", 0, 501, &found, &where), BAKE_OK);
        data[at] = was;
    }
    (void)close(fd);
    (void)unlink(path);
    fakehost_free(&f);
}

/* What must be done is not broken off, and its failures can be kept apart. */
static void calm(void **state)
{
    (void)state;
    struct fakehost f;
    struct my_calm c;
    struct my_hush h;
    fakehost_init(&f);
    fakehost_cancel(&f);
    my_calm(&c, &f.ctx);
    my_hush(&h, &f.ctx);
    assert_true(f.ctx.host->cancelled(&f.ctx));
    assert_false(c.ctx.host->cancelled(&c.ctx));
    assert_int_equal(h.ctx.host->cancel_fd(&h.ctx), -1);
    assert_int_equal(c.ctx.host->sleep_ms(&c.ctx, 1), BAKE_OK);
    assert_int_equal(bake_fail(&h.ctx, BAKE_E_IO, "one %d", 1), BAKE_E_IO);
    (void)bake_fail(&h.ctx, BAKE_E_IO, "two");
    assert_string_equal(h.text, "one 1");
    assert_int_equal(f.failed, 0);
    (void)bake_fail(&c.ctx, BAKE_E_IO, "three");
    assert_string_equal(f.fail, "three");
    fakehost_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts),    cmocka_unit_test(parts), cmocka_unit_test(bad_obligations),
        cmocka_unit_test(directories), cmocka_unit_test(times), cmocka_unit_test(strays),
        cmocka_unit_test(calm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
