/* Text of labels made safe: names of components, paths within containers, globs. */
#include "discover.h"

#include "match/gitignore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_MAX       120 /* bytes of a name's part; a component's whole name has 512 */
#define PATH_MAX_BYTES 4095

char *dk_strf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

/* The C1 controls U+0080 to U+009F and the separators U+2028 and U+2029; text is valid UTF-8, as
 * all text from JSON is. */
static bool unprintable(const unsigned char *p)
{
    if (*p < 0x20 || *p == 0x7f)
        return true;
    return (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) ||
           (p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9));
}

static size_t utf8_length(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

char *dk_safe_name(const char *text)
{
    size_t size = strlen(text), n = 0;
    char *name = malloc(size + 2);
    if (!name)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t len = utf8_length(*p);
        if (n + len > PART_MAX)
            break;
        if (*p == '/' || *p == '\\' || unprintable(p)) {
            name[n++] = '_';
        } else {
            memcpy(name + n, p, len);
            n += len;
        }
        p += len;
    }
    name[n] = '\0';
    if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        memcpy(name, n == 2 ? "__" : "_", n == 2 ? 3 : 2);
    return name;
}

const char *dk_path_normal(const char *path, char **ret)
{
    size_t n = 0;
    *ret = NULL;
    if (*path == '\0')
        return "is empty";
    if (*path != '/')
        return "is not absolute";
    if (strlen(path) > PATH_MAX_BYTES)
        return "is too long";
    char *out = malloc(strlen(path) + 1);
    if (!out)
        return NULL;
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            free(out);
            return "has a part '..'";
        }
        if (len > 0 && !(len == 1 && *p == '.')) {
            out[n++] = '/';
            memcpy(out + n, p, len);
            n += len;
        }
        p += len;
        p += *p == '/';
    }
    out[n] = '\0';
    if (n == 0) {
        free(out);
        return "is the whole container";
    }
    *ret = out;
    return NULL;
}

bool dk_globs_match(const char *const *globs, const char *name)
{
    for (; globs && *globs; globs++)
        if (bkc_glob_beneath(*globs, name))
            return true;
    return false;
}

const char *dk_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}
