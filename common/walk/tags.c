/* Files that say "do not back up this directory". */
#include "walk/walker.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* bford.info/cachedir: the file must start with this */
static const char cache_tag[] = "CACHEDIR.TAG";
static const char signature[] = "Signature: 8a477f597d28d172789f06886806bc55";

static bool is_cache_tag(int dirfd, const char *name)
{
    char head[sizeof(signature) - 1];
    struct stat st;
    int fd = strcmp(name, cache_tag) == 0 ? bkc_walk_open_quiet(dirfd, name, 0) : -1;
    if (fd < 0)
        return false;
    bool ret = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
               memcmp(head, signature, sizeof(head)) == 0;
    (void)close(fd);
    return ret;
}

static bool is_tag(const void *arg, int dirfd, const char *name)
{
    const struct bkc_walk_opts *opts = arg;
    for (const char *const *tag = opts->exclude_if_present; tag && *tag; tag++)
        if (strcmp(*tag, name) == 0)
            return true;
    return opts->exclude_caches && is_cache_tag(dirfd, name);
}

bkc_walk_is_tag_fn *bkc_walk_tagging(const struct bkc_walk_opts *opts)
{
    bool any = opts->exclude_caches || (opts->exclude_if_present && *opts->exclude_if_present);
    return any ? is_tag : NULL;
}
