/* The PostgreSQL source when memory runs out, at each call: said, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog.h"
#include "failmalloc.h"
#include "fakehost.h"
#include "scan.h"
#include "tools.h"
#include <stdlib.h>
#include <string.h>

/* Runs f with the n-th call failing, for each n, until it gets through. */
static void each_call(int (*f)(void))
{
    size_t n = 1;
    for (;; n++) {
        fm_fail_at(n);
        int rc = f();
        size_t calls = fm_calls();
        fm_fail_at(0);
        if (rc == BAKE_OK && calls < n)
            break;
        if (rc != BAKE_E_NOMEM)
            fail_msg("call %zu of %zu: %d", n, calls, rc);
        assert_true(n < 10000);
    }
    assert_true(n > 1);
}

static int call_once(void)
{
    struct fakehost host;
    struct pg_call call;
    struct bkc_child_spec spec = {0};
    const struct pg_config cfg = {.host = "db", .port = 1, .user = "u", .password = "p:w"};
    fakehost_init(&host);
    pg_call_begin(&call, &cfg, NULL, "/bin/pg_dump", "a b");
    pg_call_arg(&call, "--x");
    pg_call_argf(&call, "--y=%d", 1);
    bool whole = !call.failed;
    int rc = pg_call_spec(&host.ctx, &call, &spec);
    assert_int_equal(rc, whole ? BAKE_OK : BAKE_E_NOMEM);
    pg_call_release(&call);
    fakehost_free(&host);
    return rc;
}

static int scan_once(int format, const void *data, size_t n)
{
    struct pg_scan *s = NULL;
    const char *why = "";
    int rc = pg_scan_new(format, &s);
    if (rc != BAKE_OK)
        return rc;
    rc = pg_scan_feed(s, data, n);
    if (rc == BAKE_OK)
        rc = pg_scan_end(s, &why);
    pg_scan_free(s);
    return rc;
}

static int plain_once(void)
{
    static const char dump[] = "COPY a.b (x) FROM stdin;\n1\n\\.\nCOPY a.c (x) FROM stdin;\n\\.\n"
                               "-- PostgreSQL database dump complete\n";
    return scan_once(PG_PLAIN, dump, sizeof(dump) - 1);
}

static int names_once(void)
{
    char *safe = pg_safe_name("a b"), *name = pg_true_name("a%20b.sql");
    char *key = pg_scan_key("a", "b");
    char *info = pg_conninfo(&(const struct pg_config){.host = "x"}, NULL, "y");
    char *pass = pg_passfile("z");
    int rc = safe && name && key && info && pass ? BAKE_OK : BAKE_E_NOMEM;
    free(safe);
    free(name);
    free(key);
    free(info);
    free(pass);
    return rc;
}

static void calls(void **state)
{
    (void)state;
    each_call(call_once);
}

static void scans(void **state)
{
    (void)state;
    each_call(plain_once);
}

static void names(void **state)
{
    (void)state;
    each_call(names_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls),
        cmocka_unit_test(scans),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
