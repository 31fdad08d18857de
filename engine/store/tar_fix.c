/* Corrects an entry's headers. libarchive keeps names as bytes, whatever the locale, only when it
 * says so in a record that GNU tar warns about; it loses the sign of -0.5 s; it encodes attribute
 * names in a way of its own; it cuts long names of sparse files; and it writes an ACL's group bits
 * in place of the mode's. Headers are an 'x' block, its records, and the entry's own block
 * (POSIX.1-2008, pax). */
#include "store/tar_fix.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, MODE_AT = 100, SIZE_AT = 124, SUM_AT = 148 };
static const char charset[] = "21 hdrcharset=BINARY\n";
#define CHARSET_LEN (sizeof(charset) - 1)
#define XATTR       "SCHILY.xattr."

static void octal(char *at, int digits, unsigned long long value)
{
    for (int i = digits - 1; i >= 0; i--, value >>= 3)
        at[i] = (char)('0' + (value & 7));
}

static void set_sum(char *block)
{
    unsigned sum = 0;

    memset(block + SUM_AT, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)block[i];
    octal(block + SUM_AT, 6, sum);
    block[SUM_AT + 6] = '\0';
}

static size_t padding(size_t n) { return (BLOCK - n % BLOCK) % BLOCK; }

/* ---- records --------------------------------------------------------------------------------- */

struct record {
    const char *all;
    size_t n; /* of all, with length and newline */
    const char *key, *value;
    size_t key_len, value_len;
};

static bool next_record(const char **p, size_t *left, struct record *r)
{
    size_t n = 0, digits = 0;
    const char *eq;

    while (digits < *left && digits < 10 && (*p)[digits] >= '0' && (*p)[digits] <= '9')
        n = 10 * n + (size_t)((*p)[digits++] - '0');
    if (n > *left || n < digits + 3 || (*p)[digits] != ' ')
        return false;
    r->all = *p;
    r->n = n;
    r->key = *p + digits + 1;
    eq = memchr(r->key, '=', n - digits - 2);
    if (!eq)
        return false;
    r->key_len = (size_t)(eq - r->key);
    r->value = eq + 1;
    r->value_len = n - (size_t)(r->value - r->all) - 1;
    *p += n;
    *left -= n;
    return true;
}

static bool is_key(const struct record *r, const char *key)
{
    return r->key_len == strlen(key) && memcmp(r->key, key, r->key_len) == 0;
}

