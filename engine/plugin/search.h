/* The directories that plugins are looked for in. */
#ifndef BK_SEARCH_H
#define BK_SEARCH_H

#include "base/err.h"
#include "base/str.h"

/* BAKENGINE_PLUGIN_PATH's, then those beside the running program; whether they exist is not asked.
 * A set-user-id program does not believe its environment. */
int bk_search_dirs(struct bk_strv *ret, struct bk_err *err);

/* The ':'-separated list `value` of the variable, absolute paths only. */
int bk_search_add_list(struct bk_strv *ret, const char *value, struct bk_err *err);
/* <dir of program>/../lib/bakengine/plugins, and ../<libdir>/bakengine/plugins if that differs. */
int bk_search_add_beside(struct bk_strv *ret, const char *program, const char *libdir,
                         struct bk_err *err);

#endif
