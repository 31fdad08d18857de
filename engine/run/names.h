/* What components and groups are called: by their source's plugin, and by everybody else. "." is
 * the name that the source has in the pipeline. A plugin with BAKE_NAMES_BELOW says "x" where all
 * others say "<source>/x". */
#ifndef BK_NAMES_H
#define BK_NAMES_H

#include "config/pipeline.h"

/* The plugin's name of a component or group as all others say it; the caller's. NULL: out of
 * memory. */
char *bk_name_from_source(const struct bk_part *source, const char *own);
char *bk_group_from_source(const struct bk_part *source, const char *own);
/* And back: "." or a part of what was given. NULL: it cannot be one of this source's. */
const char *bk_name_to_source(const struct bk_part *source, const char *name);
const char *bk_group_to_source(const struct bk_part *source, const char *group);

#endif
