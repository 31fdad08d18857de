/* What is noted about a place: there and back, and nothing else is believed; orders and answers of
 * the helper as text. */
#include "fakehost.h"
#include "place_impl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char exchange_text[] =
    "{\"way\":\"exchange\",\"what\":\"'/data' of container 'app'\",\"nonce\":\"0123456789abcdef\","
    "\"stage\":\"bakengine-stage-0123456789abcdef\",\"volume\":\"v\",\"path\":\"sub\","
    "\"absent\":false,\"file\":false,\"ground\":\"/var/lib/docker/volumes\","
    "\"target\":\"v/_data/sub\",\"staged\":\"bakengine-stage-0123456789abcdef/_data\","
    "\"old\":12,\"new\":13}";
static const char bind_text[] =
    "{\"way\":\"exchange\",\"what\":\"x\",\"nonce\":\"0123456789abcdef\",\"bind\":\"/srv/a\","
    "\"path\":\"\",\"ground\":\"/srv\",\"here\":\"/srv\",\"target\":\"a\","
    "\"staged\":\".bakengine-0123456789abcdef/data\",\"holder\":\".bakengine-0123456789abcdef\","
    "\"old\":0,\"new\":13,\"absent\":true,\"file\":false}";
static const char copy_text[] =
    "{\"way\":\"copy\",\"what\":\"x\",\"nonce\":\"0123456789abcdef\","
    "\"stage\":\"bakengine-stage-0123456789abcdef\",\"container\":\"abc\",\"path\":\"/opt/x\","
    "\"absent\":false,\"file\":true}";

static int parse(const char *text, const char *key, json_t *value, struct dk_plan *ret)
{
    json_t *j = json_loads(text, 0, NULL);
    struct fakehost f;
    int rc;

    assert_non_null(j);
    fakehost_init(&f);
    if (key && value)
        assert_int_equal(json_object_set_new(j, key, value), 0);
    else if (key)
        assert_int_equal(json_object_del(j, key), 0);
    rc = dk_plan_parse(&f.ctx, j, ret);
    assert_int_equal(f.failed, rc);
    fakehost_free(&f);
    json_decref(j);
    return rc;
}

static void there_and_back(void **state)
{
    static const char *const texts[] = {exchange_text, bind_text, copy_text};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct dk_plan p, again;
        json_t *j, *k;
        char *text;

        assert_int_equal(parse(texts[i], NULL, NULL, &p), BAKE_OK);
        j = dk_plan_json(&p);
        assert_non_null(j);
        text = json_dumps(j, 0);
        assert_int_equal(parse(text, NULL, NULL, &again), BAKE_OK);
        k = dk_plan_json(&again);
        assert_true(json_equal(j, k));
        assert_true(p.way == again.way && p.ino_new == again.ino_new && p.file == again.file);
        free(text);
        json_decref(j);
        json_decref(k);
        dk_plan_release(&p);
        dk_plan_release(&again);
    }
}

static void refuse(const char *text, const char *key, json_t *value)
{
    struct dk_plan p;

    if (parse(text, key, value, &p) != BAKE_E_CORRUPT)
        fail_msg("'%s' was believed", key);
}

/* Nobody who can write a note may have other things removed or moved by it. */
static void nothing_else_is_believed(void **state)
{
    static const char *const needed[] = {"way",  "what",   "nonce",  "stage",  "volume",
                                         "path", "ground", "target", "staged", "new"};
    static const char *const bad[] = {"..", "a/../../etc", "/etc", "a//b", "./a", "a/", ""};

    (void)state;
    for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
        refuse(exchange_text, needed[i], NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        refuse(exchange_text, "target", json_string(bad[i]));
        refuse(exchange_text, "staged", json_string(bad[i]));
        refuse(bind_text, "holder", json_string(bad[i]));
    }
    refuse(bind_text, "holder", json_string("a"));
    refuse(bind_text, "holder", json_string(".bakengine-0000000000000000"));
    refuse(exchange_text, "stage", json_string("shop_pgdata"));
    refuse(exchange_text, "stage", json_string("bakengine-stage-0000000000000000"));
    refuse(exchange_text, "nonce", json_string("0123456789abcde/"));
    refuse(exchange_text, "nonce", json_string("x"));
    refuse(exchange_text, "ground", json_string("relative"));
    refuse(exchange_text, "new", json_string("13"));
    refuse(exchange_text, "old", json_real(1.5));
    refuse(exchange_text, "bind", json_string("/srv")); /* two places at once */
    refuse(exchange_text, "what", json_integer(1));
    refuse(exchange_text, "way", json_string("other"));
    refuse(exchange_text, "target", json_stringn("v\0w", 3));
    refuse(copy_text, "stage", NULL);
    refuse(copy_text, "container", NULL);
}

static void orders_as_text(void **state)
{
    static char verb[] = "exchange", a[] = "a b/c", b[] = "", one[] = "18446744073709551615",
                two[] = "0", more[] = "18446744073709551616", empty[] = "", other[] = "rm";
    char *args[] = {verb, a, b, one, two};
    struct dk_fs_order o;

    (void)state;
    assert_true(dk_fs_order_parse(args, &o));
    assert_true(o.verb == DK_FS_EXCHANGE && o.ino_a == UINT64_MAX && o.ino_b == 0);
    assert_string_equal(o.a, "a b/c");
    args[3] = more;
    assert_false(dk_fs_order_parse(args, &o));
    args[3] = empty;
    assert_false(dk_fs_order_parse(args, &o));
    args[3] = two;
    args[0] = other;
    assert_false(dk_fs_order_parse(args, &o));
    for (int v = DK_FS_STAT; v <= DK_FS_SYNC; v++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "%s", dk_fs_verb_name((enum dk_fs_verb)v));
        args[0] = name;
        assert_true(dk_fs_order_parse(args, &o) && (int)o.verb == v);
    }
}

static void answers_as_text(void **state)
{
    static const char *const bad[] = {"",
                                      "1 2 3 4 1 1",
                                      "1 2 3 4 1 1 \nmore",
                                      "-1 2 3 4 1 1 \n",
                                      "99999 2 3 4 1 1 \n",
                                      "1 2 3 4 2 1 \n",
                                      "1 2 3 4 1 1 a\tb\n",
                                      "1 2 3 4 1 1",
                                      "a b c d e f \n"};
    struct dk_fs_answer in = {.error = EBUSY,
                              .ino = UINT64_MAX,
                              .dev = 1,
                              .room = 2,
                              .movable = true,
                              .where = "some name"},
                        out;
    char text[400];

    (void)state;
    assert_true(dk_fs_answer_print(&in, text, sizeof(text)) > 0);
    assert_true(dk_fs_answer_parse(text, &out));
    assert_true(out.error == EBUSY && out.ino == UINT64_MAX && out.dev == 1 && out.room == 2 &&
                out.movable && !out.mounts);
    assert_string_equal(out.where, "some name");
    assert_int_equal(dk_fs_answer_print(&in, text, 10), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (dk_fs_answer_parse(bad[i], &out))
            fail_msg("'%s' was believed", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(nothing_else_is_believed),
        cmocka_unit_test(orders_as_text),
        cmocka_unit_test(answers_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
