/* The functions of a plugin: those that its kind must have, and those that belong together. */
#include "base/cleanup.h"
#include "plugin/load.h"
#include <string.h>

struct op {
    const char *name;
    bool there;
};

#define OP(table, member)                                                                          \
    {                                                                                              \
#member, (table)->member != NULL                                                           \
    }

/* The first op that is missing, or NULL. */
static const char *first_missing(const struct op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!ops[i].there)
            return ops[i].name;
    return NULL;
}

static const char *first_there(const struct op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ops[i].there)
            return ops[i].name;
    return NULL;
}

static int need_all(const struct bk_plugin *p, const struct op *ops, size_t n, struct bk_err *err)
{
    const char *missing = first_missing(ops, n);
    if (!missing)
        return 0;
    return bk_plugin_bad(p, err, "lacks the function '%s' that every %s must have" BK_REBUILD,
                         missing, bk_kind_name(p->kind));
}

/* Either all of them or none. */
static int need_together(const struct bk_plugin *p, const struct op *ops, size_t n,
                         struct bk_err *err)
{
    const char *there = first_there(ops, n), *missing = first_missing(ops, n);
    if (!there || !missing)
        return 0;
    return bk_plugin_bad(p, err,
                         "has the function '%s' but lacks '%s' that goes with it" BK_REBUILD, there,
                         missing);
}

/* What a trait promises takes a function. */
static int check_traits(const struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_source_ops *o = &p->source;
    const struct {
        uint32_t trait;
        const char *name;
        struct op needs;
    } all[] = {{BAKE_INSPECTS, "BAKE_INSPECTS", OP(o, writer_open)},
               {BAKE_DRILLS, "BAKE_DRILLS", OP(o, restore_begin)},
               {BAKE_HAS_PARTS, "BAKE_HAS_PARTS", OP(o, restore_begin)},
               {BAKE_HAS_LOGS, "BAKE_HAS_LOGS", OP(o, restore_begin)}};

    for (size_t i = 0; i < BK_LEN(all); i++)
        if (o->traits & all[i].trait && !all[i].needs.there)
            return bk_plugin_bad(p, err,
                                 "has the trait %s but lacks the function '%s' that goes with "
                                 "it" BK_REBUILD,
                                 all[i].name, all[i].needs.name);
    return 0;
}

static int check_groups(const struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_source_ops *o = &p->source;
    const struct op hold[] = {OP(o, hold), OP(o, release)};
    const struct op owes[] = {OP(o, hold), OP(o, redeem)};
    const struct op back[] = {OP(o, restore_begin), OP(o, switch_group), OP(o, restore_end)};
    const struct op both[] = {OP(o, restore_begin), OP(o, writer_open)};
    int rc = need_together(p, hold, BK_LEN(hold), err);
    if (rc == 0 && o->hold)
        rc = need_together(p, owes, BK_LEN(owes), err);
    if (rc == 0)
        rc = need_together(p, back, BK_LEN(back), err);
    if (rc == 0 && o->restore_begin)
        rc = need_together(p, both, BK_LEN(both), err);
    return rc == 0 ? check_traits(p, err) : rc;
}

static int check_source(const struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_source_ops *o = &p->source;
    const struct op always[] = {OP(o, open),   OP(o, plan),         OP(o, reader_open), OP(o, read),
                                OP(o, finish), OP(o, reader_close), OP(o, close)};
    const struct op trees[] = {OP(o, next), OP(o, open_entry)};
    const struct op back[] = {OP(o, writer_open), OP(o, write), OP(o, commit), OP(o, writer_close)};
    const struct op back_trees[] = {OP(o, put_entry), OP(o, entry_end)};
    const struct op both_ways[] = {OP(o, writer_open), OP(o, next), OP(o, put_entry)};
    int rc = need_all(p, always, BK_LEN(always), err);
    if (rc == 0)
        rc = need_together(p, trees, BK_LEN(trees), err);
    if (rc == 0)
        rc = need_together(p, back, BK_LEN(back), err);
    if (rc == 0)
        rc = need_together(p, back_trees, BK_LEN(back_trees), err);
    /* Trees come back by put_entry(): whoever yields them and restores has it, nobody else. */
    if (rc == 0 && (o->put_entry || (o->writer_open && o->next)))
        rc = need_together(p, both_ways, BK_LEN(both_ways), err);
    return rc == 0 ? check_groups(p, err) : rc;
}

/* ".zst": a dot, then lower-case letters and digits; it becomes part of object names. */
static bool suffix_ok(const char *s)
{
    if (!s || s[0] != '.')
        return false;
    size_t n = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz0123456789");
    return n > 0 && n <= 16 && s[1 + n] == '\0';
}

static int check_transform(const struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_transform_ops *o = &p->transform;
    const struct op always[] = {OP(o, memory), OP(o, open), OP(o, process), OP(o, close)};
    int rc = need_all(p, always, BK_LEN(always), err);
    if (rc < 0)
        return rc;
    if (suffix_ok(o->suffix))
        return 0;
    char shown[40] = "NULL";
    if (o->suffix)
        bk_printable(shown, sizeof(shown), o->suffix, strlen(o->suffix));
    return bk_plugin_bad(p, err,
                         "has the suffix '%s': a suffix is a dot and then lower-case letters and "
                         "digits, at most 16" BK_REBUILD,
                         shown);
}

static int check_sink(const struct bk_plugin *p, struct bk_err *err)
{
    const struct bake_sink_ops *o = &p->sink;
    const struct op always[] = {
        OP(o, open),      OP(o, memory),    OP(o, put_begin), OP(o, put_write), OP(o, put_end),
        OP(o, put_abort), OP(o, get_begin), OP(o, get_read),  OP(o, get_close), OP(o, list),
        OP(o, stat),      OP(o, remove),    OP(o, close)};
    return need_all(p, always, BK_LEN(always), err);
}

int bk_plugin_check_ops(const struct bk_plugin *p, struct bk_err *err)
{
    if (p->kind == BK_SOURCE)
        return check_source(p, err);
    if (p->kind == BK_TRANSFORM)
        return check_transform(p, err);
    return check_sink(p, err);
}
