/* One line or table per event. */
#include "cli/words.h"

#include "base/num.h"
#include "base/str.h"
#include "cli/words_groups.h"
#include "cli/words_restore.h"

#include <stdio.h>
#include <stdlib.h>

const char *bk_event_str(const json_t *event, const char *key)
{
    const char *s = json_string_value(json_object_get(event, key));

    return s ? s : "";
}

uint64_t bk_event_num(const json_t *event, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(event, key));

    return n > 0 ? (uint64_t)n : 0;
}

/* "1 backup", "2 backups" */
static const char *plural(uint64_t n) { return n == 1 ? "" : "s"; }

static uint64_t ms(const json_t *e, const char *key)
{
    double s = json_number_value(json_object_get(e, key));

    return s > 0 ? (uint64_t)(s * 1000.0) : 0;
}

static void component(const json_t *e)
{
    char in[24], stored[24], count[32], time[24];
    uint64_t failed = bk_event_num(e, "failed"), missing = bk_event_num(e, "missing"),
             kept = bk_event_num(e, "kept");

    printf("  %-32s %-8s", bk_event_str(e, "name"), bk_event_str(e, "status"));
    if (bk_event_num(e, "entries") > 0)
        printf(" %s entries", bk_format_count(count, sizeof(count), bk_event_num(e, "entries")));
    if (bk_event_num(e, "unchanged") > 0)
        printf(" (%s unchanged)",
               bk_format_count(count, sizeof(count), bk_event_num(e, "unchanged")));
    if (json_object_get(e, "bytes_new"))
        printf(" %s, %s new", bk_format_size(in, sizeof(in), bk_event_num(e, "bytes_in")),
               bk_format_size(stored, sizeof(stored), bk_event_num(e, "bytes_new")));
    else if (json_object_get(e, "bytes_stored"))
        printf(" %s -> %s", bk_format_size(in, sizeof(in), bk_event_num(e, "bytes_in")),
               bk_format_size(stored, sizeof(stored), bk_event_num(e, "bytes_stored")));
    else
        printf(" %s", bk_format_size(
                          in, sizeof(in),
                          bk_event_num(e, json_object_get(e, "bytes_in") ? "bytes_in" : "bytes")));
    if (json_object_get(e, "duration"))
        printf(" in %s", bk_format_duration(time, sizeof(time), ms(e, "duration")));
    if (bk_event_num(e, "warnings") > 0)
        printf(", %s warning%s", bk_format_count(count, sizeof(count), bk_event_num(e, "warnings")),
               plural(bk_event_num(e, "warnings")));
    if (missing > 0)
        printf(", %s not read", bk_format_count(count, sizeof(count), missing));
    if (kept > 0)
        printf(", %s kept", bk_format_count(count, sizeof(count), kept));
    if (failed > 0)
        printf(", %s failed", bk_format_count(count, sizeof(count), failed));
    printf("%s%s\n", *bk_event_str(e, "error") ? ": " : "", bk_event_str(e, "error"));
    if (*bk_event_str(e, "hint"))
        printf("    HINT: %s\n", bk_event_str(e, "hint"));
}

