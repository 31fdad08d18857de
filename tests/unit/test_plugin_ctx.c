/* The host table, called as a plugin calls it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin/ctx.h"
#include <poll.h>
#include <stdio.h>
#include <string.h>

struct seen {
    int n, severity;
    char subject[200], text[200];
};

static void note(void *arg, int severity, const char *subject, const char *text)
{
    struct seen *s = arg;
    s->n++;
    s->severity = severity;
    (void)snprintf(s->subject, sizeof(s->subject), "%s", subject);
    (void)snprintf(s->text, sizeof(s->text), "%s", text);
}

static void label_and_host(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    bk_ctx_init(&ctx, NULL, "source '%s' (%s)", "system", "files");
    assert_string_equal(ctx.label, "source 'system' (files)");
    assert_int_equal(ctx.base.host->struct_size, sizeof(struct bake_host));
    assert_int_equal(ctx.base.host->abi_major, BAKE_ABI_MAJOR);
    assert_int_equal(ctx.base.host->abi_minor, BAKE_ABI_MINOR);
    bk_ctx_init(&ctx, NULL, "%0300d", 1); /* too long: cut */
    assert_int_equal(strlen(ctx.label), sizeof(ctx.label) - 1);
}

static void a_failure_gets_the_label(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    assert_int_equal(bake_fail(&ctx.base, BAKE_E_IO,
                               "cannot write '%s': %s\nHINT: buy a bigger one", "x", "full"),
                     BAKE_E_IO);
    assert_int_equal(bk_ctx_fail(&ctx, BAKE_E_IO, &err), BAKE_E_IO);
    assert_string_equal(err.text, "sink 'disk': cannot write 'x': full");
    assert_string_equal(err.hint, "buy a bigger one");
    assert_int_equal(err.rc, BAKE_E_IO);
    assert_int_equal(ctx.err.rc, 0);
    assert_string_equal(ctx.err.text, "");
}

static void a_silent_failure_is_the_plugins_fault(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    assert_int_equal(bk_ctx_fail(&ctx, BAKE_E_NOSPACE, &err), BAKE_E_NOSPACE);
    assert_string_equal(err.text, "sink 'disk': no space left, and the plugin does not say more, "
                                  "which is a bug of the plugin");
    /* What it said of an earlier, other failure says nothing about this one. */
    (void)bake_fail(&ctx.base, BAKE_E_TIMEOUT, "first try");
    assert_int_equal(bk_ctx_fail(&ctx, BAKE_E_NOTFOUND, &err), BAKE_E_NOTFOUND);
    assert_null(strstr(err.text, "first try"));
    assert_non_null(strstr(err.text, "not found"));
}

static void the_last_text_counts(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    (void)bake_fail(&ctx.base, BAKE_E_IO, "inner\nHINT: of the inner one");
    (void)bake_fail(&ctx.base, BAKE_E_IO, "outer");
    (void)bk_ctx_fail(&ctx, BAKE_E_IO, &err);
    assert_string_equal(err.text, "sink 'disk': outer");
    assert_string_equal(err.hint, "");
}

static void what_is_no_result_is_an_internal_error(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    const int none[] = {5, 1, 0, -16, -99};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct bk_err err = {0};
        assert_int_equal(bk_ctx_fail(&ctx, none[i], &err), BAKE_E_INTERNAL);
        assert_int_equal(err.rc, BAKE_E_INTERNAL);
        assert_non_null(strstr(err.text, "is not a result here"));
    }
}

static void every_result_has_a_text(void **state)
{
    (void)state;
    for (int rc = BAKE_E_KEY; rc <= BAKE_END; rc++) {
        assert_string_not_equal(bk_rc_text(rc), "unknown result");
        for (int other = BAKE_E_KEY; other < rc; other++)
            assert_string_not_equal(bk_rc_text(rc), bk_rc_text(other));
    }
    assert_string_equal(bk_rc_text(-1000), "unknown result");
}

static void cancelled_is_no_failure(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    (void)bake_fail(&ctx.base, BAKE_E_CANCELLED, "read: interrupted system call");
    assert_int_equal(bk_ctx_fail(&ctx, BAKE_E_CANCELLED, &err), BAKE_E_CANCELLED);
    assert_string_equal(err.text, "sink 'disk': cancelled");
}

static void texts_are_masked_and_printable(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    struct seen seen = {0};
    bk_ctx_init(&ctx, NULL, "source 'db'");
    ctx.report = note;
    ctx.report_arg = &seen;
    bk_mask_add("hunter2-secret");
    bake_report(&ctx.base, BAKE_WARNING, "a\nb\x1b[1m\xff", "server said '%s'\n",
                "hunter2-secret\r");
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.severity, BAKE_WARNING);
    assert_string_equal(seen.subject, "a\\x0ab\\x1b[1m\\xff");
    assert_string_equal(seen.text, "server said '***\\x0d'");
    (void)bake_fail(&ctx.base, BAKE_E_AUTH,
                    "no entry for 'hunter2-secret'\x07\nHINT: not hunter2-secret");
    (void)bk_ctx_fail(&ctx, BAKE_E_AUTH, &err);
    assert_string_equal(err.text, "source 'db': no entry for '***'\\x07");
    assert_string_equal(err.hint, "not ***");
    bk_mask_forget();
}

