/* Failed system calls in the engine's words: what failed, on what, why; and the class of the
 * failure, from which the engine decides whether to try again and how to exit. */
#include "flat.h"

#include <errno.h>
#include <string.h>

static int code_of(int e)
{
    switch (e) {
    case ENOENT:
        return BAKE_E_NOTFOUND;
    case EEXIST:
        return BAKE_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return BAKE_E_NOSPACE;
    case ENOMEM:
        return BAKE_E_NOMEM;
    default:
        return BAKE_E_IO;
    }
}

int flat_fail(const struct flat *f, struct bake_ctx *ctx, int e, const char *verb, const char *name)
{
    return bake_fail(ctx, code_of(e), "cannot %s '%s' in '%s': %s", verb, name, f->path,
                     strerror(e));
}
