/* The tools: which of them are found, and how they are told where to connect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "tools.h"
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void versions(void **state)
{
    (void)state;
    static const struct {
        const char *said, *version;
        int major;
    } list[] = {
        {"pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", "15.18", 15},
        {"pg_dump (PostgreSQL) 9.6.24\n", "9.6.24", 9},
        {"psql (PostgreSQL) 19devel\n", "19devel", 19},
        {"postgres (PostgreSQL) 17beta1 (Ubuntu)", "17beta1", 17},
        {"pg_dump (EnterpriseDB) 15.1", NULL, 0},
        {"pg_dump (PostgreSQL) ", NULL, 0},
        {"pg_dump (PostgreSQL) x", NULL, 0},
        {"pg_dump (PostgreSQL) 99999999.1", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char version[32] = "";
        int major = 0;
        assert_int_equal(pg_tool_version(list[i].said, version, sizeof(version), &major),
                         list[i].version != NULL);
        if (list[i].version) {
            assert_string_equal(version, list[i].version);
            assert_int_equal(major, list[i].major);
        }
    }
    char small[4];
    int major;
    assert_false(pg_tool_version("x (PostgreSQL) 15.18", small, sizeof(small), &major));
}

static void passfiles(void **state)
{
    (void)state;
    char *text = pg_passfile("a:b\\c d'\"\xc3\xa9");
    assert_string_equal(text, "*:*:*:*:a\\:b\\\\c d'\"\xc3\xa9\n");
    free(text);
    text = pg_passfile("");
    assert_string_equal(text, "*:*:*:*:\n");
    free(text);
}

/* What libpq itself makes of it. */
static const char *option(const PQconninfoOption *list, const char *key)
{
    for (; list->keyword; list++)
        if (strcmp(list->keyword, key) == 0)
            return list->val;
    return NULL;
}

static void conninfos(void **state)
{
    (void)state;
    static const char *const names[] = {
        "shop", "a=b", "postgres://x@y/z",   "it's",    "a\\'b\\\\", "new\nline",
        " ",    "'",   "host=evil user='x'", "\"; drop"};
    const struct pg_config cfg = {
        .host = "/run/x y", .port = 5433, .user = "o'b", .sslmode = "prefer"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *text = pg_conninfo(&cfg, NULL, names[i]), *why = NULL;
        PQconninfoOption *list = PQconninfoParse(text, &why);
        if (!list)
            fail_msg("%s: %s", text, why);
        assert_string_equal(option(list, "dbname"), names[i]);
        assert_string_equal(option(list, "host"), "/run/x y");
        assert_string_equal(option(list, "port"), "5433");
        assert_string_equal(option(list, "user"), "o'b");
        assert_null(option(list, "password"));
        PQconninfoFree(list);
        free(text);
    }
}

/* A throw-away server is reached by its socket, whatever the environment says. */
static void conninfo_of_a_place(void **state)
{
    (void)state;
    const struct pg_config cfg = {.host = "db", .port = 1, .user = "u", .sslmode = "require"};
    const struct pg_place place = {.host = "/tmp/x y", .port = 5432, .user = "o'b"};
    assert_int_equal(setenv("PGHOSTADDR", "192.0.2.1", 1), 0);
    assert_int_equal(setenv("PGOPTIONS", "-c x=y", 1), 0);
    assert_int_equal(setenv("PGPASSWORD", "s3cret", 1), 0);
    char *text = pg_conninfo(&cfg, &place, "shop");
    PGconn *pg = PQconnectStart(text); /* only looks at the text: nobody listens there */
    assert_non_null(pg);
    PQconninfoOption *list = PQconninfo(pg);
    assert_string_equal(option(list, "hostaddr"), "");
    assert_string_equal(option(list, "options"), "");
    assert_string_equal(option(list, "password"), "");
    assert_string_equal(option(list, "host"), "/tmp/x y");
    assert_string_equal(option(list, "user"), "o'b");
    assert_string_equal(option(list, "dbname"), "shop");
    assert_string_equal(option(list, "sslmode"), "disable");
    PQconninfoFree(list);
    PQfinish(pg);
    free(text);
    (void)unsetenv("PGHOSTADDR");
    (void)unsetenv("PGOPTIONS");
    (void)unsetenv("PGPASSWORD");
}

static bool has(const char *const *list, const char *wanted)
{
    for (; *list; list++)
        if (strcmp(*list, wanted) == 0)
            return true;
    return false;
}

static void calls(void **state)
{
    (void)state;
    struct fakehost host;
    struct bkc_child_spec spec = {0};
    struct pg_call call;
    const struct pg_config cfg = {.host = "db", .port = 1234, .user = "u", .password = "s3cret"};
    fakehost_init(&host);
    pg_call_begin(&call, &cfg, NULL, "/bin/pg_dump", "x y");
    pg_call_arg(&call, "--no-password");
    pg_call_argf(&call, "--table=%s", "t");
    assert_int_equal(pg_call_spec(&host.ctx, &call, &spec), BAKE_OK);
    assert_string_equal(spec.argv[0], "/bin/pg_dump");
    static const char conninfo[] = "--dbname=dbname='x y' host='db' port='1234' user='u' ";
    assert_memory_equal(spec.argv[1], conninfo, strlen(conninfo));
    assert_string_equal(spec.argv[2], "--no-password");
    assert_string_equal(spec.argv[3], "--table=t");
    assert_null(spec.argv[4]);
    assert_true(has(spec.env, "PGHOST=db") && has(spec.env, "PGPORT=1234"));
    assert_true(has(spec.env, "PGUSER=u") && has(spec.env, "PGPASSWORD"));
    assert_string_equal(spec.secrets[0].env, "PGPASSFILE");
    assert_string_equal(spec.secrets[0].text, "*:*:*:*:s3cret\n");
    for (const char *const *p = spec.argv; *p; p++)
        assert_null(strstr(*p, "s3cret"));
    for (const char *const *p = spec.env; *p; p++)
        assert_null(strstr(*p, "s3cret"));
    pg_call_release(&call);
    fakehost_free(&host);
}

