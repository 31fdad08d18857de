/* Lists: by prefix, complete, each name once, with sizes, and stopped when asked. */
#include "sink.h"

#include <stdio.h>
#include <string.h>

static const char *const tree[] = {"tree/a",    "tree/ab",    "tree/abc/d", "tree/abc/de",
                                   "tree/abcd", "tree/b/c/d", "tree/b/c/e", "tree/b/cd/e",
                                   "tree/b/f",  "treetop",    "other/tree"};
#define TREE_N (sizeof(tree) / sizeof(tree[0]))

static bool plant(struct sink *s)
{
    char name[NAME_CAP];
    bool ok = true;

    for (size_t i = 0; i < TREE_N; i++)
        ok = sink_want(s, sink_put_seed(s, sink_name(s, name, tree[i]), i * 11, i), BAKE_OK,
                       "put") &&
             ok;
    return ok;
}

static void check_list(struct sink *s, const char *leaf)
{
    char prefix[NAME_CAP], name[NAME_CAP];
    struct listed l;
    size_t wanted = 0;

    sink_name(s, prefix, leaf);
    sink_want(s, sink_list(s, prefix, &l), BAKE_OK, "list");
    for (size_t i = 0; i < TREE_N; i++) {
        if (strncmp(tree[i], leaf, strlen(leaf)) != 0)
            continue;
        wanted++;
        sink_name(s, name, tree[i]);
        cf_check(s->r, listed_has(&l, name), "list('%s') has not '%s' once", leaf, tree[i]);
        for (size_t j = 0; j < l.n; j++)
            cf_check(s->r, strcmp(l.names[j], name) != 0 || l.sizes[j] == i * 11,
                     "'%s' is listed with %llu bytes, not %zu", tree[i],
                     (unsigned long long)l.sizes[j], i * 11);
    }
    cf_check(s->r, l.n == wanted, "list('%s') has %zu names, not %zu", leaf, l.n, wanted);
    listed_free(&l);
}

static void prefixes(struct sink *s)
{
    static const char *const leaves[] = {"tree",        "tree/",      "tre",        "tree/a",
                                         "tree/ab",     "tree/abc",   "tree/abc/",  "tree/abc/d",
                                         "tree/abc/de", "tree/b/c",   "tree/b/c/",  "tree/b/cd/e",
                                         "tree/abc/x",  "tree/zz/yy", "tree/a/",    "tree//",
                                         "tree/./a",    "tree/../",   "other/tree/"};

    if (!plant(s))
        return;
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        check_list(s, leaves[i]);
}

static void whole_store(struct sink *s)
{
    char name[NAME_CAP];
    struct listed l;

    sink_want(s, sink_put_seed(s, sink_name(s, name, "anywhere"), 1, 1), BAKE_OK, "put");
    sink_want(s, sink_list(s, "", &l), BAKE_OK, "list('')");
    cf_check(s->r, listed_has(&l, name), "list('') has not '%s'", name);
    listed_free(&l);
    sink_want(s, sink_list(s, "no-such-prefix-in-any-store", &l), BAKE_OK, "list");
    cf_check(s->r, l.n == 0, "something matches a prefix that nothing has");
    listed_free(&l);
}

struct stopping {
    unsigned calls;
    int with;
};

static int stop_at_third(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct stopping *st = arg;

    (void)name;
    (void)size;
    (void)mtime_ns;
    return ++st->calls == 3 ? st->with : 0;
}

static void stopped(struct sink *s)
{
    static const int values[] = {1, 7, BAKE_E_CANCELLED, BAKE_E_NOMEM};

    if (!plant(s))
        return;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct stopping st = {0, values[i]};
        struct cf_ctx ctx;
        int rc;

        cf_ctx_init(&ctx);
        rc = s->ops->list(s->self, &ctx.base, s->prefix, stop_at_third, &st);
        cf_check(s->r, rc == values[i], "list() returned %d, not each()'s %d", rc, values[i]);
        cf_check(s->r, st.calls == 3, "each() was called %u times after it said stop",
                 st.calls - 3);
        cf_ctx_free(&ctx);
    }
}

void sink_list_cases(struct sink *s)
{
    sink_case(s, "list by prefix", prefixes);
    sink_case(s, "list of everything", whole_store);
    sink_case(s, "list stops when it is told to", stopped);
}
