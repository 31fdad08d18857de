/* conform_sink PLUGIN.so [key=value]...: what every sink plugin must do, tried on one. */
#include "sink.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static void required_ops(struct sink *s)
{
    const struct bake_sink_ops *o = s->ops;

    cf_begin(s->r, "all required functions are there");
    cf_check(s->r, o->struct_size >= offsetof(struct bake_sink_ops, close) + sizeof(o->close),
             "struct_size is %zu, too small for close()", o->struct_size);
    cf_check(s->r, o->open && o->close, "open() or close() is missing");
    cf_check(s->r, o->memory != NULL, "memory() is missing");
    cf_check(s->r, o->put_begin && o->put_write && o->put_end && o->put_abort,
             "a function of put is missing");
    cf_check(s->r, o->get_begin && o->get_read && o->get_close, "a function of get is missing");
    cf_check(s->r, o->list && o->stat && o->remove, "list(), stat() or remove() is missing");
    cf_end(s->r);
}

/* Everything below the prefix; what should have been removed by the cases is no matter here. */
static void clean_up(struct sink *s)
{
    char folder[64];
    struct listed l;

    (void)snprintf(folder, sizeof(folder), "%s/", s->prefix);
    sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
    for (size_t i = 0; i < l.n; i++)
        sink_want(s, sink_remove(s, l.names[i]), BAKE_OK, "remove");
    listed_free(&l);
    sink_want(s, sink_list(s, folder, &l), BAKE_OK, "list");
    cf_check(s->r, l.n == 0, "%zu objects cannot be removed", l.n);
    listed_free(&l);
}

static int run(struct sink *s)
{
    cf_subject_cases(&s->subject, CF_SINK);
    required_ops(s);
    if (s->r->failed == 0) { /* what comes now would only crash otherwise */
        sink_object_cases(s);
        sink_range_cases(s);
        sink_name_cases(s);
        sink_list_cases(s);
        sink_concurrent_cases(s);
        sink_case(s, "all that was put can be removed", clean_up);
    }
    return cf_finish(s->r);
}

int main(int argc, char **argv)
{
    static const char usage[] =
        "usage: conform_sink PLUGIN.so [KEY=VALUE]...\n"
        "Tries what every sink must do, below a random prefix that is removed at the end.\n";
    struct sink s;
    uint64_t nonce = 0;
    int rc;

    memset(&s, 0, sizeof(s));
    if (argc < 2 || argv[1][0] == '-') {
        (void)fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 || strcmp(argv[1], "--help") != 0 ? 2 : 0;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* as in the engine */
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return 2;
    (void)snprintf(s.prefix, sizeof(s.prefix), "conform-%016" PRIx64, nonce);
    if (cf_subject_load(&s.subject, argv[1], argv + 2, (size_t)argc - 2) < 0)
        return 2;
    s.r = &s.subject.report;
    s.ops = s.subject.plugin->sink;
    if (!s.ops) {
        (void)fprintf(stderr, "'%s' is not a sink\n", argv[1]);
        return 2;
    }
    rc = run(&s);
    cf_subject_free(&s.subject);
    return rc;
}
