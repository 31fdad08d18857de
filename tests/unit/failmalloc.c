/* The failing allocator. */
#include "failmalloc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static size_t calls, fail_n;
static bool fail_after;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void fm_fail_from(size_t n)
{
    calls = 0;
    fail_n = n;
    fail_after = true;
}

void fm_fail_at(size_t n)
{
    calls = 0;
    fail_n = n;
    fail_after = false;
}

size_t fm_calls(void) { return calls; }

void *fm_plain(size_t n) { return __real_malloc(n); }

static bool fails(void)
{
    calls++;
    if (fail_n == 0 || calls < fail_n || (calls > fail_n && !fail_after))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }
char *__wrap_strdup(const char *s) { return fails() ? NULL : __real_strdup(s); }
char *__wrap_strndup(const char *s, size_t n) { return fails() ? NULL : __real_strndup(s, n); }
