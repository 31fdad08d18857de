/* Names of databases as names of components, and back; globs of databases. */
#include "catalog.h"

#include "match/gitignore.h"
#include "match/wild.h"
#include <stdlib.h>
#include <string.h>

static const char HEX[] = "0123456789ABCDEF";

static bool plain(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

/* "globals" is the name of a component of its own. */
static bool first_escaped(const char *database)
{
    return database[0] == '.' || strcmp(database, "globals") == 0;
}

char *pg_safe_name(const char *database)
{
    char *out = malloc(3 * strlen(database) + 1), *to = out;
    if (!out)
        return NULL;
    for (const char *p = database; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (plain(c) && !(p == database && first_escaped(database))) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = HEX[c >> 4];
        *to++ = HEX[c & 15];
    }
    *to = '\0';
    return out;
}

static int digit(char c)
{
    const char *at = c ? strchr(HEX, c) : NULL;
    return at ? (int)(at - HEX) : -1;
}

/* Without .sql or .dump; 0: it has neither. */
static size_t stem(const char *component)
{
    static const char *const ends[] = {".sql", ".dump"};
    size_t n = strlen(component);
    for (size_t i = 0; i < 2; i++) {
        size_t k = strlen(ends[i]);
        if (n > k && strcmp(component + n - k, ends[i]) == 0)
            return n - k;
    }
    return 0;
}

char *pg_true_name(const char *component)
{
    size_t n = stem(component);
    char *out = n ? malloc(n + 1) : NULL, *to = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (component[i] != '%') {
            *to++ = component[i];
            continue;
        }
        int high = i + 2 < n ? digit(component[i + 1]) : -1;
        int low = high >= 0 ? digit(component[i + 2]) : -1;
        if (low < 0 || (high == 0 && low == 0)) {
            free(out);
            return NULL;
        }
        *to++ = (char)(high << 4 | low);
        i += 2;
    }
    *to = '\0';
    char *again = pg_safe_name(out); /* only what pg_safe_name() makes is a name */
    bool same = again && strlen(again) == n && memcmp(again, component, n) == 0;
    free(again);
    if (same)
        return out;
    free(out);
    return NULL;
}

/* ---- globs ----------------------------------------------------------------------------------- */

/* A '/' in a database's name is a character like any other. */
static void no_slashes(char *to, size_t cap, const char *from)
{
    size_t n = 0;
    for (; from[n] && n + 1 < cap; n++)
        to[n] = from[n] == '/' ? '\x01' : from[n];
    to[n] = '\0';
}

bool pg_glob(const char *glob, const char *database)
{
    char g[1024], d[256];
    no_slashes(g, sizeof(g), glob);
    no_slashes(d, sizeof(d), database);
    return bkc_glob(g, d);
}

bool pg_glob_any(const char *const *globs, const char *database)
{
    for (; globs && *globs; globs++)
        if (pg_glob(*globs, database))
            return true;
    return false;
}

bool pg_glob_names(const char *const *globs, const char *database)
{
    for (; globs && *globs; globs++)
        if (!bkc_wild_special(*globs) && strcmp(*globs, database) == 0)
            return true;
    return false;
}
