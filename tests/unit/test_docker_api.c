/* The Engine API: addresses, versions, errors, what stat says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api_impl.h"
#include "fakehost.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void statuses(void **state)
{
    (void)state;
    assert_int_equal(dk_status_rc(200), BAKE_OK);
    assert_int_equal(dk_status_rc(204), BAKE_OK);
    assert_int_equal(dk_status_rc(304), BAKE_OK);
    assert_int_equal(dk_status_rc(400), BAKE_E_IO);
    assert_int_equal(dk_status_rc(401), BAKE_E_AUTH);
    assert_int_equal(dk_status_rc(403), BAKE_E_AUTH);
    assert_int_equal(dk_status_rc(404), BAKE_E_NOTFOUND);
    assert_int_equal(dk_status_rc(409), BAKE_E_EXISTS);
    assert_int_equal(dk_status_rc(500), BAKE_E_IO);
    assert_int_equal(dk_status_rc(503), BAKE_E_UNAVAILABLE);
}

static void messages(void **state)
{
    char text[512];
    char *longest = malloc(5000);
    (void)state;
    dk_message("{\"message\":\"No such container: x\"}\n", 404, text, sizeof(text));
    assert_string_equal(text, "No such container: x");
    dk_message("client version 1.11 is too old.\nMore", 400, text, sizeof(text));
    assert_string_equal(text, "client version 1.11 is too old.");
    dk_message("", 502, text, sizeof(text));
    assert_string_equal(text, "docker answered 502");
    dk_message(NULL, 500, text, sizeof(text));
    assert_string_equal(text, "docker answered 500");
    /* what is JSON but no message is not shown */
    dk_message("{\"Env\":[\"PASSWORD=x\"]}", 500, text, sizeof(text));
    assert_string_equal(text, "docker answered 500");
    memset(longest, 'y', 4999);
    longest[4999] = '\0';
    dk_message(longest, 500, text, sizeof(text));
    assert_int_equal(strlen(text), 500);
    free(longest);
}

static void versions(void **state)
{
    char use[16];
    (void)state;
    assert_int_equal(dk_version_number("1.41"), 1041);
    assert_int_equal(dk_version_number("1.9"), 1009);
    assert_int_equal(dk_version_number("2.0"), 2000);
    assert_int_equal(dk_version_number("1"), 0);
    assert_int_equal(dk_version_number("1."), 0);
    assert_int_equal(dk_version_number(".1"), 0);
    assert_int_equal(dk_version_number("1.4.1"), 0);
    assert_int_equal(dk_version_number("1.4x"), 0);
    assert_int_equal(dk_version_number(""), 0);

    assert_true(dk_version_agree("1.41", "1.12", use, sizeof(use))); /* theirs is older */
    assert_string_equal(use, "1.41");
    assert_true(dk_version_agree("1.52", "1.44", use, sizeof(use))); /* ours is older, and enough */
    assert_string_equal(use, DK_API_MAX);
    assert_true(dk_version_agree(DK_API_MIN, "1.12", use, sizeof(use)));
    assert_false(dk_version_agree("1.39", "1.12", use, sizeof(use)));
    assert_false(dk_version_agree("1.60", "1.45", use, sizeof(use)));
    assert_false(dk_version_agree("nonsense", "1.12", use, sizeof(use)));
}

static void check_host(const char *host, bool tls, const char *base, const char *socket)
{
    char *got = NULL, *path = NULL;
    assert_true(dk_host_parse(host, tls, &got, &path));
    assert_string_equal(got, base);
    if (socket)
        assert_string_equal(path, socket);
    else
        assert_null(path);
    free(got);
    free(path);
}

static void hosts(void **state)
{
    static const char *const bad[] = {"",          "unix://run/docker.sock", "/run/docker.sock",
                                      "tcp://",    "ssh://root@host",        "tcp://user@host:1",
                                      "fd://",     "tcp://host:1?x",         "tcp://ho st:1",
                                      "https:///", "npipe:////./pipe/docker"};
    char *base, *socket;
    (void)state;
    check_host("unix:///var/run/docker.sock", false, "http://docker", "/var/run/docker.sock");
    check_host("tcp://10.0.0.1:2375", false, "http://10.0.0.1:2375", NULL);
    check_host("tcp://box", false, "http://box:2375", NULL);
    check_host("tcp://box", true, "https://box:2376", NULL);
    check_host("tcp://box:99/", true, "https://box:99", NULL);
    check_host("https://box", false, "https://box:2376", NULL);
    check_host("tcp://[::1]", false, "http://[::1]:2375", NULL);
    check_host("tcp://[::1]:7", false, "http://[::1]:7", NULL);
    check_host("http://box:80/docker/", false, "http://box:80/docker", NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(dk_host_parse(bad[i], false, &base, &socket));
        assert_null(base);
        assert_null(socket);
    }
}

static void quoting(void **state)
{
    (void)state;
    char *q = dk_quote("/a b/ü?&=%+~_-.Z9");
    assert_string_equal(q, "%2Fa%20b%2F%C3%BC%3F%26%3D%25%2B~_-.Z9");
    free(q);
    q = dk_quote("");
    assert_string_equal(q, "");
    free(q);
}

static void short_ids(void **state)
{
    char long_name[200];
    (void)state;
    assert_string_equal(
        dk_short("80afd7052cf60575dd03045bdeb5c6e5e8eb5ed876448bd1279ced98456f4319").text,
        "80afd7052cf6");
    assert_string_equal(dk_short("shop_db_1").text, "shop_db_1");
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(strlen(dk_short(long_name).text), 79);
}

