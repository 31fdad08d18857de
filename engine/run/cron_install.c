/* Crontab lines put in place: through crontab(1), or into a file of /etc/cron.d. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"
#include "run/cron.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MAX_CRONTAB ((size_t)4 << 20)
#define CRON_D      "/etc/cron.d"

extern char **environ;

/* ---- a crontab command, its input and output in memory files -------------------------------- */

struct crontab {
    int in, out, errors; /* memfds */
};

static void close_crontab(struct crontab *c)
{
    bk_close_p(&c->in);
    bk_close_p(&c->out);
    bk_close_p(&c->errors);
}

static int open_crontab(struct crontab *c, const char *input, struct bk_err *err)
{
    int *fds[] = {&c->in, &c->out, &c->errors};
    for (size_t i = 0; i < BK_LEN(fds); i++) {
        *fds[i] = memfd_create("crontab", MFD_CLOEXEC);
        if (*fds[i] < 0)
            return bk_fail_errno(err, errno, "cannot make a memory file for crontab");
    }
    if (input && bk_write_full(c->in, input, strlen(input)) < 0)
        return bk_fail_errno(err, errno, "cannot write a memory file for crontab");
    if (lseek(c->in, 0, SEEK_SET) < 0)
        return bk_fail_errno(err, errno, "cannot rewind a memory file for crontab");
    return 0;
}

static int read_back(int fd, struct bk_buf *b, struct bk_err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return bk_fail_errno(err, errno, "cannot read what crontab said");
    if (st.st_size < 0 || (size_t)st.st_size > MAX_CRONTAB)
        return bk_fail(err, BAKE_E_UNSUPPORTED, "the crontab is larger than %zu bytes",
                       MAX_CRONTAB);
    size_t n = (size_t)st.st_size;
    if (bk_buf_reserve(b, n + 1) < 0)
        return bk_nomem(err);
    if (bk_read_full(fd, b->data + b->len, n) != (ssize_t)n)
        return bk_fail_errno(err, errno ? errno : EIO, "cannot read what crontab said");
    b->data[b->len + n] = '\0';
    if (memchr(b->data + b->len, '\0', n))
        return bk_fail(err, BAKE_E_CORRUPT, "the crontab has a NUL byte: it is left alone");
    b->len += n;
    return 0;
}

/* The environment with `english` for LC_ALL. Pointers are borrowed. */
static char **environment_with(char *english)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **copy = calloc(n + 2, sizeof(*copy));
    if (!copy)
        return NULL;
    size_t k = 0;
    copy[k++] = english;
    for (size_t i = 0; i < n; i++)
        if (!bk_starts(environ[i], "LC_ALL="))
            copy[k++] = environ[i];
    return copy;
}

static int say_missing(struct bk_err *err)
{
    return bk_fail(err, BAKE_E_NOTFOUND,
                   "the command 'crontab' is not installed\n"
                   "HINT: apt install cron, or write a file for another cron: bakengine "
                   "schedule PIPELINE --cron --output " CRON_D "/NAME");
}

