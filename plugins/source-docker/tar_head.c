/* One header of a tar: numbers, names, pax records. */
#include "tar_impl.h"

#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------------------------ */

int tar_text_add(struct tar_text *t, const void *data, size_t n)
{
    if (n >= t->cap - t->n || !t->data) {
        size_t cap = (t->n + n + 1) * 2 + 128;
        char *more = realloc(t->data, cap);
        if (!more)
            return BAKE_E_NOMEM;
        t->data = more;
        t->cap = cap;
    }
    memcpy(t->data + t->n, data, n);
    t->n += n;
    t->data[t->n] = '\0';
    return BAKE_OK;
}

int tar_text_set(struct tar_text *t, const char *data, size_t n)
{
    t->n = 0;
    return tar_text_add(t, data, n);
}

void tar_head_begin(struct tar_head *h)
{
    struct tar_text path = h->path, link = h->link, xattrs = h->xattrs;
    path.n = link.n = xattrs.n = 0;
    *h = (struct tar_head){.path = path, .link = link, .xattrs = xattrs};
}

void tar_head_free(struct tar_head *h)
{
    free(h->path.data);
    free(h->link.data);
    free(h->xattrs.data);
}

const char *tar_name(struct tar_text *name)
{
    char *s = name->data;
    size_t n = name->n;
    if (n == 0 || memchr(s, '\0', n))
        return "has an empty name";
    if (*s == '/')
        return "has an absolute name";
    while (n > 1 && s[n - 1] == '/')
        n--;
    s[n] = '\0';
    if (s[0] != '.' || (s[1] && s[1] != '/'))
        return "lies outside of the directory that was asked for";
    for (const char *part = s + 1; *part; part += strcspn(part, "/")) {
        size_t len = strcspn(++part, "/");
        if (len == 0 || (len == 1 && part[0] == '.'))
            return "has a name that is not normal";
        if (len == 2 && part[0] == '.' && part[1] == '.')
            return "has '..' in its name";
    }
    if (n > 1) {
        memmove(s, s + 2, n - 1);
        n -= 2;
    }
    name->n = n;
    return NULL;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Octal digits, or GNU's binary form, of n bytes. */
static bool number(const unsigned char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i = 0;
    if (p[0] & 0x80) {
        if (p[0] != 0x80) /* negative, or more than 64 bits */
            return false;
        for (i = 1; i < n; i++) {
            if (v >> 56)
                return false;
            v = v << 8 | p[i];
        }
        *ret = v;
        return true;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v >> 61)
            return false;
        v = v << 3 | (uint64_t)(p[i] - '0');
    }
    for (; i < n; i++)
        if (p[i] != ' ' && p[i] != '\0')
            return false;
    *ret = v;
    return true;
}

static bool decimal(const char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;
    if (n == 0 || n > 19)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    *ret = v;
    return true;
}

static bool id(uint64_t value, uint32_t *ret)
{
    *ret = (uint32_t)value;
    return value <= UINT32_MAX;
}

/* "-12.5" */
static bool timestamp(const char *p, size_t n, int64_t *ret)
{
    bool minus = n > 0 && *p == '-';
    const char *dot = memchr(p, '.', n);
    size_t whole = dot ? (size_t)(dot - p) : n;
    uint64_t s = 0, ns = 0;
    if (!decimal(p + minus, whole - minus, &s) || s > 9000000000u)
        return false;
    unsigned digits = 0;
    for (size_t i = whole + 1; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        if (digits < 9) {
            ns = ns * 10 + (uint64_t)(p[i] - '0');
            digits++;
        }
    }
    for (; digits < 9; digits++)
        ns *= 10;
    int64_t all = (int64_t)(s * 1000000000u + ns);
    *ret = minus ? -all : all;
    return true;
}

/* ---- the header's block ---------------------------------------------------------------------- */

static bool sum_is_right(const unsigned char *b)
{
    uint64_t want = 0;
    uint32_t sum = 0;
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : b[i];
    return number(b + 148, 8, &want) && want == sum;
}

static int names(struct tar_head *h, const unsigned char *b)
{
    const char *text = (const char *)b;
    bool ustar = memcmp(b + 257, "ustar\0", 6) == 0;
    int rc = BAKE_OK;
    if (!h->has_path) {
        size_t prefix = ustar ? strnlen(text + 345, 155) : 0;
        h->path.n = 0;
        if (prefix > 0)
            rc = tar_text_add(&h->path, text + 345, prefix);
        if (rc == BAKE_OK && prefix > 0)
            rc = tar_text_add(&h->path, "/", 1);
        if (rc == BAKE_OK)
            rc = tar_text_add(&h->path, text, strnlen(text, 100));
    }
    if (rc == BAKE_OK && !h->has_link)
        rc = tar_text_set(&h->link, text + 157, strnlen(text + 157, 100));
    return rc;
}

