/* Finding secrets in text and showing "***" instead. */
#include "base/mask.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SECRET_MIN = 4 };

/* Each has pages of its own, so that locking and unlocking one cannot unlock another. */
struct bk_mask_item {
    struct bk_mask_item *next;
    size_t mapped, len;
    char text[];
};

static size_t match_at(const struct bk_masks *m, const char *s, size_t n)
{
    size_t longest = 0;
    if (!m->first[(unsigned char)*s])
        return 0;
    for (const struct bk_mask_item *i = m->items; i; i = i->next)
        if (i->len > longest && i->len <= n && memcmp(i->text, s, i->len) == 0)
            longest = i->len;
    return longest;
}

int bk_masks_apply(const struct bk_masks *m, const char *s, struct bk_buf *b)
{
    size_t n = strlen(s), at = 0, plain = 0; /* plain: where what is not yet copied starts */
    while (at < n) {
        size_t end = at + match_at(m, s + at, n - at);
        if (end == at) {
            at++;
            continue;
        }
        (void)bk_buf_add(b, s + plain, at - plain);
        for (size_t i = at + 1; i < end; i++) {
            size_t len = match_at(m, s + i, n - i);
            if (i + len > end)
                end = i + len;
        }
        (void)bk_buf_str(b, "***");
        at = plain = end;
    }
    return bk_buf_add(b, s + plain, n - plain);
}

static bool known(const struct bk_masks *m, const char *text, size_t len)
{
    for (const struct bk_mask_item *i = m->items; i; i = i->next)
        if (i->len == len && memcmp(i->text, text, len) == 0)
            return true;
    return false;
}

static int add_one(struct bk_masks *m, const char *text, size_t len)
{
    if (known(m, text, len))
        return 0;
    size_t size = sizeof(struct bk_mask_item) + len;
    struct bk_mask_item *item =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (item == MAP_FAILED)
        return BAKE_E_NOMEM;
    (void)mlock(item, size); /* limited for ordinary users: then it may be swapped */
    (void)madvise(item, size, MADV_DONTDUMP);
    item->mapped = size;
    item->len = len;
    memcpy(item->text, text, len);
    item->next = m->items;
    m->items = item;
    m->first[(unsigned char)text[0]] = 1;
    return 0;
}

static void json_form(struct bk_buf *b, const char *s)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    for (; *s; s++) {
        const char *at = strchr(plain, *s);
        if (at)
            (void)bk_buf_printf(b, "\\%c", letters[at - plain]);
        else if ((unsigned char)*s < 0x20)
            (void)bk_buf_printf(b, "\\u%04x", (unsigned char)*s);
        else
            (void)bk_buf_char(b, *s);
    }
}

static void url_form(struct bk_buf *b, const char *s, const char *hex, bool keep_slash)
{
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (strchr(kept, *s) || (keep_slash && c == '/')) {
            (void)bk_buf_char(b, *s);
        } else {
            char out[3] = {'%', hex[c >> 4], hex[c & 15]};
            (void)bk_buf_add(b, out, sizeof(out));
        }
    }
}

static void url_upper(struct bk_buf *b, const char *s)
{
    url_form(b, s, "0123456789ABCDEF", false);
}
static void url_lower(struct bk_buf *b, const char *s)
{
    url_form(b, s, "0123456789abcdef", false);
}
static void url_path(struct bk_buf *b, const char *s) { url_form(b, s, "0123456789ABCDEF", true); }

static void printable_form(struct bk_buf *b, const char *s)
{
    size_t n = strlen(s);
    if (n > (size_t)PTRDIFF_MAX / 4 || bk_buf_reserve(b, 4 * n) != 0)
        return;
    (void)bk_printable(b->data, 4 * n + 1, s, n);
    b->len = strlen(b->data);
}

int bk_masks_add(struct bk_masks *m, const char *secret)
{
    static void (*const forms[])(struct bk_buf *, const char *) = {json_form, url_upper, url_lower,
                                                                   url_path, printable_form};
    size_t n = strlen(secret);
    if (n < SECRET_MIN)
        return 0;
    int rc = add_one(m, secret, n);
    for (size_t i = 0; rc == 0 && i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct bk_buf b = BK_BUF_INIT;
        forms[i](&b, secret);
        rc = b.failed || !b.data ? BAKE_E_NOMEM : add_one(m, b.data, b.len);
        bk_buf_wipe(&b);
    }
    return rc;
}

void bk_masks_wipe(struct bk_masks *m)
{
    while (m->items) {
        struct bk_mask_item *item = m->items;
        m->items = item->next;
        size_t size = item->mapped;
        explicit_bzero(item, size);
        (void)munmap(item, size);
    }
    memset(m->first, 0, sizeof(m->first));
}
