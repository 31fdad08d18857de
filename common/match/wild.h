/* The matcher beneath gitignore.h: one pattern against one stretch of bytes. */
#ifndef BKC_WILD_H
#define BKC_WILD_H

#include <stdbool.h>
#include <stddef.h>

enum bkc_wild_stars {
    BKC_STARS_PART,    /* "**" crosses '/' only as a whole part of the path, as in gitignore */
    BKC_STARS_ANYWHERE /* "**" crosses '/' wherever it stands */
};

/* Does the whole of text[0..n) match? Never worse than polynomial: at most one '*' and one "**"
 * are ever taken back. */
bool bkc_wild(const char *pattern, const char *text, size_t n, enum bkc_wild_stars stars);
/* False: an open '[', an unknown [:class:] or a '\' at the end, so that it can never match. */
bool bkc_wild_sound(const char *pattern);
/* Has it any of * ? [ \ ? */
bool bkc_wild_special(const char *pattern);

#endif
