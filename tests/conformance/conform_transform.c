/* conform_transform PLUGIN.so [key=value]...: what every transform plugin must do, tried on one. */
#include "transform.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void required_ops(struct transform *t)
{
    const struct bake_transform_ops *o = t->ops;

    cf_begin(t->r, "all required functions are there");
    cf_check(t->r, o->struct_size >= offsetof(struct bake_transform_ops, close) + sizeof(o->close),
             "struct_size is %zu, too small for close()", o->struct_size);
    cf_check(t->r, o->open && o->close && o->process && o->memory,
             "open(), close(), process() or memory() is missing");
    cf_check(t->r, o->suffix && o->suffix[0] == '.' && o->suffix[1] && !strchr(o->suffix, '/'),
             "the suffix must be '.' and a word");
    cf_check(t->r, (o->traits & ~(BAKE_COMPRESSES | BAKE_ENCRYPTS)) == 0, "unknown traits");
    cf_end(t->r);
}

static int run(struct transform *t)
{
    static const uint32_t flags[] = {0, BAKE_SMALL_OBJECT};

    cf_subject_cases(&t->subject, CF_TRANSFORM);
    required_ops(t);
    for (size_t i = 0; i < 2 && t->r->failed == 0; i++) {
        t->flags = flags[i];
        (void)printf("# %s\n", i ? "as for small objects" : "as for large objects");
        transform_stream_cases(t);
        transform_damage_cases(t);
        transform_reuse_cases(t);
    }
    return cf_finish(t->r);
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: conform_transform PLUGIN.so [KEY=VALUE]...\n"
                                "Tries what every transform must do; the options serve both "
                                "directions.\n";
    struct transform t;
    int rc;

    memset(&t, 0, sizeof(t));
    if (argc < 2 || argv[1][0] == '-') {
        (void)fputs(usage, argc < 2 ? stderr : stdout);
        return argc < 2 || strcmp(argv[1], "--help") != 0 ? 2 : 0;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* as in the engine */
    if (cf_subject_load(&t.subject, argv[1], argv + 2, (size_t)argc - 2) < 0)
        return 2;
    t.r = &t.subject.report;
    t.ops = t.subject.plugin->transform;
    t.seed = 20251105;
    if (!t.ops) {
        (void)fprintf(stderr, "'%s' is not a transform\n", argv[1]);
        return 2;
    }
    rc = run(&t);
    cf_subject_free(&t.subject);
    return rc;
}
