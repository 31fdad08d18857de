/* Memory that is taken piece by piece and given back as a whole, overwritten: it may hold secrets.
 * The tree of a YAML file and the values that configs point at live in one of these. */
#ifndef BK_OPTMEM_H
#define BK_OPTMEM_H

#include "base/err.h"

struct bk_optmem;
int bk_optmem_new(struct bk_optmem **ret, struct bk_err *err);
void bk_optmem_free(struct bk_optmem *m); /* NULL is fine */

/* Zeroed and aligned for anything; NULL when out of memory. */
void *bk_optmem_alloc(struct bk_optmem *m, size_t n);
void *bk_optmem_array(struct bk_optmem *m, size_t n, size_t size); /* n * size, checked */
/* A NUL-ended copy of n bytes. */
char *bk_optmem_text(struct bk_optmem *m, const char *s, size_t n);

#endif
