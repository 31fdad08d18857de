/* Groups of a restore in words. */
#include "cli/words_restore.h"

#include "base/num.h"
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

void bk_words_drill(const json_t *g)
{
    const char *error = bk_event_str(g, "error");
    double seconds = json_number_value(json_object_get(g, "duration"));
    char time[24];

    printf("  %-32s drill    %s in %s", bk_event_str(g, "name"), bk_event_str(g, "result"),
           bk_format_duration(time, sizeof(time), seconds > 0 ? (uint64_t)(seconds * 1000.0) : 0));
    print_facts(json_object_get(g, "facts"));
    printf("%s%s\n", *error ? ": " : "", error);
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

static void print_list(const char *what, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        printf("  %-9s %s\n", i == 0 ? what : "", text ? text : "?");
    }
}

void bk_words_choices(const json_t *e)
{
    if (*bk_event_str(e, "as_database"))
        printf("  %-9s %s\n", "as", bk_event_str(e, "as_database"));
    if (*bk_event_str(e, "at"))
        printf("  %-9s %s\n", "at", bk_event_str(e, "at"));
    print_list("only", json_object_get(e, "paths"));
    print_list("set", json_object_get(e, "set"));
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
