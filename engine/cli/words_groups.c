/* What holding the groups would do. */
#include "cli/words_groups.h"

#include "base/num.h"
#include "cli/words.h"

#include <stdbool.h>
#include <stdio.h>

static uint64_t ms(const json_t *j, const char *key)
{
    double s = json_number_value(json_object_get(j, key));

    return s > 0 ? (uint64_t)(s * 1000.0 + 0.5) : 0;
}

/* A source's lists as it calls them: "stops web, db; keeps cache" */
static void facts(const json_t *facts)
{
    const char *key, *before = ": ";
    const json_t *list;

    json_object_foreach((json_t *)facts, key, list)
    {
        if (!json_is_array(list) || json_array_size(list) == 0)
            continue;
        printf("%s%s", before, key);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *name = json_string_value(json_array_get(list, i));

            printf("%s%s", i ? ", " : " ", name ? name : "?");
        }
        before = "; ";
    }
}

static void group(const json_t *g, bool first)
{
    char time[24];

    printf("  %-9s %s", first ? "holds" : "", bk_event_str(g, "name"));
    facts(json_object_get(g, "facts"));
    if (json_object_get(g, "last_stopped_seconds"))
        printf(" (stopped for %s the last time)",
               bk_format_duration(time, sizeof(time), ms(g, "last_stopped_seconds")));
    else if (json_object_get(g, "last_held_seconds"))
        printf(" (held for %s the last time)",
               bk_format_duration(time, sizeof(time), ms(g, "last_held_seconds")));
    printf("%s%s\n", *bk_event_str(g, "error") ? "  ERROR: " : "", bk_event_str(g, "error"));
}

void bk_words_held_groups(const json_t *event)
{
    const json_t *groups = json_object_get(event, "groups");

    for (size_t i = 0; i < json_array_size(groups); i++)
        group(json_array_get(groups, i), i == 0);
}
