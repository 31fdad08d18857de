/* What a restored server reads when it starts: how it gets its log, and how far it goes. */
#include "base_files.h"
#include "base_way.h"
#include "text.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AUTO      "postgresql.auto.conf"
#define AUTO_MOST (16u << 20)

/* Settings of the old server that would lead the new one astray, or contradict ours. */
static const char *const dropped[] = {"restore_command",      "archive_cleanup_command",
                                      "recovery_end_command", "primary_conninfo",
                                      "primary_slot_name",    NULL};

static int no_memory(struct pg_way *w) { return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- texts ----------------------------------------------------------------------------------- */

/* A string of a configuration file: quotes and backslashes doubled. To be freed. */
static char *conf_quoted(const char *text)
{
    char *out = malloc(2 * strlen(text) + 3), *to = out;
    if (!out)
        return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            *to++ = *text;
        *to++ = *text;
    }
    memcpy(to, "'", 2);
    return out;
}

/* restore_command knows %f, %p and %r: every other % is doubled. To be freed. */
static char *percent_doubled(const char *text)
{
    char *out = malloc(2 * strlen(text) + 1), *to = out;
    if (!out)
        return NULL;
    for (; *text; text++) {
        if (*text == '%')
            *to++ = '%';
        *to++ = *text;
    }
    *to = '\0';
    return out;
}

/* As a word of restore_command; to be freed. */
static char *word(const char *text)
{
    char *quoted = pg_shell_quoted(text);
    char *out = quoted ? percent_doubled(quoted) : NULL;
    free(quoted);
    return out;
}

static char *command_of(const struct pg_way *w)
{
    char *program = word(w->program), *pipeline = word(w->pipeline);
    char *command =
        program && pipeline ? pg_text("%s wal-fetch %s %%f \"%%p\"", program, pipeline) : NULL;
    char *quoted = command ? conf_quoted(command) : NULL;
    free(program);
    free(pipeline);
    free(command);
    return quoted;
}

/* The line with the target; "" when it is not past yet: then all the log there is is wanted, and
 * a server that does not find its target would refuse to start. To be freed. */
static char *target_of(const struct pg_way *w)
{
    struct timespec now;
    struct tm tm;
    char text[64];
    time_t seconds = (time_t)(w->at_ns / 1000000000);
    long micros = (long)(w->at_ns % 1000000000 / 1000);
    if (clock_gettime(CLOCK_REALTIME, &now) == 0 &&
        w->at_ns > (int64_t)now.tv_sec * 1000000000 + now.tv_nsec)
        return strdup("");
    if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return NULL;
    return pg_text("recovery_target_time = '%s.%06ld+00'\n", text, micros);
}

/* ---- the file -------------------------------------------------------------------------------- */

static bool names(const char *line, const char *setting)
{
    size_t n = strlen(setting);
    return strncasecmp(line, setting, n) == 0 && !(line[n] >= 'a' && line[n] <= 'z') &&
           line[n] != '_';
}

static bool is_dropped(const char *line)
{
    line += strspn(line, " \t");
    if (strncasecmp(line, "recovery_target", 15) == 0)
        return true;
    for (const char *const *p = dropped; *p; p++)
        if (names(line, *p))
            return true;
    return false;
}

/* Takes lines away, in place. */
static void drop_lines(char *text)
{
    char *to = text;
    while (*text) {
        size_t n = strcspn(text, "\n");
        n += text[n] == '\n';
        if (!is_dropped(text)) {
            memmove(to, text, n);
            to += n;
        }
        text += n;
    }
    *to = '\0';
}

static int write_auto(struct pg_way *w, const char *old)
{
    char *command = command_of(w), *target = target_of(w);
    char *path = pg_text("%s/%s", w->stages[0].stage, AUTO);
    size_t n = strlen(old);
    char *text = command && target
                     ? pg_text("%s%s# written by a restore\nrestore_command = %s\n%s"
                               "recovery_target_timeline = 'latest'\n"
                               "recovery_target_action = 'promote'\n",
                               old, n > 0 && old[n - 1] != '\n' ? "\n" : "", command, target)
                     : NULL;
    int rc = path && text
                 ? pg_write_file(w->ctx, path, text, strlen(text), w->as_user, w->uid, w->gid)
                 : no_memory(w);
    free(command);
    free(target);
    free(path);
    free(text);
    return rc;
}

static int signal_file(struct pg_way *w, const char *name, bool wanted)
{
    char *path = pg_text("%s/%s", w->stages[0].stage, name);
    int rc = path ? BAKE_OK : no_memory(w);
    if (rc == BAKE_OK && wanted)
        rc = pg_write_file(w->ctx, path, "", 0, w->as_user, w->uid, w->gid);
    else if (rc == BAKE_OK && unlink(path) != 0 && errno != ENOENT)
        rc = bake_fail(w->ctx, BAKE_E_IO, "cannot remove '%s': %s", path, strerror(errno));
    free(path);
    return rc;
}

static int recovery(struct pg_way *w)
{
    char *path = pg_text("%s/%s", w->stages[0].stage, AUTO), *old = NULL;
    int rc = path ? pg_read_file(w->ctx, path, AUTO_MOST, &old) : no_memory(w);
    if (rc == BAKE_OK && old)
        drop_lines(old);
    if (rc == BAKE_OK)
        rc = write_auto(w, old ? old : "");
    free(path);
    free(old);
    return rc;
}

/* Without recovery it goes on with the timeline it had, whose segments may be stored already. */
static void warn_of_archive(struct pg_way *w)
{
    const char *mode =
        json_string_value(json_object_get((const json_t *)w->known.settings, "archive_mode"));
    if (mode && strcmp(mode, "off") != 0)
        bake_report(w->ctx, BAKE_NOTICE, "base",
                    "the server archived its log: the restored one writes segments of the same "
                    "names, so change its archive_command, or restore with --at");
}

int pg_way_conf(struct pg_way *w)
{
    int rc = signal_file(w, "standby.signal", false);
    if (rc == BAKE_OK)
        rc = signal_file(w, "recovery.signal", w->at_ns > 0);
    if (rc == BAKE_OK && w->at_ns > 0)
        rc = recovery(w);
    if (rc == BAKE_OK && w->at_ns == 0)
        warn_of_archive(w);
    return rc;
}
