/* Files that say "do not back up this directory". */
#include "walk.h"

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
    int fd = strcmp(name, cache_tag) == 0 ? files_open_quiet(dirfd, name, 0) : -1;
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
    const struct files_source *source = arg;
    for (const char *const *tag = source->cfg->exclude_if_present; *tag; tag++)
        if (strcmp(*tag, name) == 0)
            return true;
    return source->cfg->exclude_caches && is_cache_tag(dirfd, name);
}

files_is_tag_fn *files_tagging(const struct files_source *source)
{
    bool any = source->cfg->exclude_caches || *source->cfg->exclude_if_present;
    return any ? is_tag : NULL;
}
