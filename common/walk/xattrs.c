/* Extended attributes of an object named by directory and name, without opening it and without
 * following a link. Linux has calls for that since 6.13; before, /proc/self/fd leads there. */
#include "walk/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LIST_MAX  (64u << 10) /* the kernel's own limits */
#define VALUE_MAX (64u << 10)
#define FIRST     512u /* tried first: the kernel allocates as much as it is offered */

#ifndef SYS_getxattrat /* the same number on every architecture but Alpha */
#define SYS_getxattrat  464
#define SYS_listxattrat 465
#endif

enum how { /* the first until it turns out not to be there, and so on */
           HOW_CALLS = 0,
           HOW_PROC = 1,
           HOW_NONE = 2
};

struct xattr_args { /* of getxattrat */
    uint64_t __attribute__((aligned(8))) value;
    uint32_t size;
    uint32_t flags;
};

/* "/proc/self/fd/N/name"; names are short enough by what file systems allow */
static int proc_path(char *out, size_t cap, int dirfd, const char *name)
{
    int n = snprintf(out, cap, "/proc/self/fd/%d/%s", dirfd, name);
    return n >= 0 && (size_t)n < cap ? 0 : ENAMETOOLONG;
}

static ssize_t list_into(struct bkc_walk_xattrs *x, int dirfd, const char *name, size_t cap)
{
    char path[1200];
    if (!*name)
        return flistxattr(dirfd, x->names, cap);
    if (x->how == HOW_CALLS) {
        ssize_t n = syscall(SYS_listxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, x->names, cap);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        /* EPERM: a container's filter that does not know the call */
        x->how = access("/proc/self/fd", X_OK) == 0 ? HOW_PROC : HOW_NONE;
    }
    errno = x->how == HOW_NONE ? ENOSYS : proc_path(path, sizeof(path), dirfd, name);
    return errno != 0 ? -1 : llistxattr(path, x->names, cap);
}

static ssize_t list(struct bkc_walk_xattrs *x, int dirfd, const char *name)
{
    ssize_t n = list_into(x, dirfd, name, FIRST);
    return n < 0 && errno == ERANGE ? list_into(x, dirfd, name, LIST_MAX) : n;
}

static ssize_t get_into(struct bkc_walk_xattrs *x, int dirfd, const char *name, const char *attr,
                        void *to, size_t cap)
{
    char path[1200];
    if (!*name)
        return fgetxattr(dirfd, attr, to, cap);
    if (x->how == HOW_CALLS) {
        struct xattr_args args = {.value = (uint64_t)(uintptr_t)to, .size = (uint32_t)cap};
        return syscall(SYS_getxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, attr, &args, sizeof(args));
    }
    errno = proc_path(path, sizeof(path), dirfd, name);
    return errno != 0 ? -1 : lgetxattr(path, attr, to, cap);
}

static ssize_t get(struct bkc_walk_xattrs *x, int dirfd, const char *name, const char *attr,
                   void *to)
{
    ssize_t n = get_into(x, dirfd, name, attr, to, FIRST);
    return n < 0 && errno == ERANGE ? get_into(x, dirfd, name, attr, to, VALUE_MAX) : n;
}

/* Room for one more attribute; its value is read straight into its place. */
static int reserve(struct bkc_walk_xattrs *x, size_t attr_len)
{
    size_t need = x->size + attr_len + 1 + 4 + VALUE_MAX;
    if (need <= x->cap)
        return 0;
    unsigned char *packed = realloc(x->packed, need + VALUE_MAX);
    if (!packed)
        return ENOMEM;
    x->packed = packed;
    x->cap = need + VALUE_MAX;
    return 0;
}

static int pack(struct bkc_walk_xattrs *x, int dirfd, const char *name, const char *attr)
{
    size_t len = strlen(attr);
    int rc = reserve(x, len);
    if (rc != 0)
        return rc;
    unsigned char *at = x->packed + x->size;
    ssize_t n = get(x, dirfd, name, attr, at + len + 5);
    if (n < 0) /* gone in the meantime, or listed but not kept by this file system */
        return errno == ENODATA || errno == EOPNOTSUPP ? 0 : errno;
    memcpy(at, attr, len + 1);
    for (int i = 0; i < 4; i++)
        at[len + 1 + (size_t)i] = (unsigned char)((size_t)n >> (8 * i));
    x->size += len + 5 + (size_t)n;
    return 0;
}

/* The least name of the list that is greater than `after`: file systems list them in any order,
 * a backup should not. */
static const char *next_name(const struct bkc_walk_xattrs *x, size_t n, const char *after)
{
    const char *least = NULL;
    for (size_t at = 0; at < n; at += strlen(x->names + at) + 1) {
        const char *name = x->names + at;
        if ((!after || strcmp(name, after) > 0) && (!least || strcmp(name, least) < 0))
            least = name;
    }
    return least;
}

int bkc_walk_xattrs_read(struct bkc_walk_xattrs *x, int dirfd, const char *name,
                         const char **ret_name)
{
    x->size = 0;
    *ret_name = NULL;
    if (!x->names && !(x->names = malloc(LIST_MAX)))
        return ENOMEM;
    ssize_t n = list(x, dirfd, name);
    if (n < 0)
        return errno == EOPNOTSUPP ? 0 : errno;
    int first_error = 0;
    for (const char *attr = NULL; n > 0 && (attr = next_name(x, (size_t)n, attr));) {
        int rc = pack(x, dirfd, name, attr);
        if (rc == ENOMEM)
            return rc;
        if (rc != 0 && first_error == 0) {
            first_error = rc;
            *ret_name = attr;
        }
    }
    return first_error;
}

void bkc_walk_xattrs_free(struct bkc_walk_xattrs *x)
{
    free(x->packed);
    free(x->names);
}