static void verified(const json_t *e)
{
    char bytes[24];

    printf("  %s in '%s': %s %s, %llu object%s", bk_event_str(e, "id"), bk_event_str(e, "sink"),
           bk_event_str(e, "level"), bk_event_str(e, "result"),
           (unsigned long long)bk_event_num(e, "objects"), plural(bk_event_num(e, "objects")));
    if (bk_event_num(e, "bytes") > 0)
        printf(", %s read back", bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes")));
    printf("\n");
}

static void retention(const json_t *e)
{
    const char *reasons = bk_event_str(e, "reasons");

    printf("  %-6s  %s  %s  %s%s\n", bk_event_str(e, "action"), bk_event_str(e, "start"),
           bk_event_str(e, "id"), json_is_true(json_object_get(e, "good")) ? "" : "(not good) ",
           reasons);
}

static void plan_parts(const json_t *e, const char *key, const char *what)
{
    const json_t *parts = json_object_get(e, key), *value;
    size_t i;

    for (i = 0; i < json_array_size(parts); i++) {
        json_t *part = json_array_get(parts, i);
        const char *name;

        printf("  %-9s %s", i == 0 ? what : "", bk_event_str(part, "plugin"));
        json_object_foreach(part, name, value)
        {
            char *text;

            if (bk_streq(name, "name") || bk_streq(name, "plugin"))
                continue;
            text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
            printf(" %s=%s", name, text ? text : "?");
            free(text);
        }
        printf("\n");
    }
}

static void plan(const json_t *e)
{
    const json_t *list = json_object_get(e, "components");
    char bytes[24], count[32];
    uint64_t total = 0;

    if (*bk_event_str(e, "id"))
        printf("would restore %s %s%s\n", bk_event_str(e, "id"),
               *bk_event_str(e, "target") ? "to " : "back in place", bk_event_str(e, "target"));
    else
        printf("would back up, as '%s' (format %s):\n", bk_event_str(e, "pipeline"),
               bk_event_str(e, "format"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);

        total += bk_event_num(c, "bytes");
        printf("  %-32s %-4s %10s", bk_event_str(c, "name"), bk_event_str(c, "kind"),
               bk_format_size(bytes, sizeof(bytes), bk_event_num(c, "bytes")));
        if (bk_event_num(c, "entries") > 0)
            printf(" %s entries",
                   bk_format_count(count, sizeof(count), bk_event_num(c, "entries")));
        if (*bk_event_str(c, "object"))
            printf("  -> %s", bk_event_str(c, "object"));
        printf("%s%s\n", *bk_event_str(c, "error") ? "  ERROR: " : "", bk_event_str(c, "error"));
    }
    printf("  %s in all\n", bk_format_size(bytes, sizeof(bytes), total));
    if (*bk_event_str(e, "id")) {
        bk_words_choices(e);
        bk_words_group_plan(e);
    } else {
        bk_words_held_groups(e);
    }
    plan_parts(e, "transforms", "through");
    plan_parts(e, "sinks", "to");
    if (bk_event_num(e, "memory_budget") > 0)
        printf("  memory    at most %s (%llu component%s at once)\n",
               bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "memory_budget")),
               (unsigned long long)bk_event_num(e, "parallel"),
               plural(bk_event_num(e, "parallel")));
}

static void run_summary(const json_t *e, const char *time)
{
    char in[24], stored[24];

    if (!*bk_event_str(e, "id")) {
        printf("nothing was backed up (%s)\n", time);
        return;
    }
    printf("backup %s: %s, %llu component%s, %s -> %s in %s\n", bk_event_str(e, "id"),
           bk_event_str(e, "status"), (unsigned long long)bk_event_num(e, "components"),
           plural(bk_event_num(e, "components")),
           bk_format_size(in, sizeof(in), bk_event_num(e, "bytes_in")),
           bk_format_size(stored, sizeof(stored), bk_event_num(e, "bytes_stored")), time);
    if (bk_event_num(e, "pruned") > 0)
        printf("retention removed %llu backup%s\n", (unsigned long long)bk_event_num(e, "pruned"),
               plural(bk_event_num(e, "pruned")));
}

