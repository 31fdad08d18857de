/* The directories that plugins are looked for in. */
#include "plugin/search.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

#define VARIABLE "BAKENGINE_PLUGIN_PATH"
#define BESIDE   "bakengine/plugins"

static int add_once(struct bk_strv *v, const char *dir, struct bk_err *err)
{
    if (!bk_strv_has(v, dir) && bk_strv_add(v, dir) < 0)
        return bk_nomem(err);
    return 0;
}

static int add_item(struct bk_strv *v, const char *item, struct bk_err *err)
{
    if (!*item)
        return bk_fail(err, BAKE_E_CONFIG,
                       VARIABLE " has an empty item\n"
                                "HINT: name directories by their absolute paths, ':' between them; "
                                "unset it if there are none");
    if (*item != '/')
        return bk_fail(err, BAKE_E_CONFIG,
                       VARIABLE " has the relative path '%s'\n"
                                "HINT: name directories by their absolute paths: what a plugin is "
                                "must not depend on the working directory",
                       item);
    char *dir BK_FREE = bk_path_join(item, "."); /* normal, so that one directory has one name */
    return dir ? add_once(v, dir, err) : bk_nomem(err);
}

int bk_search_add_list(struct bk_strv *ret, const char *value, struct bk_err *err)
{
    for (const char *at = value;; at++) {
        size_t n = strcspn(at, ":");
        char *item BK_FREE = strndup(at, n);
        if (!item)
            return bk_nomem(err);
        int rc = add_item(ret, item, err);
        if (rc < 0)
            return rc;
        at += n;
        if (!*at)
            return 0;
    }
}

int bk_search_add_beside(struct bk_strv *ret, const char *program, const char *libdir,
                         struct bk_err *err)
{
    const char *const libs[] = {"lib", libdir};
    char *bin BK_FREE = bk_path_dir(program);
    char *prefix BK_FREE = bin ? bk_path_join(bin, "..") : NULL;
    if (!prefix)
        return bk_nomem(err);
    for (size_t i = 0; i < BK_LEN(libs); i++) {
        char *lib BK_FREE = bk_path_join(prefix, libs[i]);
        char *dir BK_FREE = lib ? bk_path_join(lib, BESIDE) : NULL;
        if (!dir)
            return bk_nomem(err);
        int rc = add_once(ret, dir, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int bk_search_dirs(struct bk_strv *ret, struct bk_err *err)
{
    const char *list = secure_getenv(VARIABLE);
    int rc = list ? bk_search_add_list(ret, list, err) : 0;
    if (rc < 0)
        return rc;
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (n < 0) {
        struct bk_err why = {0};
        (void)bk_fail_errno(&why, errno,
                            "cannot find the plugins beside the program: cannot read "
                            "'/proc/self/exe'");
        bk_log(BAKE_LOG_DEBUG, "%s", why.text);
        return 0;
    }
    program[n] = '\0';
    return bk_search_add_beside(ret, program, BAKE_LIBDIR, err);
}
