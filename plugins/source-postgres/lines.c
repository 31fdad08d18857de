/* See dump.h. */
#include "dump.h"

#include "said.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define FAIL_MAX 900

void pg_lines_add(void *lines, const char *line)
{
    struct pg_lines *l = lines;
    if (!*line)
        return;
    if (l->n == PG_LINES || !(l->line[l->n] = strdup(line)))
        l->more++;
    else
        l->n++;
}

void pg_lines_free(struct pg_lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->line[i]);
    *l = (struct pg_lines){0};
}

/* "pg_dump: error: ..." without the name. */
static const char *without_name(const char *line, const char *tool)
{
    size_t n = strlen(tool);
    return strncmp(line, tool, n) == 0 && strncmp(line + n, ": ", 2) == 0 ? line + n + 2 : line;
}

void pg_lines_report(const struct pg_lines *l, struct bake_ctx *ctx, const char *tool,
                     const char *subject)
{
    for (size_t i = 0; i < l->n; i++)
        bake_report(ctx, BAKE_WARNING, subject, "'%s' says: %s", tool,
                    without_name(l->line[i], tool));
    if (l->more)
        bake_report(ctx, BAKE_WARNING, subject, "'%s' says %zu more lines", tool, l->more);
}

/* ---- failures -------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int rc;
    const char *hint;
} known[] = {
    {"statement timeout", BAKE_E_TIMEOUT, /* pg_dump has one for its locks alone */
     "somebody holds a lock on this table; raise 'lock_timeout', or back up when it is quiet"},
    {"conflict with recovery", BAKE_E_UNAVAILABLE,
     "set max_standby_streaming_delay or hot_standby_feedback on the standby"},
    {"row-level security", BAKE_E_AUTH,
     "give the user BYPASSRLS: a dump with only some of the rows would be no backup"},
    {"permission denied", BAKE_E_AUTH, "grant the user pg_read_all_data, or dump as a superuser"},
    {"password authentication failed", BAKE_E_AUTH, "check 'user' and 'password'"},
    {"no password supplied", BAKE_E_AUTH, "give 'password_file' (or a .pgpass file)"},
    {"does not exist", BAKE_E_NOTFOUND, NULL},
    {"No space left on device", BAKE_E_NOSPACE, NULL},
    {"server closed the connection", BAKE_E_UNAVAILABLE, "see the server's log for why"},
    {"terminating connection", BAKE_E_UNAVAILABLE, "see the server's log for why"},
    {"connection to server", BAKE_E_UNAVAILABLE, NULL},
    {"server version mismatch", BAKE_E_UNSUPPORTED,
     "install PostgreSQL's client programs of the server's version, or name their directory by "
     "'bin'"},
};

/* From the first line that tells of an error on, in one line. */
static void tell(const struct pg_lines *l, const char *tool, char *out, size_t cap)
{
    size_t from = 0, n = 0;
    while (from < l->n && !strstr(l->line[from], "error:") && !strstr(l->line[from], "ERROR:"))
        from++;
    if (from == l->n)
        from = 0;
    out[0] = '\0';
    for (size_t i = from; i < l->n && n + 8 < cap; i++) {
        char line[PG_SAID_MAX];
        pg_said_line(without_name(l->line[i], tool), line, sizeof(line));
        int k = snprintf(out + n, cap - n, "%s%s", n ? "; " : "", line);
        n = k < 0 || (size_t)k >= cap - n ? cap - 1 : n + (size_t)k;
    }
}

int pg_lines_fail(const struct pg_lines *l, struct bake_ctx *ctx, const char *tool,
                  const char *subject, int status)
{
    char text[FAIL_MAX], how[64];
    int rc = BAKE_E_CHILD;
    const char *hint = NULL;
    tell(l, tool, text, sizeof(text));
    if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(status));
    else
        (void)snprintf(how, sizeof(how), "ended with exit status %d", WEXITSTATUS(status));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strstr(text, known[i].text)) {
            rc = known[i].rc;
            hint = known[i].hint;
            break;
        }
    return bake_fail(ctx, rc, "'%s' of '%s' %s: %s%s%s", tool, subject, how,
                     text[0] ? text : "it said nothing", hint ? "\nHINT: " : "", hint ? hint : "");
}
