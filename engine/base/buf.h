/* A growing buffer of bytes. Always NUL-ended after `len`, so text can be used as it is. */
#ifndef BK_BUF_H
#define BK_BUF_H

#include <bakengine/plugin.h>

struct bk_buf {
    char *data; /* NULL while empty */
    size_t len, cap;
    int failed; /* an append ran out of memory: all further ones do nothing */
};

/* clang-format off */
#define BK_BUF_INIT {0}
/* clang-format on */

/* All return 0 or BAKE_E_NOMEM; checking `failed` once at the end is enough. */
int bk_buf_add(struct bk_buf *b, const void *data, size_t n);
int bk_buf_str(struct bk_buf *b, const char *s);
int bk_buf_char(struct bk_buf *b, char c);
int bk_buf_printf(struct bk_buf *b, const char *fmt, ...) BAKE_PRINTF(2, 3);
int bk_buf_vprintf(struct bk_buf *b, const char *fmt, va_list ap) BAKE_PRINTF(2, 0);
int bk_buf_reserve(struct bk_buf *b, size_t more); /* room for `more` bytes beyond len */
void bk_buf_clear(struct bk_buf *b);               /* len 0, memory kept */
void bk_buf_free(struct bk_buf *b);
void bk_buf_wipe(struct bk_buf *b); /* overwritten, then freed: for secrets */
/* The text, owned by the caller; b is empty afterwards. NULL if out of memory. */
char *bk_buf_take(struct bk_buf *b);

#endif