static void add_record(struct bk_buf *out, const char *key, size_t key_len, const char *value,
                       size_t value_len)
{
    size_t body = key_len + value_len + 3, n = body + 1, digits = 1;

    for (size_t ten = 10; n >= ten; ten *= 10) /* the length counts its own digits */
        n = body + ++digits;
    bk_buf_printf(out, "%zu ", n);
    bk_buf_add(out, key, key_len);
    bk_buf_char(out, '=');
    bk_buf_add(out, value, value_len);
    bk_buf_char(out, '\n');
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "%FF" becomes the byte, but for '%' and '=', which GNU tar encodes as well. */
static void add_xattr(struct bk_buf *out, const struct record *r, struct bk_buf *name)
{
    bk_buf_clear(name);
    for (size_t i = 0; i < r->key_len; i++) {
        int hi = -1, lo = -1;

        if (r->key[i] == '%' && i + 2 < r->key_len) {
            hi = nibble(r->key[i + 1]);
            lo = nibble(r->key[i + 2]);
        }
        if (hi < 0 || lo < 0 || hi * 16 + lo == '%' || hi * 16 + lo == '=') {
            bk_buf_char(name, r->key[i]);
            continue;
        }
        bk_buf_char(name, (char)(hi * 16 + lo));
        i += 2;
    }
    if (!name->failed)
        add_record(out, name->data, name->len, r->value, r->value_len);
}

static void add_minus_zero(struct bk_buf *out, const struct record *r)
{
    char value[32];
    int n = snprintf(value, sizeof(value), "-%.*s", (int)r->value_len, r->value);

    add_record(out, r->key, r->key_len, value, (size_t)n);
    /* for our own reader, as libarchive's loses the sign as well: nobody restores this time */
    add_record(out, "ctime", 5, "-1", 2);
}

static bool rewrite(const struct bk_tar_fix *fix, const char *p, size_t left, struct bk_buf *out,
                    struct bk_buf *name)
{
    struct record r;

    while (left) {
        if (!next_record(&p, &left, &r))
            return false;
        if (is_key(&r, "hdrcharset"))
            continue;
        if (fix->devices && (is_key(&r, "SCHILY.devmajor") || is_key(&r, "SCHILY.devminor")))
            continue; /* stands in the entry's own block as well, where GNU tar looks */
        if (fix->minus_zero && is_key(&r, "mtime"))
            add_minus_zero(out, &r);
        else if (fix->sparse_name && is_key(&r, "GNU.sparse.name"))
            add_record(out, r.key, r.key_len, fix->sparse_name, strlen(fix->sparse_name));
        else if (fix->odd_xattrs && r.key_len > strlen(XATTR) &&
                 memcmp(r.key, XATTR, strlen(XATTR)) == 0)
            add_xattr(out, &r, name);
        else
            bk_buf_add(out, r.all, r.n);
    }
    return true;
}

/* ---- headers --------------------------------------------------------------------------------- */

static bool find_records(const struct bk_buf *head, size_t *ret_n)
{
    size_t n = 0;

    if (head->len < 3 * BLOCK || head->data[156] != 'x' ||
        memcmp(head->data + BLOCK, charset, CHARSET_LEN) != 0)
        return false;
    for (int i = 0; i < 11; i++) {
        char c = head->data[SIZE_AT + i];

        if (c < '0' || c > '7')
            return false;
        n = n * 8 + (size_t)(c - '0');
    }
    *ret_n = n;
    return n <= head->len && BLOCK + n + padding(n) + BLOCK == head->len;
}

static void set_size(char *x, size_t n)
{
    octal(x + SIZE_AT, 11, n);
    set_sum(x);
}

/* The common case, in place: the first record goes. */
static void drop_charset(struct bk_buf *head, size_t n, const char **ret_data, size_t *ret_n)
{
    size_t rest = n - CHARSET_LEN;
    char *records = head->data + BLOCK, *own = head->data + head->len - BLOCK;

    *ret_data = own;
    *ret_n = BLOCK;
    if (rest == 0)
        return;
    memmove(records, records + CHARSET_LEN, rest);
    memset(records + rest, 0, padding(rest));
    memmove(records + rest + padding(rest), own, BLOCK);
    set_size(head->data, rest);
    *ret_data = head->data;
    *ret_n = BLOCK + rest + padding(rest) + BLOCK;
}

static bool rebuild(const struct bk_tar_fix *fix, const struct bk_buf *head, size_t n,
                    struct bk_buf *out)
{
    static const char zeros[BLOCK];
    struct bk_buf name = BK_BUF_INIT;
    bool good;

    bk_buf_clear(out);
    bk_buf_add(out, head->data, BLOCK);
    good = rewrite(fix, head->data + BLOCK, n, out, &name) && !name.failed;
    bk_buf_free(&name);
    if (!good || out->failed)
        return false;
    n = out->len - BLOCK;
    bk_buf_add(out, zeros, padding(n));
    bk_buf_add(out, head->data + head->len - BLOCK, BLOCK);
    if (out->failed)
        return false;
    set_size(out->data, n);
    if (fix->mode >= 0) {
        char *own = out->data + out->len - BLOCK;

        octal(own + MODE_AT, 6, (unsigned)fix->mode);
        set_sum(own);
    }
    return true;
}

int bk_tar_fix(const struct bk_tar_fix *fix, struct bk_buf *head, struct bk_buf *scratch,
               const char **ret_data, size_t *ret_n, struct bk_err *err)
{
    size_t n;

    if (!find_records(head, &n))
        return bk_fail(err, BAKE_E_INTERNAL, "libarchive wrote a header of an unknown form");
    if (!fix->minus_zero && !fix->odd_xattrs && !fix->devices && !fix->sparse_name &&
        fix->mode < 0) {
        drop_charset(head, n, ret_data, ret_n);
        return BAKE_OK;
    }
    if (!rebuild(fix, head, n, scratch))
        return scratch->failed
                   ? bk_nomem(err)
                   : bk_fail(err, BAKE_E_INTERNAL, "libarchive wrote records of an unknown form");
    *ret_data = scratch->data;
    *ret_n = scratch->len;
    if (*ret_n == 2 * BLOCK) { /* no record is left */
        *ret_data += BLOCK;
        *ret_n = BLOCK;
    }
    return BAKE_OK;
}
