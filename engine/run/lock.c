/* The pipeline's lock. */
#include "run/lock.h"

#include "base/cleanup.h"
#include "base/io.h"
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

static int locked_by(int fd, const char *pipeline, struct bk_err *err)
{
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = '\0';
    pid[strcspn(pid, "\n")] = '\0';
    return bk_fail(err, BK_E_LOCKED,
                   "pipeline '%s' is already running on this host (process %s)\n"
                   "HINT: wait for it to end; nothing was done",
                   pipeline, *pid ? pid : "unknown");
}

int bk_lock_pipeline(const char *pipeline, int *ret_fd, struct bk_err *err)
{
    char *state BK_FREE = NULL, *dir BK_FREE = NULL, *path BK_FREE = NULL;
    char text[24];
    int fd BK_CLOSE = -1;
    int rc = bk_state_dir(&state, err);

    if (rc < 0)
        return rc;
    dir = bk_asprintf("%s/locks", state);
    path = dir ? bk_asprintf("%s/%s.lock", dir, pipeline) : NULL;
    if (!path)
        return bk_nomem(err);
    rc = bk_mkdir_p(dir, 0700, err);
    if (rc < 0)
        return rc;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot open the lock '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? locked_by(fd, pipeline, err)
                                    : bk_fail_errno(err, errno, "cannot lock '%s'", path);
    /* The number is for people; the lock itself is the kernel's. */
    (void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || bk_write_full(fd, text, strlen(text)) < 0)
        return bk_fail_errno(err, errno, "cannot write '%s'", path);
    *ret_fd = fd;
    fd = -1;
    return BAKE_OK;
}
