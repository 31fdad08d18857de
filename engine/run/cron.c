/* Crontab lines for a schedule, and their place in a crontab. Pure text. */
#include "run/cron.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/str.h"
#include <string.h>

#define MAX_LINE 990 /* Debian's cron reads 999 bytes of a command; others are no shorter */
#define MARKER   "# bakengine: "
#define HEADING  " - written by 'bakengine schedule'; edit 'schedule:' in that file instead"

static const char *const entries[] = {"incremental", "full", "verify", "prune"};

static const char *arguments_of(size_t entry)
{
    static const char *const arguments[] = {" --type incremental", " --type full", " --level read",
                                            ""};
    return arguments[entry];
}

static const char *verb_of(size_t entry)
{
    static const char *const verbs[] = {"run", "run", "verify", "prune"};
    return verbs[entry];
}

static const char *when_of(const struct bk_schedule *s, size_t entry)
{
    const char *const when[] = {s->incremental, s->full, s->verify, s->prune};
    return when[entry];
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_@+=:,./-", c) != NULL;
}

/* One word for sh, with '%' escaped for cron, which takes that backslash away before sh sees it.
 * A quote is written as '"'"', because crons differ in what they do to other backslashes. */
static void add_word(struct bk_buf *out, const char *word)
{
    bool plain = *word != '\0';
    for (const char *p = word; *p && plain; p++)
        plain = is_plain(*p);
    if (!plain)
        bk_buf_char(out, '\'');
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            bk_buf_str(out, "'\"'\"'");
        else if (*p == '%')
            bk_buf_str(out, "\\%");
        else
            bk_buf_char(out, *p);
    }
    if (!plain)
        bk_buf_char(out, '\'');
}

static int check_text(const char *what, const char *text, struct bk_err *err)
{
    char shown[300];
    bk_printable(shown, sizeof(shown), text, strlen(text));
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            return bk_fail(err, BAKE_E_CONFIG,
                           "%s '%s' has a control character: it cannot stand in a crontab", what,
                           shown);
        if (*p == '\\')
            return bk_fail(err, BAKE_E_CONFIG,
                           "%s '%s' has a backslash, which crons read in different ways", what,
                           shown);
    }
    return 0;
}

static int check_job(const struct bk_cron_job *job, struct bk_err *err)
{
    int rc = check_text("path", job->binary, err);
    if (rc == 0)
        rc = check_text("path", job->pipeline, err);
    if (rc < 0 || !job->user)
        return rc;
    for (const char *p = job->user; *p; p++)
        if (!is_plain(*p) || strchr("@+=:,/", *p) || (p == job->user && *p == '-'))
            return bk_fail(err, BAKE_E_CONFIG, "'%s' is no user name for a crontab", job->user);
    if (!*job->user)
        return bk_fail(err, BAKE_E_CONFIG, "a line of a system crontab needs a user name");
    return 0;
}

/* "# bakengine: PATH": what the path is followed by says which line it is. */
static void add_marker(struct bk_buf *out, const char *pipeline)
{
    bk_buf_str(out, MARKER);
    add_word(out, pipeline);
}

static int add_line(const char *when, size_t entry, const struct bk_cron_job *job,
                    struct bk_buf *out, struct bk_err *err)
{
    int rc = check_text("schedule", when, err);
    if (rc < 0)
        return rc;
    size_t start = out->len;
    bk_buf_printf(out, "%s ", when);
    if (job->user)
        bk_buf_printf(out, "%s ", job->user);
    add_word(out, job->binary);
    bk_buf_printf(out, " %s ", verb_of(entry));
    add_word(out, job->pipeline);
    bk_buf_printf(out, "%s --quiet ", arguments_of(entry));
    add_marker(out, job->pipeline);
    bk_buf_printf(out, " %s\n", entries[entry]);
    if (out->len - start > MAX_LINE)
        return bk_fail(err, BAKE_E_CONFIG,
                       "the crontab line for '%s' would be longer than cron reads (%d bytes)\n"
                       "HINT: move the pipeline file to a shorter path",
                       entries[entry], MAX_LINE);
    return 0;
}

char *bk_cron_pipeline_path(const struct bk_pipeline *p)
{
    return bk_path_join(p->dir, bk_path_base(p->file));
}

int bk_cron_lines(const struct bk_schedule *schedule, const struct bk_cron_job *job,
                  struct bk_buf *out, struct bk_err *err)
{
    int rc = check_job(job, err);
    size_t n = 0;
    for (size_t i = 0; i < BK_LEN(entries) && rc == 0; i++) {
        if (!when_of(schedule, i))
            continue;
        if (n++ == 0) {
            add_marker(out, job->pipeline);
            bk_buf_str(out, HEADING "\n");
        }
        rc = add_line(when_of(schedule, i), i, job, out, err);
    }
    if (rc < 0)
        return rc;
    if (n == 0)
        return bk_fail(err, BAKE_E_CONFIG,
                       "'%s' has no 'schedule' to make crontab lines of\n"
                       "HINT: add, for example, schedule: {incremental: \"0 2 * * *\"}",
                       job->pipeline);
    return out->failed ? bk_nomem(err) : 0;
}

/* ---- merging --------------------------------------------------------------------------------- */

static bool range_ends(const char *line, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n >= m && memcmp(line + n - m, suffix, m) == 0;
}

/* The heading by its start (its words may change), an entry by its end. The path in the marker is
 * quoted as a word, so that no other path's marker can look like it. */
static bool is_ours(const char *line, size_t n, const char *marker)
{
    size_t m = strlen(marker);
    if (n > m + 3 && memcmp(line, marker, m) == 0 && memcmp(line + m, " - ", 3) == 0)
        return true;
    for (size_t i = 0; i < BK_LEN(entries); i++) {
        size_t e = strlen(entries[i]);
        if (n > e + 1 && range_ends(line, n, entries[i]) && line[n - e - 1] == ' ' &&
            range_ends(line, n - e - 1, marker))
            return n > e + 1 + m && line[n - e - 2 - m] == ' ';
    }
    return false;
}

int bk_cron_merge(const char *existing, const char *lines, const char *pipeline, struct bk_buf *out,
                  struct bk_err *err)
{
    struct bk_buf marker BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    add_marker(&marker, pipeline);
    if (marker.failed)
        return bk_nomem(err);
    bool placed = lines == NULL;
    for (const char *line = existing; *line;) {
        const char *newline = strchr(line, '\n');
        size_t n = newline ? (size_t)(newline - line) : strlen(line);
        if (!is_ours(line, n, marker.data)) {
            bk_buf_add(out, line, n);
            if (newline || !placed) /* cron ignores a last line without a newline */
                bk_buf_char(out, '\n');
        } else if (!placed) {
            bk_buf_str(out, lines);
            placed = true;
        }
        line += newline ? n + 1 : n;
    }
    if (!placed)
        bk_buf_str(out, lines);
    return out->failed ? bk_nomem(err) : 0;
}