static bool numbers(struct tar_head *h, const unsigned char *b)
{
    uint64_t mode, uid, gid, size, mtime, major, minor;
    if (!number(b + 100, 8, &mode) || !number(b + 108, 8, &uid) || !number(b + 116, 8, &gid) ||
        !number(b + 124, 12, &size) || !number(b + 136, 12, &mtime) ||
        !number(b + 329, 8, &major) || !number(b + 337, 8, &minor))
        return false;
    h->mode = (uint32_t)mode & 07777; /* it has the type in it as well */
    bool ok = id(major, &h->dev_major) && id(minor, &h->dev_minor);
    if (!h->has_uid)
        ok = ok && id(uid, &h->uid);
    if (!h->has_gid)
        ok = ok && id(gid, &h->gid);
    if (!h->has_size)
        h->size = size;
    if (!h->has_mtime) {
        ok = ok && mtime <= 9000000000u;
        h->mtime_ns = (int64_t)(mtime * 1000000000u);
    }
    return ok && h->size <= INT64_MAX;
}

int tar_head_block(struct tar_head *h, const unsigned char block[TAR_BLOCK], const char **ret_why)
{
    *ret_why = "has no tar header where one must be";
    if (!sum_is_right(block) || memcmp(block + 257, "ustar", 5) != 0)
        return BAKE_E_CORRUPT;
    h->type = block[156] ? (char)block[156] : '0';
    *ret_why = "has a number in a header that makes no sense";
    if (!numbers(h, block))
        return BAKE_E_CORRUPT;
    return names(h, block);
}

/* ---- pax records ----------------------------------------------------------------------------- */

static const char xattr_key[] = "SCHILY.xattr.";

static int xattr(struct tar_head *h, const char *name, size_t len, const char *value, size_t n)
{
    unsigned char size[4];
    for (unsigned i = 0; i < 4; i++)
        size[i] = (unsigned char)(n >> (8 * i));
    int rc = tar_text_add(&h->xattrs, name, len);
    if (rc == BAKE_OK)
        rc = tar_text_add(&h->xattrs, "", 1);
    if (rc == BAKE_OK)
        rc = tar_text_add(&h->xattrs, size, 4);
    if (rc == BAKE_OK)
        rc = tar_text_add(&h->xattrs, value, n);
    h->has_xattrs = true;
    return rc;
}

static bool is(const char *key, size_t n, const char *want)
{
    return strlen(want) == n && memcmp(key, want, n) == 0;
}

static int pax_number(struct tar_head *h, const char *key, size_t len, const char *value, size_t n)
{
    uint64_t v = 0;
    if (is(key, len, "mtime")) {
        h->has_mtime = true;
        return timestamp(value, n, &h->mtime_ns) ? BAKE_OK : BAKE_E_CORRUPT;
    }
    if (!decimal(value, n, &v))
        return BAKE_E_CORRUPT;
    if (is(key, len, "size")) {
        h->has_size = true;
        h->size = v;
        return v <= INT64_MAX ? BAKE_OK : BAKE_E_CORRUPT;
    }
    bool user = is(key, len, "uid");
    h->has_uid |= user;
    h->has_gid |= !user;
    return id(v, user ? &h->uid : &h->gid) ? BAKE_OK : BAKE_E_CORRUPT;
}

static int pax_record(struct tar_head *h, const char *key, size_t len, const char *value, size_t n)
{
    size_t x = sizeof(xattr_key) - 1;
    if (is(key, len, "path") || is(key, len, "linkpath")) {
        bool link = *key == 'l';
        h->has_link |= link;
        h->has_path |= !link;
        return memchr(value, '\0', n) ? BAKE_E_CORRUPT
                                      : tar_text_set(link ? &h->link : &h->path, value, n);
    }
    if (is(key, len, "mtime") || is(key, len, "size") || is(key, len, "uid") || is(key, len, "gid"))
        return pax_number(h, key, len, value, n);
    if (len > x && memcmp(key, xattr_key, x) == 0)
        return memchr(key, '\0', len) ? BAKE_E_CORRUPT : xattr(h, key + x, len - x, value, n);
    return len >= 10 && memcmp(key, "GNU.sparse", 10) == 0 ? BAKE_E_CORRUPT : BAKE_OK;
}

int tar_head_pax(struct tar_head *h, const char *data, size_t n, const char **ret_why)
{
    *ret_why = "has a pax header that is not sound";
    while (n > 0) {
        const char *space = memchr(data, ' ', n < 20 ? n : 20);
        uint64_t len = 0;
        if (!space || !decimal(data, (size_t)(space - data), &len) || len > n ||
            len < (uint64_t)(space - data) + 3 || data[len - 1] != '\n')
            return BAKE_E_CORRUPT;
        const char *key = space + 1, *end = data + len - 1;
        const char *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals || equals == key)
            return BAKE_E_CORRUPT;
        int rc = pax_record(h, key, (size_t)(equals - key), equals + 1, (size_t)(end - equals - 1));
        if (rc != BAKE_OK)
            return rc;
        data += len;
        n -= (size_t)len;
    }
    return BAKE_OK;
}
