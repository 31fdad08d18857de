/* The server in a private directory. */
#include "child/lines.h"
#include "scratch/impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_READ (64 << 10) /* bytes from its end */

static void shut(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* Below the directory, which may be another user's: a link there is not followed. */
static int open_log(const struct bkc_scratch *s, int flags)
{
    int dir = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), fd, e;
    struct stat st;

    if (dir < 0)
        return -1;
    fd = openat(dir, "log", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    e = errno;
    (void)close(dir);
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        fd = -1;
        e = EINVAL;
    }
    errno = e;
    return fd;
}

static int set_up(struct bake_ctx *ctx, const struct bkc_scratch *s, const struct bkc_user *user,
                  struct bkc_spawn *spawn, int gate[2])
{
    int log = bkc_fd_above(open_log(s, O_WRONLY | O_CREAT | O_APPEND));

    spawn->std[1] = log;
    spawn->std[0] = bkc_fd_above(open("/dev/null", O_RDONLY | O_CLOEXEC));
    spawn->std[2] = log < 0 ? -1 : fcntl(log, F_DUPFD_CLOEXEC, 3);
    if (spawn->std[0] < 0 || log < 0 || spawn->std[2] < 0 ||
        (user->change && fchown(log, user->uid, user->gid) < 0) || pipe2(gate, O_CLOEXEC) < 0)
        return bake_fail(ctx, BAKE_E_IO, "cannot make the log in '%s': %s", s->path,
                         strerror(errno));
    gate[0] = bkc_fd_above(gate[0]);
    spawn->gate = gate[0];
    if (gate[0] < 0)
        return bake_fail(ctx, BAKE_E_IO, "cannot make a pipe: %s", strerror(errno));
    return BAKE_OK;
}

/* It has not become the server yet: promised first, then let go. */
static int let_go(struct bake_ctx *ctx, struct bkc_scratch *s, int gate)
{
    ssize_t n;
    int rc;

    if (!bkc_start_time(s->pid, &s->started))
        return bake_fail(ctx, BAKE_E_CHILD, "cannot start a server in '%s': it ended at once",
                         s->path);
    rc = bkc_scratch_promise(s, ctx);
    if (rc != BAKE_OK)
        return rc;
    do
        n = write(gate, "g", 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? BAKE_OK
                  : bake_fail(ctx, BAKE_E_CHILD, "cannot start a server in '%s': %s", s->path,
                              strerror(errno));
}

static int start(struct bake_ctx *ctx, struct bkc_scratch *s, const struct bkc_spawn *spawn,
                 int gate[2])
{
    int report, rc = bkc_spawn(ctx, spawn, &s->pid, &report);

    if (rc != BAKE_OK) {
        s->pid = 0;
        return rc;
    }
    rc = let_go(ctx, s, gate[1]);
    shut(&gate[1]); /* without a byte it goes */
    if (rc == BAKE_OK) {
        rc = bkc_spawn_ran(ctx, spawn, s->pid, report);
    } else {
        (void)close(report);
        while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (rc != BAKE_OK)
        s->pid = 0; /* the promise may still name it, by its start: that does no harm */
    else
        s->pidfd = bkc_pidfd(s->pid);
    return rc;
}

static void reap_ended(struct bkc_scratch *s)
{
    if (s->pid != 0 && waitpid(s->pid, NULL, WNOHANG) != 0)
        s->pid = 0;
    if (s->pid == 0)
        shut(&s->pidfd);
}

int bkc_scratch_serve(struct bkc_scratch *s, struct bake_ctx *ctx, const char *const *argv,
                      const char *const *env)
{
    struct bkc_user user;
    struct bkc_words words = {0};
    struct bkc_spawn spawn = {.words = &words,
                              .user = &user,
                              .directory = s->path,
                              .std = {-1, -1, -1},
                              .stays = true,
                              .gate = -1};
    int gate[2] = {-1, -1}, rc;

    reap_ended(s);
    if (s->pid != 0)
        return bake_fail(ctx, BAKE_E_INTERNAL, "there is a server in '%s' already", s->path);
    rc = bkc_user_find(ctx, s->user, &user);
    if (rc != BAKE_OK)
        return rc;
    rc = bkc_words_make(ctx, argv, env, &user, 0, &words);
    if (rc == BAKE_OK)
        rc = set_up(ctx, s, &user, &spawn, gate);
    if (rc == BAKE_OK)
        rc = start(ctx, s, &spawn, gate);
    for (int i = 0; i < 3; i++)
        shut(&spawn.std[i]);
    shut(&gate[0]);
    shut(&gate[1]);
    bkc_words_release(&words);
    bkc_user_release(&user);
    return rc;
}

bool bkc_scratch_alive(const struct bkc_scratch *s)
{
    uint64_t started;
    return s->pid != 0 && bkc_start_time(s->pid, &started) && started == s->started;
}

char *bkc_scratch_log(const struct bkc_scratch *s)
{
    struct bkc_lines lines = {.said = NULL};
    int fd = open_log(s, O_RDONLY);
    char text[4096];
    off_t size;
    ssize_t n;

    if (fd < 0)
        return strdup("");
    size = lseek(fd, 0, SEEK_END);
    (void)lseek(fd, size > LOG_READ ? size - LOG_READ : 0, SEEK_SET);
    while ((n = read(fd, text, sizeof(text))) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            bkc_lines_feed(&lines, text, (size_t)n);
    bkc_lines_end(&lines);
    (void)close(fd);
    return strdup(lines.tail);
}
