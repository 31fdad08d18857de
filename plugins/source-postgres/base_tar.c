/* The headers of a server's tar. */
#include "base_tar.h"

#include <stdio.h>
#include <string.h>

/* Octal digits, or 0x80 and the number in binary. */
static bool number(const unsigned char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;
    if (p[0] == 0x80) {
        for (i = 1; i < n; i++) {
            if (v >> 55)
                return false;
            v = v << 8 | p[i];
        }
        *ret = v;
        return true;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 60)
            return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != '\0')
            return false;
    *ret = v;
    return true;
}

static bool sum_is_right(const unsigned char *b)
{
    uint64_t want = 0;
    uint32_t sum = 0;
    for (size_t i = 0; i < PG_TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    return number(b + 148, 8, &want) && want == sum;
}

static bool is_zero(const unsigned char *b)
{
    return b[0] == 0 && memcmp(b, b + 1, PG_TAR_BLOCK - 1) == 0;
}

/* Takes a "./" in front and '/' at the end away; what is left must be normal. */
static bool normal(char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        path[--n] = '\0';
    if (strncmp(path, "./", 2) == 0)
        memmove(path, path + 2, n - 1);
    if (strcmp(path, ".") == 0)
        return true;
    for (const char *part = path;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += len;
        if (!*part)
            return true;
    }
}

static uint32_t type_of(unsigned char c)
{
    switch (c) {
    case '0':
    case '\0':
        return BAKE_FILE;
    case '2':
        return BAKE_SYMLINK;
    case '5':
        return BAKE_DIR;
    default:
        return 0;
    }
}

static void names(const unsigned char *b, struct pg_tar_head *ret)
{
    const char *text = (const char *)b;
    int prefix = (int)strnlen(text + 345, 155), name = (int)strnlen(text, 100);
    (void)snprintf(ret->path, sizeof(ret->path), "%.*s%s%.*s", prefix, text + 345,
                   prefix ? "/" : "", name, text);
    (void)snprintf(ret->link, sizeof(ret->link), "%.*s", (int)strnlen(text + 157, 100), text + 157);
}

int pg_tar_head(const unsigned char block[PG_TAR_BLOCK], struct pg_tar_head *ret,
                const char **ret_why)
{
    uint64_t mode, uid, gid, mtime;
    memset(ret, 0, sizeof(*ret));
    if (is_zero(block))
        return BAKE_OK;
    *ret_why = "has no tar header where one must be";
    if (!sum_is_right(block) || memcmp(block + 257, "ustar", 5) != 0)
        return BAKE_E_CORRUPT;
    *ret_why = "has a number in a tar header that makes no sense";
    if (!number(block + 100, 8, &mode) || !number(block + 108, 8, &uid) ||
        !number(block + 116, 8, &gid) || !number(block + 124, 12, &ret->size) ||
        !number(block + 136, 12, &mtime) || uid > UINT32_MAX || gid > UINT32_MAX ||
        mtime > 9000000000u || ret->size > INT64_MAX)
        return BAKE_E_CORRUPT;
    ret->mode = (uint32_t)mode & 07777;
    ret->uid = (uint32_t)uid;
    ret->gid = (uint32_t)gid;
    ret->mtime_ns = (int64_t)(mtime * 1000000000u);
    ret->type = type_of(block[156]);
    names(block, ret);
    *ret_why = "has an entry of a kind that a server never sends";
    if (ret->type == 0 || (ret->type != BAKE_FILE && ret->size > 0))
        return BAKE_E_CORRUPT;
    *ret_why = "has an entry with a name that is not normal";
    return normal(ret->path) ? BAKE_OK : BAKE_E_CORRUPT;
}
