/* Names of objects, and of what is not one yet. */
#include "local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool local_is_tmp(const char *part) { return strncmp(part, LOCAL_TMP, strlen(LOCAL_TMP)) == 0; }

static bool part_ok(const char *part, size_t n)
{
    if (n == 0 || n > LOCAL_PART_MAX || (n == 1 && part[0] == '.') ||
        (n == 2 && part[0] == '.' && part[1] == '.'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (part[i] < 0x20 || part[i] > 0x7e)
            return false;
    return !local_is_tmp(part);
}

bool local_name_ok(const char *name)
{
    if (strlen(name) > LOCAL_NAME_MAX)
        return false;
    for (;;) {
        size_t n = strcspn(name, "/");

        if (!part_ok(name, n))
            return false;
        if (name[n] == '\0')
            return true;
        name += n + 1;
    }
}

int local_check_name(struct bake_ctx *ctx, const char *name)
{
    char shown[80];
    size_t n = 0;

    if (local_name_ok(name))
        return BAKE_OK;
    for (; name[n] && n + 1 < sizeof(shown); n++)
        shown[n] = name[n];
    shown[n] = '\0';
    for (char *p = shown; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    return bake_fail(ctx, BAKE_E_INTERNAL, "'%s%s' cannot be the name of an object", shown,
                     name[n] ? "..." : "");
}

const char *local_base(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

int local_tmp_name(char out[LOCAL_TMP_CAP])
{
    uint64_t n;
    ssize_t got;

    do
        got = getrandom(&n, sizeof(n), 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(n))
        return got < 0 ? -errno : -EIO;
    (void)snprintf(out, LOCAL_TMP_CAP, LOCAL_TMP "%016llx", (unsigned long long)n);
    return 0;
}
