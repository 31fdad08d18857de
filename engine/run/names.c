/* Names of components and groups, to and fro between plugins and everybody else. */
#include "run/names.h"

#include <string.h>

static bool below(const struct bk_part *source)
{
    return source->plugin->source.traits & BAKE_NAMES_BELOW;
}

char *bk_name_from_source(const struct bk_part *source, const char *own)
{
    if (bk_streq(own, "."))
        return bk_strdup(source->name);
    return below(source) ? bk_asprintf("%s/%s", source->name, own) : bk_strdup(own);
}

char *bk_group_from_source(const struct bk_part *source, const char *own)
{
    return below(source) ? bk_name_from_source(source, own) : bk_strdup(own);
}

const char *bk_name_to_source(const struct bk_part *source, const char *name)
{
    size_t n = strlen(source->name);

    if (bk_streq(name, source->name))
        return ".";
    if (!below(source))
        return name;
    return bk_starts(name, source->name) && name[n] == '/' ? name + n + 1 : NULL;
}

const char *bk_group_to_source(const struct bk_part *source, const char *group)
{
    return below(source) ? bk_name_to_source(source, group) : group;
}
