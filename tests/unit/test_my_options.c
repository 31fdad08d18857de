/* Options of the MariaDB source: what is refused, and what a probe says without a server. */
#include "fakehost.h"
#include "ops.h"
#include "tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GLOBS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    struct fakehost *host = calloc(1, sizeof(*host));
    if (!host)
        return -1;
    fakehost_init(host);
    *state = host;
    return 0;
}

static int teardown(void **state)
{
    fakehost_free(*state);
    free(*state);
    return 0;
}

static void options(void **state)
{
    struct fakehost *host = *state;
    const struct {
        struct my_config cfg;
        const char *text; /* NULL: it is right */
    } list[] = {
        {{.port = 0}, NULL},
        {{.host = "db", .port = 3307, .tls = MY_TLS_VERIFY, .ca = "/ca"}, NULL},
        {{.socket = "/run/s", .host = "db"}, "'socket' goes with neither"},
        {{.socket = "/run/s", .port = 1}, "'socket' goes with neither"},
        {{.socket = "s"}, "'s' is no absolute path"},
        {{.cert = "/c"}, "'cert' and 'key' go together"},
        {{.key = "/k"}, "'cert' and 'key' go together"},
        {{.tls = MY_TLS_OFF, .ca = "/ca"}, "'tls: off'"},
        {{.databases = GLOBS("shop*", "[a-z]")}, NULL},
        {{.databases = GLOBS("[a")}, "'databases': '[a' can never match"},
        {{.exclude_databases = GLOBS("")}, "'exclude_databases'"},
        {{.exclude_tables = GLOBS("x[")}, "'exclude_tables'"},
        {{.mode = MY_PHYSICAL}, NULL},
        {{.mode = MY_PHYSICAL, .databases = GLOBS("a")}, "copies the whole server"},
        {{.mode = MY_PHYSICAL, .exclude_tables = GLOBS("a")}, "copies the whole server"},
        {{.check = GLOBS("shop: SELECT 1")}, NULL},
        {{.check = GLOBS("SELECT 1")}, "'check': 'SELECT 1' does not say in which database"},
        {{.check = GLOBS("shop:  ")}, "'check'"},
        {{.check = GLOBS(": SELECT 1")}, "'check'"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        fakehost_clear(host);
        int rc = my_validate(&host->ctx, &list[i].cfg);
        assert_int_equal(rc, list[i].text ? BAKE_E_CONFIG : BAKE_OK);
        if (list[i].text && !strstr(host->fail, list[i].text))
            fail_msg("'%s' is not in '%s'", list[i].text, host->fail);
    }
}

static void no_server(void **state)
{
    struct fakehost *host = *state;
    struct my_config cfg = {.socket = "/nonexistent/s.sock", .timeout = 2000, .user = "u"};
    assert_int_equal(my_probe(&host->ctx, &cfg), BAKE_E_UNAVAILABLE);
    assert_non_null(strstr(host->fail, "/nonexistent/s.sock"));
    assert_non_null(strstr(host->fail, "HINT"));
    cfg = (struct my_config){.host = "127.0.0.1", .port = 1, .timeout = 2000, .user = "u"};
    assert_int_equal(my_probe(&host->ctx, &cfg), BAKE_E_UNAVAILABLE);
    assert_non_null(strstr(host->fail, "127.0.0.1:1"));
    fakehost_cancel(host);
    assert_int_equal(my_probe(&host->ctx, &cfg), BAKE_E_CANCELLED);
}

static void program(const char *folder, const char *name, const char *script)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

/* Tools are found by name, older names only when they are MariaDB's; releases are compared. */
static void tools(void **state)
{
    struct fakehost *host = *state;
    char folder[] = "/tmp/test_my_options.XXXXXX", *path = NULL, *version = NULL;
    assert_non_null(mkdtemp(folder));
    struct my_config cfg = {.bin = folder};
    assert_int_equal(my_tool(&host->ctx, &cfg, "mariadb-dump", 101100, &path, &version),
                     BAKE_E_NOTFOUND);
    assert_non_null(strstr(host->fail, "install mariadb-client"));
    program(folder, "mysqldump", "echo 'mysqldump  Ver 8.0.36 for Linux on x86_64'");
    assert_int_equal(my_tool(&host->ctx, &cfg, "mariadb-dump", 101100, &path, &version),
                     BAKE_E_UNSUPPORTED);
    program(folder, "mysqldump", "echo 'mysqldump Ver 10.19 Distrib 10.6.2-MariaDB, for x'");
    assert_int_equal(my_tool(&host->ctx, &cfg, "mariadb-dump", 101119, &path, &version),
                     BAKE_E_UNSUPPORTED);
    assert_non_null(strstr(host->fail, "is of MariaDB 10.6.2, the server is of 10.11"));
    assert_int_equal(my_tool(&host->ctx, &cfg, "mariadb-dump", 100619, &path, &version), BAKE_OK);
    assert_string_equal(version, "10.6.2");
    assert_non_null(strstr(path, "/mysqldump"));
    free(path);
    free(version);
    program(folder, "mariadb-dump", "echo 'mariadb-dump from 11.4.2-MariaDB, client 10.19' >&2");
    assert_int_equal(my_tool(&host->ctx, &cfg, "mariadb-dump", 101119, &path, &version), BAKE_OK);
    assert_string_equal(version, "11.4.2");
    assert_non_null(strstr(path, "/mariadb-dump"));
    free(path);
    free(version);
    char name[300];
    (void)snprintf(name, sizeof(name), "%s/mysqldump", folder);
    (void)unlink(name);
    (void)snprintf(name, sizeof(name), "%s/mariadb-dump", folder);
    (void)unlink(name);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(options, setup, teardown),
        cmocka_unit_test_setup_teardown(no_server, setup, teardown),
        cmocka_unit_test_setup_teardown(tools, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