static void calls_elsewhere(void **state)
{
    (void)state;
    struct fakehost host;
    struct bkc_child_spec spec = {0};
    struct pg_call call;
    const struct pg_config cfg = {.host = "db", .password = "s3cret", .service = NULL};
    const struct pg_place place = {.host = "/tmp/x", .port = 5, .user = "me"};
    fakehost_init(&host);
    pg_call_begin(&call, &cfg, &place, "psql", NULL);
    for (int i = 0; i < 1000; i++)
        pg_call_argf(&call, "%d", i);
    assert_int_equal(pg_call_spec(&host.ctx, &call, &spec), BAKE_OK);
    assert_string_equal(spec.argv[1], "0");
    assert_string_equal(spec.argv[1000], "999");
    assert_null(spec.argv[1001]);
    assert_true(has(spec.env, "PGHOST=/tmp/x") && has(spec.env, "PGPORT=5"));
    assert_true(has(spec.env, "PGHOSTADDR") && has(spec.env, "PGSERVICE"));
    assert_null(spec.secrets[0].text);
    pg_call_release(&call);
    fakehost_free(&host);
}

/* ---- finding them ---------------------------------------------------------------------------- */

static char *make_tool(char *folder, const char *name, const char *script)
{
    assert_non_null(mkdtemp(folder));
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = malloc(n);
    assert_non_null(path);
    (void)snprintf(path, n, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(script, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void found(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int version, rc;
        const char *text;
    } list[] = {
        {"#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.18'\n", 150020, BAKE_OK, NULL},
        {"#!/bin/sh\necho 'pg_dump (PostgreSQL) 16.1'\n", 150020, BAKE_OK, NULL},
        {"#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n", 0, BAKE_OK, NULL},
        {"#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n", 150020, BAKE_E_UNSUPPORTED,
         "is of version 14.9 and cannot work with a server of version 15\nHINT: install"},
        {"#!/bin/sh\necho hello\n", 150020, BAKE_E_UNSUPPORTED, "does not say which version"},
        {"#!/bin/sh\nexit 3\n", 150020, BAKE_E_CHILD, "exit status 3"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        struct fakehost host;
        char folder[] = "/tmp/bake-pgtool.XXXXXX", *path = NULL, *version = NULL;
        char *tool = make_tool(folder, "pg_dump", list[i].script);
        const struct pg_config cfg = {.bin = folder};
        fakehost_init(&host);
        int rc = pg_tool(&host.ctx, &cfg, "pg_dump", list[i].version, &path, &version);
        if (rc != list[i].rc || (list[i].text && !strstr(host.fail, list[i].text)))
            fail_msg("%zu: %d '%s'", i, rc, host.fail);
        if (rc == BAKE_OK)
            assert_string_equal(path, tool);
        free(path);
        free(version);
        assert_int_equal(unlink(tool), 0);
        assert_int_equal(rmdir(folder), 0);
        free(tool);
        fakehost_free(&host);
    }
}

static void missing(void **state)
{
    (void)state;
    struct fakehost host;
    char *path = NULL;
    const struct pg_config cfg = {.bin = "/nonexistent"}, any = {0};
    fakehost_init(&host);
    assert_int_equal(pg_tool(&host.ctx, &cfg, "pg_dump", 150020, &path, NULL), BAKE_E_NOTFOUND);
    assert_non_null(strstr(host.fail, "there is no 'pg_dump' in /nonexistent\nHINT: install"));
    assert_non_null(strstr(host.fail, "postgresql-client-15"));
    assert_int_equal(pg_tool(&host.ctx, &any, "pg_no_such", 150020, &path, NULL), BAKE_E_NOTFOUND);
    fakehost_free(&host);
}

static void installed(void **state)
{
    (void)state;
    struct fakehost host;
    char *path = NULL, *version = NULL;
    const struct pg_config cfg = {0};
    fakehost_init(&host);
    /* a server from the future: the newest that is there is named, and refused */
    assert_int_equal(pg_tool(&host.ctx, &cfg, "pg_dump", 980000, &path, NULL), BAKE_E_UNSUPPORTED);
    assert_non_null(strstr(host.fail, "cannot work with a server of version 98"));
    assert_int_equal(pg_tool(&host.ctx, &cfg, "pg_dump", 0, &path, &version), BAKE_OK);
    assert_int_equal(access(path, X_OK), 0);
    free(path);
    free(version);
    fakehost_free(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),  cmocka_unit_test(passfiles),
        cmocka_unit_test(conninfos), cmocka_unit_test(conninfo_of_a_place),
        cmocka_unit_test(calls),     cmocka_unit_test(calls_elsewhere),
        cmocka_unit_test(found),     cmocka_unit_test(missing),
        cmocka_unit_test(installed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
