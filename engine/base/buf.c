/* A growing buffer of bytes. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int out_of_memory(struct bk_buf *b)
{
    b->failed = 1;
    return BAKE_E_NOMEM;
}

int bk_buf_reserve(struct bk_buf *b, size_t more)
{
    if (b->failed)
        return BAKE_E_NOMEM;
    if (more >= (size_t)PTRDIFF_MAX || b->len >= (size_t)PTRDIFF_MAX - more)
        return out_of_memory(b);
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return 0;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap = cap > (size_t)PTRDIFF_MAX / 2 ? need : cap * 2;
    char *data = malloc(cap);
    if (!data)
        return out_of_memory(b);
    /* Not realloc(): what is left behind may be part of a secret. */
    if (b->data) {
        memcpy(data, b->data, b->len);
        explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
}

int bk_buf_add(struct bk_buf *b, const void *data, size_t n)
{
    if (b->failed)
        return BAKE_E_NOMEM;
    if (n == 0)
        return 0;
    int rc = bk_buf_reserve(b, n);
    if (rc)
        return rc;
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
    return 0;
}

int bk_buf_str(struct bk_buf *b, const char *s) { return bk_buf_add(b, s, strlen(s)); }

int bk_buf_char(struct bk_buf *b, char c) { return bk_buf_add(b, &c, 1); }

int bk_buf_vprintf(struct bk_buf *b, const char *fmt, va_list ap)
{
    if (b->failed)
        return BAKE_E_NOMEM;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    int rc = n < 0 ? out_of_memory(b) : bk_buf_reserve(b, (size_t)n);
    if (rc == 0) {
        (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

int bk_buf_printf(struct bk_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = bk_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return rc;
}

void bk_buf_clear(struct bk_buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void bk_buf_free(struct bk_buf *b)
{
    free(b->data);
    *b = (struct bk_buf)BK_BUF_INIT;
}

void bk_buf_wipe(struct bk_buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    bk_buf_free(b);
}

char *bk_buf_take(struct bk_buf *b)
{
    if (bk_buf_reserve(b, 0) != 0) {
        bk_buf_free(b);
        return NULL;
    }
    char *data = b->data;
    *b = (struct bk_buf)BK_BUF_INIT;
    return data;
}
