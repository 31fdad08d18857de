/* Options of the PostgreSQL source: what is refused before any server is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "ops.h"
#include <string.h>

struct mistake {
    struct pg_config cfg;
    const char *text; /* NULL: it is right */
};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct mistake *mistakes(size_t *ret_n)
{
    static const char long_name[] =
        "1234567890123456789012345678901234567890123456789012345678901234";
    static const struct mistake list[] = {
        {{.host = NULL}, NULL},
        {{.host = "/run/postgresql", .port = 5433, .user = "x", .password = "a b:c\\"}, NULL},
        {{.service = "s", .password = "x"}, NULL},
        {{.service = "s", .host = "h"}, "'service' goes without 'host'"},
        {{.service = "s", .port = 1}, "'service' goes without"},
        {{.service = "s", .sslmode = "require"}, "'service' goes without"},
        {{.password = "a\nb"}, "a password with a line end"},
        {{.password = "a\r"}, "a password with a line end"},
        {{.database = ""}, "'database': '' is no name"},
        {{.database = long_name}, "is no name of a database"},
        {{.sslmode = "verify-full", .sslrootcert = "/ca"}, NULL},
        {{.sslmode = "yes"}, "'sslmode': 'yes' is not one of disable, allow"},
        {{.sslcert = "/c"}, "'sslcert' and 'sslkey' go together"},
        {{.sslkey = "/k"}, "'sslcert' and 'sslkey' go together"},
        {{.sslmode = "disable", .sslrootcert = "/ca"}, "have no use with 'sslmode: disable'"},
    };
    *ret_n = sizeof(list) / sizeof(list[0]);
    return list;
}

static void check(const struct mistake *m)
{
    struct fakehost host;
    fakehost_init(&host);
    int rc = pg_validate(&host.ctx, &m->cfg);
    if (rc != (m->text ? BAKE_E_CONFIG : BAKE_OK) || (m->text && !strstr(host.fail, m->text)))
        fail_msg("%d: '%s', wanted '%s'", rc, host.fail, m->text ? m->text : "nothing");
    if (m->cfg.password && m->text)
        assert_null(strstr(host.fail, m->cfg.password));
    fakehost_free(&host);
}

static void servers(void **state)
{
    (void)state;
    size_t n;
    const struct mistake *list = mistakes(&n);
    for (size_t i = 0; i < n; i++)
        check(&list[i]);
}

static void contents(void **state)
{
    (void)state;
    const struct mistake list[] = {
        {{.databases = LIST("app_*", "x[12]")}, NULL},
        {{.databases = LIST("x[")}, "'databases': 'x[' can never match"},
        {{.databases = LIST("")}, "'databases': '' can never match"},
        {{.exclude_databases = LIST("[")}, "'exclude_databases': '[' can never match"},
        {{.tables = LIST("public.*", "a\\\"b")}, NULL},
        {{.tables = LIST("")}, "'tables': an empty name"},
        {{.exclude_table_data = LIST("a\nb")}, "'exclude_table_data'"},
        {{.tables = LIST("t"), .schemas = LIST("s")}, "'tables' goes without 'schemas'"},
        {{.tables = LIST("t"), .exclude_schemas = LIST("s")}, "'tables' goes without 'schemas'"},
        {{.schemas = LIST("s"), .exclude_tables = LIST("t")}, NULL},
        {{.mode = PG_PHYSICAL, .slot = "bak_1"}, NULL},
        {{.mode = PG_PHYSICAL, .databases = LIST("x")}, "'databases' is for 'mode: logical'"},
        {{.mode = PG_PHYSICAL, .format = PG_CUSTOM}, "'format' is for 'mode: logical'"},
        {{.mode = PG_PHYSICAL, .exclude_table_data = LIST("x")}, "'exclude_table_data' is for"},
        {{.slot = "bak"}, "'slot' is for 'mode: physical'"},
        {{.mode = PG_PHYSICAL, .slot = "Bak"}, "'slot': 'Bak' is no name"},
        {{.mode = PG_PHYSICAL, .slot = ""}, "'slot': '' is no name"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        check(&list[i]);
}

static void way_back(void **state)
{
    (void)state;
    const struct mistake list[] = {
        {{.check = LIST("shop: SELECT count(*) > 5 FROM orders", "a: b: SELECT 1")}, NULL},
        {{.check = LIST("SELECT 1")}, "'check': 'SELECT 1' is not of the form"},
        {{.check = LIST(": SELECT 1")}, "is not of the form"},
        {{.check = LIST("shop:  ")}, "is not of the form"},
        {{.tablespaces = LIST("/old=/new", "/a b=/c d")}, NULL},
        {{.tablespaces = LIST("/old")}, "'tablespaces': '/old' is not of the form"},
        {{.tablespaces = LIST("old=/new")}, "is not of the form"},
        {{.tablespaces = LIST("/old=new")}, "is not of the form"},
        {{.tablespaces = LIST("/a=/b=/c")}, "is not of the form"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        check(&list[i]);
}

static void no_server(void **state)
{
    (void)state;
    struct fakehost host;
    struct pg_config cfg = {
        .host = "/nonexistent", .database = "postgres", .password = "s3cret", .timeout = 5000};
    struct bake_component c = {.struct_size = sizeof(c)};
    void *self = NULL;
    fakehost_init(&host);
    assert_int_equal(pg_probe(&host.ctx, &cfg), BAKE_E_UNAVAILABLE);
    assert_non_null(strstr(host.fail, "cannot connect to the server: "));
    assert_non_null(strstr(host.fail, "/nonexistent/"));
    assert_non_null(strstr(host.fail, "HINT: is the server running"));
    assert_null(strstr(host.fail, "s3cret"));
    assert_int_equal(pg_source_ops.open(&host.ctx, &cfg, &self), BAKE_OK);
    assert_int_equal(pg_source_ops.plan(self, &c), BAKE_E_UNAVAILABLE);
    pg_source_ops.close(self);
    fakehost_cancel(&host);
    cfg.host = "192.0.2.1"; /* answers nobody */
    assert_int_equal(pg_probe(&host.ctx, &cfg), BAKE_E_CANCELLED);
    fakehost_free(&host);
}

static void redeem_of_nonsense(void **state)
{
    (void)state;
    struct fakehost host;
    struct pg_config cfg = {.host = "/nonexistent", .database = "postgres", .timeout = 1000};
    static const char *const list[] = {"", "[", "3", "{}", "{\"kind\":\"no such\"}"};
    fakehost_init(&host);
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        assert_true(pg_source_ops.redeem(&host.ctx, &cfg, list[i]) < 0);
    fakehost_free(&host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers),
        cmocka_unit_test(contents),
        cmocka_unit_test(way_back),
        cmocka_unit_test(no_server),
        cmocka_unit_test(redeem_of_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
