/* Checks the bytes of a YAML file before libyaml sees them, so that a mistake has a place. */
#include "config/yaml_internal.h"

#include "base/str.h"

#include <stdint.h>
#include <string.h>

/* Length of the character at s, 0 when it is not UTF-8; *ret is its number. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    uint32_t c = length == 1 ? s[0] : s[0] & (0x7Fu >> length);
    if ((length > 1 && s[0] < 0xC2) || s[0] > 0xF4 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    if (length > 1 && (c < least[length] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)))
        return 0;
    *ret = c;
    return length;
}

static bool is_allowed(uint32_t c)
{
    if (c < 0x20)
        return c == '\t' || c == '\n' || c == '\r';
    if (c >= 0x7F && c < 0xA0)
        return c == 0x85;
    return c != 0xFFFE && c != 0xFFFF;
}

bool bk_yaml_check_text(const char *text, size_t n, struct bk_diags *diags)
{
    struct bk_pos at = {1, 1};
    size_t i = 0;
    if (n >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0)) {
        bk_diag_error(diags, at, "the file is UTF-16; save it as UTF-8");
        return false;
    }
    while (i < n) {
        uint32_t c = 0;
        size_t length = decode((const unsigned char *)text + i, n - i, &c);
        if (length == 0) {
            bk_diag_error(diags, at, "the file is not UTF-8: byte 0x%02x", (unsigned char)text[i]);
            return false;
        }
        if (!is_allowed(c)) {
            bk_diag_error(diags, at, "control character 0x%02x is not allowed", (unsigned)c);
            return false;
        }
        at.col = c == '\n' ? 1 : at.col + (c != 0xFEFF || i > 0);
        at.line += c == '\n';
        i += length;
    }
    return true;
}