static void modes(void **state)
{
    (void)state;
    assert_int_equal(dk_mode_of_go(2147484141U), S_IFDIR | 0755);
    assert_int_equal(dk_mode_of_go(0644), S_IFREG | 0644);
    assert_int_equal(dk_mode_of_go((1U << 27) | 0777), S_IFLNK | 0777);
    assert_int_equal(dk_mode_of_go((1U << 23) | 0755), S_IFREG | S_ISUID | 0755);
    assert_int_equal(dk_mode_of_go((1U << 31) | (1U << 22) | 0750), S_IFDIR | S_ISGID | 0750);
    assert_int_equal(dk_mode_of_go((1U << 31) | (1U << 20) | 0777), S_IFDIR | S_ISVTX | 0777);
    assert_int_equal(dk_mode_of_go((1U << 26) | 0660), S_IFBLK | 0660);
    assert_int_equal(dk_mode_of_go((1U << 26) | (1U << 21) | 0666), S_IFCHR | 0666);
    assert_int_equal(dk_mode_of_go((1U << 25) | 0600), S_IFIFO | 0600);
    assert_int_equal(dk_mode_of_go((1U << 24) | 0600), S_IFSOCK | 0600);
}

static void times(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-11-21",
                                      "2026-11-21 07:29:50Z",
                                      "2026-11-21T07:29:50",
                                      "2026-11-21T07:29:50ZZ",
                                      "2026-11-21T07:29:50+1",
                                      "x026-11-21T07:29:50Z",
                                      "9999-12-31T23:59:59Z"};
    int64_t ns;
    (void)state;
    assert_true(dk_time_of("1970-01-01T00:00:01Z", &ns));
    assert_int_equal(ns, 1000000000);
    assert_true(dk_time_of("2026-11-21T07:29:50.67599309Z", &ns));
    assert_int_equal(ns, 1795246190675993090);
    assert_true(dk_time_of("2026-11-21T09:29:50+02:00", &ns));
    assert_int_equal(ns, 1795246190000000000);
    assert_true(dk_time_of("2026-11-21T02:59:50.5-04:30", &ns));
    assert_int_equal(ns, 1795246190500000000);
    assert_true(dk_time_of("1969-12-31T23:59:59.999999999123Z", &ns)); /* finer than we are */
    assert_int_equal(ns, -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(dk_time_of(bad[i], &ns));
}

static void stats(void **state)
{
    /* {"name":"uploads","size":4096,"mode":2147484141,"mtime":"2026-11-21T07:29:50.67599309Z",
     *  "linkTarget":""} */
    static const char good[] =
        "eyJuYW1lIjoidXBsb2FkcyIsInNpemUiOjQwOTYsIm1vZGUiOjIxNDc0ODQxNDEsIm10aW1lIjoiMjAyNi0xMS0yMV"
        "QwNzoyOTo1MC42NzU5OTMwOVoiLCJsaW5rVGFyZ2V0IjoiIn0=";
    static const char *const bad[] = {
        "", "????", "e30=" /* {} */, "bm8=" /* no */,
        /* {"name":"a","size":-1,"mode":1,
         *  "mtime":"1970-01-01T00:00:01Z"} */
        "eyJuYW1lIjoiYSIsInNpemUiOi0xLCJtb2RlIjoxLCJtdGltZSI6IjE5NzAtM"
        "DEtMDFUMDA6MDA6MDFaIn0="};
    struct dk_stat st;
    (void)state;
    assert_int_equal(dk_stat_parse(good, &st), BAKE_OK);
    assert_string_equal(st.name, "uploads");
    assert_string_equal(st.link, "");
    assert_int_equal(st.size, 4096);
    assert_int_equal(st.mode, S_IFDIR | 0755);
    assert_int_equal(st.mtime_ns, 1795246190675993090);
    dk_stat_release(&st);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(dk_stat_parse(bad[i], &st), BAKE_E_IO);
        assert_null(st.name);
    }
}

/* The daemon says yes to an empty body though it writes nothing: so none is ever sent. */
static void empty_uploads(void **state)
{
    struct bkc_http_opts opts = {.unix_socket = "/nobody/listens/here"};
    struct dk_api api = {.host = (char *)"unix:///x", .base = (char *)"http://docker"};
    struct fakehost f;
    struct dk_upload *u = NULL;
    (void)state;
    fakehost_init(&f);
    assert_int_equal(bkc_http_open(&opts, &api.http), BAKE_OK);
    assert_int_equal(dk_archive_put(&api, &f.ctx, "box", "/data", &u), BAKE_OK);
    assert_int_equal(dk_upload_write(u, "", 0), BAKE_OK);
    assert_int_equal(dk_upload_end(u), BAKE_E_INTERNAL);
    assert_string_equal(f.fail, "cannot write to '/data' of container 'box': nothing was sent");
    bkc_http_close(api.http);
    fakehost_free(&f);
}

static void names(void **state)
{
    static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct dk_api api = {.host = (char *)"unix:///x"};
    json_t *inspect = json_pack("{s:s, s:s}", "Id", id, "Name", "/shop-db-1");
    (void)state;
    assert_string_equal(dk_called(&api, id).text, "0123456789ab");
    dk_learn_name(&api, inspect);
    assert_string_equal(dk_called(&api, id).text, "shop-db-1");
    assert_string_equal(dk_called(&api, "other").text, "other");
    dk_learn_name(&api, NULL);
    json_decref(inspect);
    json_decref(api.names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses),      cmocka_unit_test(messages), cmocka_unit_test(versions),
        cmocka_unit_test(hosts),         cmocka_unit_test(quoting),  cmocka_unit_test(short_ids),
        cmocka_unit_test(modes),         cmocka_unit_test(times),    cmocka_unit_test(stats),
        cmocka_unit_test(empty_uploads), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
