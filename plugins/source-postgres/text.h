/* Texts put together on the heap. */
#ifndef PG_TEXT_H
#define PG_TEXT_H

#include <bakengine/plugin.h>

/* To be freed; NULL: out of memory. */
BAKE_PRINTF(1, 2) char *pg_text(const char *fmt, ...);
BAKE_PRINTF(1, 0) char *pg_vtext(const char *fmt, va_list ap);
/* Digits only, as the server writes a number that is not negative; anything else is 0. */
uint64_t pg_number(const char *digits);

#endif