static void reports_without_subject_and_of_unknown_severity(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    struct seen seen = {0};
    bk_ctx_init(&ctx, NULL, "source 'db'");
    ctx.report = note;
    ctx.report_arg = &seen;
    bake_report(&ctx.base, BAKE_NOTICE, NULL, "nothing here");
    assert_int_equal(seen.severity, BAKE_NOTICE);
    assert_string_equal(seen.subject, "");
    assert_string_equal(seen.text, "nothing here");
    bake_report(&ctx.base, 77, "x", "strange");
    assert_int_equal(seen.severity, BAKE_PARTIAL);
    /* a hint that the plugin means is a line of its own, one within a value is not */
    bake_report(&ctx.base, BAKE_NOTICE, NULL, "'%s' is old\nHINT: take %s", "a\nHINT: b", "c\n");
    assert_string_equal(seen.text, "'a\\x0aHINT: b' is old\nHINT: take c");
    bake_report(&ctx.base, BAKE_NOTICE, NULL, "'%s' is old", "a\nHINT: b");
    assert_string_equal(seen.text, "'a\\x0aHINT: b' is old");
}

static void cancelling_is_seen(void **state)
{
    (void)state;
    struct bk_cancel *cancel = NULL;
    struct bk_err err = {0};
    struct bk_ctx ctx;
    assert_int_equal(bk_cancel_new(NULL, &cancel, &err), 0);
    bk_ctx_init(&ctx, cancel, "sink 'disk'");
    const struct bake_host *host = ctx.base.host;
    struct pollfd p = {.fd = host->cancel_fd(&ctx.base), .events = POLLIN};
    assert_false(host->cancelled(&ctx.base));
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_int_equal(host->sleep_ms(&ctx.base, 1), BAKE_OK);
    bk_cancel_fire(cancel);
    assert_true(host->cancelled(&ctx.base));
    assert_int_equal(poll(&p, 1, 0), 1);
    uint64_t start = bk_monotonic_ms();
    assert_int_equal(host->sleep_ms(&ctx.base, 30000), BAKE_E_CANCELLED);
    assert_true(bk_monotonic_ms() - start < 5000);
    bk_cancel_free(cancel);
}

static void without_a_cancel(void **state)
{
    (void)state;
    struct bk_ctx ctx;
    bk_ctx_init(&ctx, NULL, "sink 'disk'");
    struct pollfd p = {.fd = ctx.base.host->cancel_fd(&ctx.base), .events = POLLIN};
    assert_false(ctx.base.host->cancelled(&ctx.base));
    assert_int_equal(poll(&p, 1, 0), 0);
    uint64_t start = bk_monotonic_ms();
    assert_int_equal(ctx.base.host->sleep_ms(&ctx.base, 20), BAKE_OK);
    assert_true(bk_monotonic_ms() - start >= 19);
}

static int logs_put(void *arg, const char *stream, const char *name, const char *path,
                    struct bk_err *err)
{
    (void)snprintf(arg, 200, "%s %s %s", stream, name, path);
    return bk_fail(err, BAKE_E_EXISTS, "it is there");
}

static int logs_get(void *arg, const char *stream, const char *name, const char *path,
                    struct bk_err *err)
{
    (void)err;
    (void)snprintf(arg, 200, "get %s %s %s", stream, name, path);
    return BAKE_OK;
}

static int logs_list(void *arg, const char *stream,
                     int (*each)(void *each_arg, const char *name, uint64_t size), void *each_arg,
                     struct bk_err *err)
{
    (void)arg;
    (void)err;
    return each(each_arg, stream, 7);
}

static int stop(void *arg, const char *name, uint64_t size)
{
    (void)snprintf(arg, 200, "%s %llu", name, (unsigned long long)size);
    return 5;
}

static void logs(void **state)
{
    (void)state;
    char seen[200] = "";
    const struct bk_ctx_logs archive = {logs_put, logs_get, logs_list, seen};
    const struct bake_host *host;
    struct bk_err err = {0};
    struct bk_ctx ctx;
    bk_ctx_init(&ctx, NULL, "source 'db'");
    host = ctx.base.host;
    assert_int_equal(host->log_put(&ctx.base, "s", "n", "p"), BAKE_E_UNSUPPORTED);
    assert_int_equal(host->log_get(&ctx.base, "s", "n", "p"), BAKE_E_UNSUPPORTED);
    assert_int_equal(host->log_list(&ctx.base, "s", stop, seen), BAKE_E_UNSUPPORTED);
    assert_string_equal(ctx.err.text, "there is no log archive here");
    ctx.logs = &archive;
    assert_int_equal(host->log_put(&ctx.base, "s", "n", "p"), BAKE_E_EXISTS);
    assert_string_equal(seen, "s n p");
    assert_int_equal(bk_ctx_fail(&ctx, BAKE_E_EXISTS, &err), BAKE_E_EXISTS);
    assert_string_equal(err.text, "source 'db': it is there");
    assert_int_equal(host->log_get(&ctx.base, "s", "n", "p"), BAKE_OK);
    assert_string_equal(seen, "get s n p");
    assert_int_equal(host->log_list(&ctx.base, "s", stop, seen), 5);
    assert_string_equal(seen, "s 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(label_and_host),
        cmocka_unit_test(a_failure_gets_the_label),
        cmocka_unit_test(a_silent_failure_is_the_plugins_fault),
        cmocka_unit_test(the_last_text_counts),
        cmocka_unit_test(what_is_no_result_is_an_internal_error),
        cmocka_unit_test(every_result_has_a_text),
        cmocka_unit_test(cancelled_is_no_failure),
        cmocka_unit_test(texts_are_masked_and_printable),
        cmocka_unit_test(reports_without_subject_and_of_unknown_severity),
        cmocka_unit_test(cancelling_is_seen),
        cmocka_unit_test(without_a_cancel),
        cmocka_unit_test(logs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
