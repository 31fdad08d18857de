/* Where to connect: options over the user's option files, and the text that tools are given. */
#include "login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct home {
    char folder[64];
};

static void put(const struct home *h, const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof(path), "%s/%s", h->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    struct home *h = calloc(1, sizeof(*h));
    if (!h)
        return -1;
    (void)snprintf(h->folder, sizeof(h->folder), "/tmp/test_my_login.XXXXXX");
    if (!mkdtemp(h->folder) || setenv("HOME", h->folder, 1) != 0)
        return -1;
    (void)unsetenv("MYSQL_HOME");
    (void)unsetenv("MARIADB_HOME");
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct home *h = *state;
    static const char *const names[] = {".my.cnf", "more.cnf", "d/a.cnf", "d/b.cnf", "d/no.txt"};
    char path[200];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", h->folder, names[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof(path), "%s/d", h->folder);
    (void)rmdir(path);
    int rc = rmdir(h->folder);
    free(h);
    return rc;
}

static void files(void **state)
{
    struct home *h = *state;
    struct my_login l;
    struct my_config cfg = {0};
    char text[600], folder[100];
    put(h, ".my.cnf",
        "[mysqldump]\nuser=wrong\nno-data\n[client] # ours\n# comment\n; and another\n"
        "  user = \"o'dd \\\"x\\\\\"   # end\npassword='a#b;c\\n'\nport=3310\nhost = db # there\n"
        "ssl_ca=/ca\nssl-verify-server-cert\n[mariadb-dump]\npassword=wrong\n");
    assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
    assert_string_equal(l.user, "o'dd \"x\\");
    assert_string_equal(l.password, "a#b;c\n");
    assert_string_equal(l.host, "db");
    assert_int_equal(l.port, 3310);
    assert_string_equal(l.ca, "/ca");
    assert_int_equal(l.tls, MY_TLS_VERIFY);
    my_login_release(&l);
    /* options win; another place takes nothing of the files' */
    cfg = (struct my_config){.socket = "/s", .user = "me", .tls = MY_TLS_OFF};
    assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
    assert_string_equal(l.socket, "/s");
    assert_null(l.host);
    assert_int_equal(l.port, 0);
    assert_string_equal(l.user, "me");
    assert_string_equal(l.password, "a#b;c\n");
    assert_int_equal(l.tls, MY_TLS_OFF);
    my_login_release(&l);
    cfg = (struct my_config){.port = 7};
    assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
    assert_string_equal(l.host, "127.0.0.1");
    my_login_release(&l);
    /* includes, in order; groups end with the file; one that includes itself ends */
    (void)snprintf(folder, sizeof(folder), "%s/d", h->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    put(h, "d/b.cnf", "[client]\nuser=b\n");
    put(h, "d/a.cnf", "[client-mariadb]\nuser=a\npassword=pa\n");
    put(h, "d/no.txt", "[client]\nuser=no\n");
    put(h, "more.cnf", "user=none\n[client]\nloose-skip-ssl\n");
    (void)snprintf(text, sizeof(text),
                   "!includedir %s/d\n!include %s/more.cnf\n!include %s/.my.cnf\n", h->folder,
                   h->folder, h->folder);
    put(h, ".my.cnf", text);
    cfg = (struct my_config){0};
    assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
    assert_string_equal(l.user, "b");
    assert_string_equal(l.password, "pa");
    assert_int_equal(l.tls, MY_TLS_OFF);
    my_login_release(&l);
    /* one that everyone may write to */
    put(h, ".my.cnf", "[client]\nuser=x\n");
    (void)snprintf(text, sizeof(text), "%s/.my.cnf", h->folder);
    assert_int_equal(chmod(text, 0666), 0);
    assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
    assert_null(l.user);
    my_login_release(&l);
}

/* What is written is read back as it was, whatever is in it. */
static void text_and_back(void **state)
{
    static const char *const odd[] = {"a'b\"c\\d#e;f=g h\ti\nj\rk\bl",
                                      " x ",
                                      "\"",
                                      "'",
                                      "\\",
                                      "#",
                                      "\\n",
                                      "[client]",
                                      "é😀",
                                      "''",
                                      "\"\"",
                                      ""};
    struct home *h = *state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct my_config cfg = {.host = "db", .port = 5, .user = "u", .password = odd[i]};
        struct my_login l;
        assert_int_equal(my_login_make(&cfg, NULL, &l), BAKE_OK);
        char *text = my_login_text(&l);
        my_login_release(&l);
        put(h, ".my.cnf", text);
        free(text);
        assert_int_equal(my_login_make(&(struct my_config){0}, NULL, &l), BAKE_OK);
        assert_string_equal(l.password, odd[i]);
        assert_string_equal(l.host, "db");
        assert_int_equal(l.port, 5);
        my_login_release(&l);
    }
    /* a place of our own: nothing of the files' */
    struct my_place place = {"/p", "root", NULL};
    struct my_login l;
    assert_int_equal(my_login_make(&(struct my_config){.host = "db"}, &place, &l), BAKE_OK);
    char *text = my_login_text(&l);
    assert_string_equal(text, "[client]\nsocket=\"/p\"\nuser=\"root\"\npassword=\"\"\nskip-ssl\n");
    free(text);
    my_login_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files, setup, teardown),
        cmocka_unit_test_setup_teardown(text_and_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
