/* UTF-8: checking, repairing, and showing any bytes as printable text. */
#include "base/buf.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

size_t bk_utf8_next(const char *s, size_t n, uint32_t *ret_cp)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (n == 0)
        return 0;
    unsigned char c = (unsigned char)s[0];
    uint32_t cp = c;
    size_t len = 1;
    if (c >= 0xf0 && c <= 0xf4) {
        len = 4;
        cp = c & 0x07u;
    } else if (c >= 0xe0 && c < 0xf0) {
        len = 3;
        cp = c & 0x0fu;
    } else if (c >= 0xc2 && c < 0xe0) {
        len = 2;
        cp = c & 0x1fu;
    } else if (c >= 0x80) {
        return 0;
    }
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        c = (unsigned char)s[i];
        if ((c & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (c & 0x3fu);
    }
    if (cp < smallest[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    if (ret_cp)
        *ret_cp = cp;
    return len;
}

bool bk_is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x61c ||
           (cp >= 0x200e && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

/* One character of s in its printable form into out (at most 5 bytes with the NUL), its length in
 * bytes there into *ret_len. Returns how many bytes of s that were. */
static size_t printable_one(char out[8], size_t *ret_len, const char *s, size_t n)
{
    uint32_t cp;
    size_t len = bk_utf8_next(s, n, &cp);
    if (len == 0 || bk_is_control(cp)) {
        *ret_len = (size_t)snprintf(out, 8, "\\x%02x", (unsigned char)s[0]);
        return 1;
    }
    *ret_len = 0;
    if (cp == '\\')
        out[(*ret_len)++] = '\\';
    memcpy(out + *ret_len, s, len);
    *ret_len += len;
    return len;
}

char *bk_printable(char *out, size_t cap, const char *s, size_t n)
{
    if (cap == 0)
        return out;
    size_t at = 0, cut = 0; /* cut: the last place that leaves room for "..." */
    while (n > 0) {
        char one[8];
        size_t len, used = printable_one(one, &len, s, n);
        if (at + len >= cap) {
            at = cut;
            if (cap > 3) {
                memcpy(out + at, "...", 3);
                at += 3;
            }
            break;
        }
        memcpy(out + at, one, len);
        at += len;
        if (at + 3 < cap || cap <= 3)
            cut = at;
        s += used;
        n -= used;
    }
    out[at] = '\0';
    return out;
}

bool bk_is_utf8(const char *s, size_t n)
{
    while (n > 0) {
        size_t len = bk_utf8_next(s, n, NULL);
        if (len == 0)
            return false;
        s += len;
        n -= len;
    }
    return true;
}

char *bk_to_utf8(const char *s)
{
    if (!s)
        return NULL;
    struct bk_buf b = BK_BUF_INIT;
    for (size_t n = strlen(s); n > 0;) {
        size_t len = bk_utf8_next(s, n, NULL);
        if (len > 0)
            (void)bk_buf_add(&b, s, len);
        else
            (void)bk_buf_str(&b, "\xef\xbf\xbd");
        s += len > 0 ? len : 1;
        n -= len > 0 ? len : 1;
    }
    return bk_buf_take(&b);
}
