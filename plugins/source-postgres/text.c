/* See text.h. */
#include "text.h"

#include <stdio.h>

char *pg_vtext(const char *fmt, va_list ap)
{
    char *text = NULL;
    return vasprintf(&text, fmt, ap) < 0 ? NULL : text;
}

char *pg_text(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = pg_vtext(fmt, ap);
    va_end(ap);
    return text;
}

uint64_t pg_number(const char *digits)
{
    uint64_t n = 0;
    for (const char *p = digits; *p; p++) {
        if (*p < '0' || *p > '9' || n > (UINT64_MAX - 9) / 10)
            return 0;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    return n;
}
