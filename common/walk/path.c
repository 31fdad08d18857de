/* Paths of entries, and opening one that must not lead out of its root. */
#include "walk/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 64 /* while others rename on the way */

int bkc_path_cmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    /* the end of a path is less than '/', which is less than any other byte */
    int x = *a == '/' ? 1 : *a ? 1 + (unsigned char)*a : 0;
    int y = *b == '/' ? 1 : *b ? 1 + (unsigned char)*b : 0;
    return x - y;
}

bool bkc_path_within(const char *outer, const char *inner)
{
    size_t n = strlen(outer);
    return n == 0 || (strncmp(outer, inner, n) == 0 && (!inner[n] || inner[n] == '/'));
}

int bkc_open_inside(int at, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    const char *name = *path ? path : ".";
    for (int tries = 0;; tries++) {
        long fd = syscall(SYS_openat2, at, name, &how, sizeof(how));
        if (fd < 0 && errno == EPERM) /* a container's filter that does not know the call? */
            errno = syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == EPERM ? ENOSYS : EPERM;
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || tries == TRIES)
            return (int)fd;
    }
}
