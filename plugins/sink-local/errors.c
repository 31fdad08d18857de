/* What a failed system call means to somebody who runs backups. */
#include "local.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

char *local_size_text(char *out, size_t cap, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double n = (double)bytes;
    size_t i = 0;

    for (; n >= 1024 && i < 6; i++)
        n /= 1024;
    (void)snprintf(out, cap, i > 0 ? "%.1f %s" : "%.0f %s", n, units[i]);
    return out;
}

static int result_of(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return BAKE_E_NOSPACE;
    case ENOENT:
        return BAKE_E_NOTFOUND;
    case EEXIST:
        return BAKE_E_EXISTS;
    case ENOMEM:
        return BAKE_E_NOMEM;
    case ELOOP:
        return BAKE_E_CORRUPT;
    case ESTALE:
    case ETIMEDOUT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
        return BAKE_E_UNAVAILABLE; /* a file server that may come back */
    default:
        return BAKE_E_IO;
    }
}

/* " (12.5 MiB free)", or nothing where that cannot be known. */
static void free_text(const struct local *s, char *out, size_t cap)
{
    char size[32];
    uint64_t n;
    int fd = open(s->root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    out[0] = '\0';
    if (fd < 0)
        return;
    if (local_free_bytes(fd, &n))
        (void)snprintf(out, cap, " (%s free)", local_size_text(size, sizeof(size), n));
    (void)close(fd);
}

static void why(const struct local *s, int e, char *out, size_t cap)
{
    const char *text = strerrordesc_np(e);
    char room[48];

    switch (e) {
    case ENOSPC:
        free_text(s, room, sizeof(room));
        (void)snprintf(out, cap, "no space left on the file system of '%s'%s", s->root, room);
        return;
    case EDQUOT:
        free_text(s, room, sizeof(room));
        (void)snprintf(out, cap, "the disk quota on '%s' is used up%s", s->root, room);
        return;
    case EROFS:
        (void)snprintf(out, cap, "the file system of '%s' is read-only", s->root);
        return;
    case ELOOP:
        (void)snprintf(out, cap, "a symbolic link is in the way; none is followed in a store");
        return;
    default:
        (void)snprintf(out, cap, "%s", text ? text : "unknown error");
        out[0] = (char)tolower((unsigned char)out[0]);
    }
}

static const char *hint_of(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return "\nHINT: make room there, or let 'retention' keep less and run 'prune'";
    case EROFS:
        return "\nHINT: the kernel's log says whether an error made it so; remount it for writing";
    case EIO:
        return "\nHINT: the disk may be failing; look at the kernel's log";
    case EACCES:
        return "\nHINT: run as a user who may use this directory";
    case EPERM:
        return "\nHINT: 'owner' and 'group' need privileges; an immutable flag (lsattr) forbids "
               "changes too";
    default:
        return "";
    }
}

int local_fail(const struct local *s, struct bake_ctx *ctx, int e, const char *verb,
               const char *name)
{
    char reason[512];

    why(s, e, reason, sizeof(reason));
    return bake_fail(ctx, result_of(e), "cannot %s '%s%s%s': %s%s", verb, s->root, *name ? "/" : "",
                     name, reason, hint_of(e));
}
