/* Options of the Docker source: what is refused, and what a probe says without a daemon. */
#include "docker_kit.h"

#include "ops.h"

struct mistake {
    struct dk_config cfg;
    const char *text; /* NULL: it is right */
};

#define GLOBS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void options(void **state)
{
    struct kit *k = *state;
    const struct mistake list[] = {
        {{.host = NULL}, NULL},
        {{.host = "unix:///run/docker.sock"}, NULL},
        {{.host = "tcp://host:2375", .cert = "/c", .key = "/k"}, NULL},
        {{.host = "/var/run/docker.sock"}, "'host': '/var/run/docker.sock' is no address"},
        {{.host = "unix:///"}, "'host'"},
        {{.host = "ftp://x"}, "'host'"},
        {{.cert = "/c"}, "'cert' and 'key' go together"},
        {{.key = "/k"}, "'cert' and 'key' go together"},
        {{.projects = GLOBS("web*", "[a-z]")}, NULL},
        {{.projects = GLOBS("web*", "[a")}, "'projects': '[a' can never match"},
        {{.exclude_projects = GLOBS("")}, "'exclude_projects'"},
        {{.paths = GLOBS("/data", "**/x", "*")}, NULL},
        {{.paths = GLOBS("data")}, "'paths': 'data' can never match"},
        {{.exclude_paths = GLOBS("/[a")}, "'exclude_paths'"},
        {{.volumes = GLOBS("all")}, NULL},
        {{.volumes = GLOBS("x[")}, "'volumes'"},
        {{.exclude = GLOBS("*.tmp", "!keep")}, NULL},
        {{.exclude = GLOBS("ok", "[a")}, "'exclude': '[a' can never match"},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        fakehost_clear(&k->host);
        int rc = dk_validate(&k->host.ctx, &list[i].cfg);
        assert_int_equal(rc, list[i].text ? BAKE_E_CONFIG : BAKE_OK);
        if (list[i].text && !strstr(k->host.fail, list[i].text))
            fail_msg("'%s' is not in '%s'", list[i].text, k->host.fail);
    }
}

static void no_daemon(void **state)
{
    struct kit *k = *state;
    void *self = NULL;
    struct dk_config cfg = {.host = "unix:///nonexistent/docker.sock", .timeout = 2000};
    assert_int_equal(dk_probe(&k->host.ctx, &cfg), BAKE_E_UNAVAILABLE);
    assert_non_null(strstr(k->host.fail, "/nonexistent/docker.sock"));
    assert_non_null(strstr(k->host.fail, "HINT"));
    assert_int_equal(dk_source_ops.open(&k->host.ctx, &cfg, &self), BAKE_E_UNAVAILABLE);
    assert_null(self);
}

static void redeem_of_nonsense(void **state)
{
    struct kit *k = *state;
    struct dk_config cfg = {.timeout = 2000};
    assert_int_equal(dk_source_ops.redeem(&k->host.ctx, &cfg, "["), BAKE_E_CORRUPT);
    assert_int_equal(dk_source_ops.redeem(&k->host.ctx, &cfg, "3"), BAKE_E_CORRUPT);
    /* a daemon that never comes back: waiting for it ends when it is cancelled */
    fakehost_cancel(&k->host);
    assert_true(dk_source_ops.redeem(&k->host.ctx, &cfg,
                                     "{\"kind\":\"start\",\"host\":\"unix:///nonexistent/x\"}") <
                0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options),
        TEST(no_daemon),
        TEST(redeem_of_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
