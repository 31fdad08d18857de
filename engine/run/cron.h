/* The crontab form of a pipeline's `schedule:`.
 *
 * Every line that is written ends in a comment that says whose it is:
 *     0 2 * * 1-6 /usr/bin/bakengine run /etc/b/nightly.yaml --type incremental --quiet
 *                                                   # bakengine: /etc/b/nightly.yaml incremental
 * (one line in the file) and a heading comment stands before the first. By these, installing again
 * replaces exactly the lines of the same pipeline file, and removing takes away these and nothing
 * else. No variable (PATH, MAILTO, SHELL) is set, since that would change other people's lines.
 * cron mails what a command prints; with --quiet that is warnings and errors. */
#ifndef BK_CRON_H
#define BK_CRON_H

#include "base/buf.h"
#include "base/err.h"
#include "config/pipeline.h"
#include <stdbool.h>

struct bk_cron_job {
    const char *binary;   /* absolute path of bakengine */
    const char *pipeline; /* absolute path of the pipeline file */
    const char *user;     /* NULL: a user's crontab; else the form of /etc/crontab and /etc/cron.d,
                             in which each line names the user */
};

/* The absolute path of p's file, under which its lines are known. NULL: no memory. */
char *bk_cron_pipeline_path(const struct bk_pipeline *p);

/* Appends the heading and one line for each entry of the schedule. BAKE_E_CONFIG if there is no
 * entry, or if a path cannot be written to a crontab (control characters, a backslash, or a line
 * longer than cron reads). */
int bk_cron_lines(const struct bk_schedule *schedule, const struct bk_cron_job *job,
                  struct bk_buf *out, struct bk_err *err);

/* Appends `existing` with the lines of this pipeline file replaced by `lines` (from bk_cron_lines),
 * or taken away where lines is NULL. What is not ours stays byte for byte. */
int bk_cron_merge(const char *existing, const char *lines, const char *pipeline, struct bk_buf *out,
                  struct bk_err *err);

/* Does the same to this user's crontab, through crontab(1). *ret_changed (may be NULL): false if
 * it already stood there. */
int bk_cron_install(const char *lines, const char *pipeline, bool *ret_changed, struct bk_err *err);

/* Does the same to a file such as /etc/cron.d/bakengine, durably; a file that does not exist is
 * empty, and one that becomes empty is removed. Refuses a name in /etc/cron.d that cron ignores. */
int bk_cron_install_file(const char *path, const char *lines, const char *pipeline,
                         bool *ret_changed, struct bk_err *err);

/* Whether lines of this file name a user: /etc/crontab and what lies in /etc/cron.d. */
bool bk_cron_is_system_file(const char *path);

#endif
