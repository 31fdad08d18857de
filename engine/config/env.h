/* One lookup over the process environment and an env_file; the process wins. */
#ifndef BK_ENV_H
#define BK_ENV_H

#include "base/err.h"
#include <stdbool.h>

struct bk_env;
int bk_env_new(struct bk_env **ret, struct bk_err *err);
/* NAME=value, one per line; "export NAME=", comments, blank lines. Quotes as in a shell: '...' as
 * it is, "..." with \n \t \" \\ \$, both over several lines if need be and beside other text; a
 * name is not filled in anywhere ('$' is a '$'). Without quotes a value ends before " #" or with
 * the line. The last line for a name counts. A mistake is "FILE:LINE: ..." (BAKE_E_CONFIG) and
 * never quotes the line. A file that others can read and that holds a name like *PASSWORD*,
 * *SECRET*, *TOKEN* or *KEY* is refused. */
int bk_env_load(struct bk_env *e, const char *path, struct bk_err *err);
const char *bk_env_get(const struct bk_env *e, const char *name); /* NULL: not set */
/* Puts what the file has and the process has not into the process's environment, so that
 * libraries and children see it too (AWS_*, PG*). One thread only. */
int bk_env_export(const struct bk_env *e, struct bk_err *err);
void bk_env_free(struct bk_env *e); /* wipes */

/* [A-Za-z_][A-Za-z0-9_]*: how many bytes of s are such a name; 0: none. */
size_t bk_env_name(const char *s);
/* Whether a value of this name is to be masked wherever it is shown. */
bool bk_env_is_secret(const char *name);

#endif
