/* Paths as text. */
#include "base/path.h"
#include "base/buf.h"
#include "base/str.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Does out (normal, of at least `root` bytes) end in a part that a ".." takes back? */
static bool can_go_up(const char *out, size_t len, size_t root)
{
    if (len <= root)
        return false;
    return !(len >= 2 && out[len - 1] == '.' && out[len - 2] == '.' &&
             (len == 2 || out[len - 3] == '/'));
}

/* Makes path normal, in place: what comes out is never longer. An empty one becomes "", which
 * stands for ".". */
static size_t normalize(char *path)
{
    size_t root = path[0] == '/', len = root;
    const char *p = path;
    while (*p) {
        p += strspn(p, "/");
        size_t n = strcspn(p, "/");
        if (n == 0)
            break;
        bool up = n == 2 && p[0] == '.' && p[1] == '.';
        if (up && can_go_up(path, len, root)) {
            while (len > root && path[len - 1] != '/')
                len--;
            len -= len > root; /* the slash */
        } else if (!(n == 1 && p[0] == '.') && !(up && root)) {
            if (len > root)
                path[len++] = '/';
            memmove(path + len, p, n);
            len += n;
        }
        p += n;
    }
    path[len] = '\0';
    return len;
}

char *bk_path_join(const char *base, const char *name)
{
    char *path = name[0] == '/' ? bk_asprintf("%s", name) : bk_asprintf("%s/%s", base, name);
    if (path && base[0] == '\0' && name[0] != '/')
        memmove(path, path + 1, strlen(path)); /* no base: relative, not below the root */
    if (!path || normalize(path) > 0)
        return path;
    free(path);
    return bk_strdup(".");
}

char *bk_path_absolute(const char *path)
{
    if (path[0] == '/')
        return bk_path_join("/", path);
    char *cwd = getcwd(NULL, 0);
    if (!cwd)
        return NULL;
    char *ret = bk_path_join(cwd, path);
    free(cwd);
    return ret;
}

char *bk_path_dir(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return bk_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return strndup(path, n);
}

const char *bk_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : slash == path || !slash ? path : slash + 1;
}

bool bk_path_inside(const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "/");
        if (n == 0 || (n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[n] == '\0')
            return true;
        path += n + 1;
    }
}

bool bk_name_ok(const char *name)
{
    enum { NAME_LEN = 512, PART_LEN = 200 };
    size_t n = strnlen(name, NAME_LEN + 1), part = 0;
    if (n > NAME_LEN || !bk_path_inside(name))
        return false;
    while (n > 0) {
        uint32_t cp;
        size_t len = bk_utf8_next(name, n, &cp);
        if (len == 0 || bk_is_control(cp) || cp == '\\')
            return false;
        part = cp == '/' ? 0 : part + len;
        if (part > PART_LEN)
            return false;
        name += len;
        n -= len;
    }
    return true;
}
