/* Groups of a restore in words. */
#include "cli/words_restore.h"

#include "base/str.h"
#include "cli/words.h"

#include <stdio.h>
#include <stdlib.h>

/* What the source says of it, for people: scalars as they are, the rest as JSON. */
static void print_facts(const json_t *facts)
{
    const json_t *value;
    const char *name;

    json_object_foreach((json_t *)facts, name, value)
    {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));

        printf(" %s=%s", name, text ? text : "?");
        free(text);
    }
}

static const char *outcome(const char *status)
{
    if (bk_streq(status, "ok"))
        return "restored as a whole";
    if (bk_streq(status, "partial"))
        return "restored, but not all of it";
    if (bk_streq(status, "undone"))
        return "not restored: all is as it was before";
    return "not restored, and could not be put back as it was";
}

void bk_words_group(const json_t *e)
{
    const char *status = bk_event_str(e, "status");

    if (json_is_true(json_object_get(e, "undo"))) {
        if (bk_streq(status, "ok"))
            printf("group '%s' is as it was before its last restore\n", bk_event_str(e, "name"));
        return;
    }
    printf("  %-32s %-8s %s", bk_event_str(e, "name"), status, outcome(status));
    print_facts(json_object_get(e, "facts"));
    printf("\n");
    if (json_is_true(json_object_get(json_object_get(e, "facts"), "kept")))
        printf("  what it replaced is kept for a while: bakengine restore PIPELINE --undo --stack "
               "%s\n",
               bk_event_str(e, "name"));
}

/* The components of one stage; how many there are. */
static size_t print_stage(const json_t *components, uint64_t stage)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(components); i++) {
        const json_t *c = json_array_get(components, i);

        if (!json_object_get(c, "stage") || bk_event_num(c, "stage") != stage)
            continue;
        if (n == 0)
            printf("    step %llu", (unsigned long long)stage + 1);
        printf("%s %s", n++ ? "," : ":", bk_event_str(c, "name"));
    }
    if (n > 0)
        printf("\n");
    return n;
}

void bk_words_group_plan(const json_t *e)
{
    const json_t *groups = json_object_get(e, "groups");

    for (size_t i = 0; i < json_array_size(groups); i++) {
        const json_t *g = json_array_get(groups, i), *list = json_object_get(g, "components");
        size_t shown = 0;

        printf("  group '%s', all of it or nothing:%s%s\n", bk_event_str(g, "name"),
               *bk_event_str(g, "error") ? "  ERROR: " : "", bk_event_str(g, "error"));
        for (uint64_t stage = 0; shown < json_array_size(list) && stage < 64; stage++)
            shown += print_stage(list, stage);
    }
}