static int start(const struct crontab *c, const char *argument, pid_t *ret, struct bk_err *err)
{
    char name[] = "crontab";
    char english[] = "LC_ALL=C"; /* list_crontab() looks at one of the messages */
    char *word BK_FREE = bk_strdup(argument);
    char **env BK_FREE = environment_with(english);
    posix_spawn_file_actions_t actions;
    if (!word || !env || posix_spawn_file_actions_init(&actions) != 0)
        return bk_nomem(err);
    char *argv[] = {name, word, NULL};
    int e = posix_spawn_file_actions_adddup2(&actions, c->in, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&actions, c->out, 1);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(&actions, c->errors, 2);
    if (e == 0)
        e = posix_spawnp(ret, name, &actions, NULL, argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (e == ENOENT)
        return say_missing(err);
    if (e != 0)
        return bk_fail_errno(err, e, "cannot start 'crontab'");
    return 0;
}

/* Runs `crontab ARGUMENT`. *ret_status: what waitpid said. */
static int run_crontab(const char *argument, const char *input, struct bk_buf *out,
                       struct bk_buf *errors, int *ret_status, struct bk_err *err)
{
    struct crontab c BK_CLEANUP(close_crontab) = {-1, -1, -1};
    int rc = open_crontab(&c, input, err);
    pid_t pid = -1;
    if (rc == 0)
        rc = start(&c, argument, &pid, err);
    if (rc < 0)
        return rc;
    while (waitpid(pid, ret_status, 0) < 0)
        if (errno != EINTR)
            return bk_fail_errno(err, errno, "cannot wait for 'crontab'");
    if (WIFEXITED(*ret_status) && WEXITSTATUS(*ret_status) == 127)
        return say_missing(err); /* where posix_spawn cannot say so itself */
    rc = read_back(c.out, out, err);
    return rc < 0 ? rc : read_back(c.errors, errors, err);
}

static int say_failed(const char *argument, int status, const struct bk_buf *errors,
                      struct bk_err *err)
{
    char text[400];
    size_t n = errors->len;
    while (n > 0 && errors->data[n - 1] == '\n')
        n--;
    bk_printable(text, sizeof(text), n ? errors->data : "", n);
    if (WIFSIGNALED(status))
        return bk_fail(err, BAKE_E_CHILD, "'crontab %s' was killed by signal %d", argument,
                       WTERMSIG(status));
    return bk_fail(err, BAKE_E_CHILD, "'crontab %s' failed with exit status %d: %s", argument,
                   WEXITSTATUS(status), n ? text : "it said nothing");
}

static int list_crontab(struct bk_buf *text, struct bk_err *err)
{
    struct bk_buf errors BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int status = 0;
    int rc = run_crontab("-l", NULL, text, &errors, &status, err);
    if (rc < 0 || status == 0)
        return rc;
    if (WIFEXITED(status) && errors.data && strstr(errors.data, "no crontab for")) {
        bk_buf_clear(text);
        return 0;
    }
    return say_failed("-l", status, &errors, err);
}

int bk_cron_install(const char *lines, const char *pipeline, bool *ret_changed, struct bk_err *err)
{
    struct bk_buf old BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf new BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf said BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf errors BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int status = 0;
    int rc = list_crontab(&old, err);
    if (rc == 0)
        rc = bk_cron_merge(old.data ? old.data : "", lines, pipeline, &new, err);
    if (rc < 0)
        return rc;
    bool changed = !bk_streq(old.data ? old.data : "", new.data ? new.data : "");
    if (ret_changed)
        *ret_changed = changed;
    if (!changed)
        return 0;
    rc = run_crontab("-", new.data ? new.data : "", &said, &errors, &status, err);
    if (rc == 0 && status != 0)
        rc = say_failed("-", status, &errors, err);
    return rc;
}

/* ---- a file ---------------------------------------------------------------------------------- */

bool bk_cron_is_system_file(const char *path)
{
    return bk_streq(path, "/etc/crontab") ||
           (bk_starts(path, CRON_D "/") && path[sizeof(CRON_D)] != '\0');
}

/* cron passes over names in /etc/cron.d with anything but these, without a word. */
static int check_name(const char *path, struct bk_err *err)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *base = bk_path_base(path);
    if (!bk_starts(path, CRON_D "/") || (*base && base[strspn(base, good)] == '\0'))
        return 0;
    return bk_fail(err, BAKE_E_CONFIG,
                   "cron ignores '%s': names in " CRON_D " are of letters, digits, '_' and '-'\n"
                   "HINT: leave out dots and suffixes, as in " CRON_D "/bakengine",
                   path);
}

static bool is_blank(const char *text) { return text[strspn(text, " \t\n")] == '\0'; }

static int write_or_remove(const char *path, const struct bk_buf *text, struct bk_err *err)
{
    if (!is_blank(text->data ? text->data : ""))
        return bk_write_file(path, text->data, text->len, 0644, err);
    if (unlink(path) < 0 && errno != ENOENT)
        return bk_fail_errno(err, errno, "cannot remove '%s'", path);
    return 0;
}

int bk_cron_install_file(const char *path, const char *lines, const char *pipeline,
                         bool *ret_changed, struct bk_err *err)
{
    struct bk_buf old BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf new BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = check_name(path, err);
    if (rc < 0)
        return rc;
    if (access(path, F_OK) == 0)
        rc = bk_read_file(path, MAX_CRONTAB, &old, err);
    if (rc == 0 && old.len != strlen(old.data ? old.data : ""))
        rc = bk_fail(err, BAKE_E_CORRUPT, "'%s' has a NUL byte: it is left alone", path);
    if (rc == 0)
        rc = bk_cron_merge(old.data ? old.data : "", lines, pipeline, &new, err);
    if (rc < 0)
        return rc;
    bool changed = !bk_streq(old.data ? old.data : "", new.data ? new.data : "");
    if (ret_changed)
        *ret_changed = changed;
    return changed ? write_or_remove(path, &new, err) : 0;
}
