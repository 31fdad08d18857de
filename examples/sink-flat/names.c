/* Names of objects as names of files in one directory, and back. */
#include "flat.h"

#include <string.h>

/* What the engine calls objects. It gives no other names; but who relies on that is one mistake
 * away from a file that does not come back under its name. */
static int name_ok(const char *name)
{
    for (;; name++) {
        size_t n = strcspn(name, "/");
        if (n == 0 || (n <= 2 && strspn(name, ".") >= n)) /* "", ".", ".." */
            return 0;
        for (const char *end = name + n; name < end; name++)
            if (*name < ' ' || *name > '~')
                return 0;
        if (!*name)
            return 1;
    }
}

static int must_escape(const char *name, size_t i)
{
    return name[i] == '/' || name[i] == '%' || (name[i] == '.' && i == 0);
}

int flat_file_of(const struct flat *f, struct bake_ctx *ctx, const char *name,
                 char file[FLAT_FILE_CAP])
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    if (!name_ok(name))
        return bake_fail(ctx, BAKE_E_INTERNAL, "a name was given that no object can have");
    for (size_t i = 0; name[i]; i++) {
        if (n + 4 > FLAT_FILE_CAP)
            return bake_fail(ctx, BAKE_E_UNSUPPORTED, "'%s' is too long a name for a file in '%s'",
                             name, f->path);
        if (must_escape(name, i)) {
            unsigned char c = (unsigned char)name[i];
            file[n++] = '%';
            file[n++] = digits[c >> 4];
            file[n++] = digits[c & 15];
        } else {
            file[n++] = name[i];
        }
    }
    file[n] = '\0';
    return BAKE_OK;
}

int flat_name_of(const char *file, char name[FLAT_FILE_CAP])
{
    size_t n = 0;
    if (file[0] == '.' || strlen(file) >= FLAT_FILE_CAP)
        return 0;
    for (const char *c = file; *c; c++) {
        if (*c != '%') {
            name[n++] = *c;
            continue;
        }
        /* Only what flat_file_of() writes: else two files could stand for one object. */
        if (strncmp(c, "%2F", 3) == 0)
            name[n++] = '/';
        else if (strncmp(c, "%25", 3) == 0)
            name[n++] = '%';
        else if (strncmp(c, "%2E", 3) == 0 && c == file)
            name[n++] = '.';
        else
            return 0;
        c += 2;
    }
    name[n] = '\0';
    return name_ok(name);
}