static void restore_summary(const json_t *e, const char *time)
{
    char bytes[24], count[32];

    if (!*bk_event_str(e, "id"))
        return;
    printf("restored %s %s%s: %s, %s entries, %s in %s\n", bk_event_str(e, "id"),
           *bk_event_str(e, "target") ? "to " : "in place", bk_event_str(e, "target"),
           bk_event_str(e, "status"),
           bk_format_count(count, sizeof(count), bk_event_num(e, "entries")),
           bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes")), time);
}

/* What became of a repository's packs. */
static void prune_packs(const json_t *e, bool dry)
{
    uint64_t removed = bk_event_num(e, "packs_removed"),
             rewritten = bk_event_num(e, "packs_rewritten"),
             condemned = bk_event_num(e, "packs_condemned"), young = bk_event_num(e, "packs_young");
    char bytes[24];

    printf("%s %llu pack%s", dry ? "would remove" : "removed", (unsigned long long)removed,
           plural(removed));
    if (rewritten > 0)
        printf(", after rewriting what is still needed of %llu (%s)", (unsigned long long)rewritten,
               bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes_rewritten")));
    if (condemned > 0)
        printf("; %llu (%s) wait%s for runs that are under way", (unsigned long long)condemned,
               bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes_condemned")),
               condemned == 1 ? "s" : "");
    if (young > 0)
        printf("; %llu (%s) %s kept until %s a day old", (unsigned long long)young,
               bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes_young")),
               young == 1 ? "is" : "are", young == 1 ? "it is" : "they are");
    printf("\n");
}

static void prune_summary(const json_t *e, const char *time)
{
    char bytes[24];
    bool dry = json_is_true(json_object_get(e, "dry_run"));

    printf("%s %llu backup%s and %llu object%s of unfinished runs (%s), kept %llu backup%s (%s)\n",
           dry ? "would remove" : "removed", (unsigned long long)bk_event_num(e, "removed"),
           plural(bk_event_num(e, "removed")),
           (unsigned long long)bk_event_num(e, "garbage_objects"),
           plural(bk_event_num(e, "garbage_objects")),
           bk_format_size(bytes, sizeof(bytes), bk_event_num(e, "bytes_freed")),
           (unsigned long long)bk_event_num(e, "kept"), plural(bk_event_num(e, "kept")), time);
    if (bk_event_num(e, "logs_removed") > 0)
        printf("%s %llu log%s that no backup needs any more\n", dry ? "would remove" : "removed",
               (unsigned long long)bk_event_num(e, "logs_removed"),
               plural(bk_event_num(e, "logs_removed")));
    if (json_object_get(e, "packs_removed"))
        prune_packs(e, dry);
}

/* Of a database's logs, by verify. */
static void logs(const json_t *e)
{
    uint64_t missing = bk_event_num(e, "missing");
    char number[24];

    printf("  logs %s: %llu, of which backups need %llu, %s missing in '%s': %s %s\n",
           bk_event_str(e, "stream"), (unsigned long long)bk_event_num(e, "logs"),
           (unsigned long long)bk_event_num(e, "needed"),
           missing > 0 ? bk_format_count(number, sizeof(number), missing) : "none",
           bk_event_str(e, "sink"), bk_event_str(e, "level"), bk_event_str(e, "result"));
}

static void summary(const json_t *e)
{
    char time[24];

    bk_format_duration(time, sizeof(time), ms(e, "duration"));
    if (bk_starts(bk_event_str(e, "verb"), "wal-"))
        return; /* called thousands of times a day, by a server that logs what is said */
    if (json_is_true(json_object_get(e, "dry_run")) && !bk_streq(bk_event_str(e, "verb"), "prune"))
        return; /* the plan has said everything */
    if (bk_streq(bk_event_str(e, "verb"), "run"))
        run_summary(e, time);
    else if (bk_streq(bk_event_str(e, "verb"), "restore"))
        restore_summary(e, time);
    else if (bk_streq(bk_event_str(e, "verb"), "prune"))
        prune_summary(e, time);
    else
        printf("%s: %s, %llu backup%s (%s)\n", bk_event_str(e, "verb"), bk_event_str(e, "status"),
               (unsigned long long)bk_event_num(e, "backups"), plural(bk_event_num(e, "backups")),
               time);
}

void bk_words(const char *type, const json_t *event)
{
    if (bk_streq(type, "component"))
        component(event);
    else if (bk_streq(type, "verified"))
        verified(event);
    else if (bk_streq(type, "logs"))
        logs(event);
    else if (bk_streq(type, "retention"))
        retention(event);
    else if (bk_streq(type, "group"))
        bk_words_group(event);
    else if (bk_streq(type, "drill"))
        bk_words_drill(event);
    else if (bk_streq(type, "plan"))
        plan(event);
    else if (bk_streq(type, "summary"))
        summary(event);
}
