/* Locks in the state directory. */
#include "run/lock.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

int bk_state_dir(char **ret, struct bk_err *err)
{
    const char *own = secure_getenv("BAKENGINE_STATE_DIR"), *xdg = secure_getenv("XDG_STATE_HOME");
    const char *home = secure_getenv("HOME");

    if (own && *own) {
        if (own[0] != '/')
            return bk_fail(err, BK_E_USAGE,
                           "BAKENGINE_STATE_DIR must be an absolute path, not '%s'", own);
        *ret = bk_strdup(own);
    } else if (geteuid() == 0) {
        *ret = bk_strdup("/var/lib/bakengine");
    } else if (xdg && xdg[0] == '/') {
        *ret = bk_asprintf("%s/bakengine", xdg);
    } else if (home && home[0] == '/') {
        *ret = bk_asprintf("%s/.local/state/bakengine", home);
    } else {
        return bk_fail(err, BAKE_E_CONFIG,
                       "there is no place for the state of this host: neither "
                       "BAKENGINE_STATE_DIR nor HOME is set");
    }
    return *ret ? BAKE_OK : bk_nomem(err);
}

/* what: "pipeline 'nightly' is already running", for the message. */
static int locked_by(int fd, const char *what, struct bk_err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return bk_fail(err, BK_E_LOCKED,
                   "%s on this host (process %s)\n"
                   "HINT: wait for it to end; nothing was done",
                   what, *pid ? pid : "unknown");
}

static int take(const char *dir, const char *path, const char *what, int *ret_fd,
                struct bk_err *err)
{
    int fd BK_CLOSE = -1;
    char text[24];
    int rc = bk_mkdir_p(dir, 0700, err);

    if (rc < 0)
        return rc;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot open the lock '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? locked_by(fd, what, err)
                                    : bk_fail_errno(err, errno, "cannot lock '%s'", path);
    /* The number is for people; the lock itself is the kernel's. */
    (void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || bk_write_full(fd, text, strlen(text)) < 0)
        return bk_fail_errno(err, errno, "cannot write '%s'", path);
    *ret_fd = fd;
    fd = -1;
    return BAKE_OK;
}

int bk_lock_pipeline(const char *pipeline, int *ret_fd, struct bk_err *err)
{
    char *state BK_FREE = NULL, *dir BK_FREE = NULL, *path BK_FREE = NULL, *what BK_FREE = NULL;
    int rc = bk_state_dir(&state, err);

    if (rc < 0)
        return rc;
    dir = bk_asprintf("%s/locks", state);
    path = dir ? bk_asprintf("%s/%s.lock", dir, pipeline) : NULL;
    what = bk_asprintf("pipeline '%s' is already running", pipeline);
    return path && what ? take(dir, path, what, ret_fd, err) : bk_nomem(err);
}

int bk_lock_spool(const char *spool, const char *source, int *ret_fd, struct bk_err *err)
{
    char *path BK_FREE = bk_asprintf("%s.lock", spool), *dir BK_FREE = bk_path_dir(spool);
    char *what BK_FREE = bk_asprintf("the logs of source '%s' are already being received", source);

    return path && dir && what ? take(dir, path, what, ret_fd, err) : bk_nomem(err);
}
