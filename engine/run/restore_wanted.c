/* Which components and paths a restore (or diff) is asked for. */
#include "run/restore.h"

#include "base/cleanup.h"
#include "match/gitignore.h"

#include <string.h>

static bool wanted_by(const char *glob, const char *name)
{
    char *other BK_FREE = NULL;

    if (bkc_glob_beneath(glob, name))
        return true;
    /* The seeds' words: "config" for a stack's <stack>/config, "volume:NAME" for volumes/NAME. */
    if (bk_streq(glob, "config"))
        return bkc_glob_beneath("**/config", name);
    if (!bk_starts(glob, "volume:"))
        return false;
    other = bk_asprintf("**/volumes/%s", glob + strlen("volume:"));
    return other && (bkc_glob_beneath(other, name) || bkc_glob_beneath(other + 3, name));
}

bool bk_component_wanted(const struct bk_strv *globs, const char *name)
{
    for (size_t i = 0; i < globs->n; i++)
        if (wanted_by(globs->items[i], name))
            return true;
    return globs->n == 0;
}

bool bk_path_wanted(const struct bk_strv *globs, const char *path)
{
    for (size_t i = 0; i < globs->n; i++) {
        const char *glob = globs->items[i];

        if (bkc_glob_beneath(glob + strspn(glob, "/"), path))
            return true;
    }
    return globs->n == 0;
}
