/* mtree lines. */
#include "store/listing.h"

#include "base/digest.h"
#include "base/num.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

#define NS 1000000000
/* mtree(5) has no keyword for XXH128, and its readers complain of those they do not know; but tags
 * are free text to them. */
#define DIGEST_TAG "xxh128:"

static const struct {
    uint32_t type;
    const char *name;
} types[] = {
    {BAKE_FILE, "file"},     {BAKE_DIR, "dir"},      {BAKE_SYMLINK, "link"},
    {BAKE_HARDLINK, "file"}, {BAKE_CHARDEV, "char"}, {BAKE_BLOCKDEV, "block"},
    {BAKE_FIFO, "fifo"},
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

static bool must_escape(unsigned char c)
{
    switch (c) {
    case '#':
    case '\\':
    case '*':
    case '?':
    case '[':
    case ']':
    case '=':
    case '"':
        return true;
    default:
        return c <= 0x20 || c >= 0x7f;
    }
}

/* Blanks, controls, '#', '\', glob characters and whatever is not ASCII as \ooo. A line is written
 * for every entry of every tree, hence no printf here. */
static void add_escaped(struct bk_buf *out, const char *s)
{
    const char *from = s;

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        char octal[4] = {'\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)),
                         (char)('0' + (c & 7))};

        if (!must_escape(c))
            continue;
        bk_buf_add(out, from, (size_t)(s - from));
        bk_buf_add(out, octal, sizeof(octal));
        from = s + 1;
    }
    bk_buf_add(out, from, (size_t)(s - from));
}

/* key (" size="), then v in base 10 or 8 with at least `digits` digits. */
static void add_number(struct bk_buf *out, const char *key, uint64_t v, unsigned base, int digits)
{
    char text[32];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + v % base);
        v /= base;
        digits--;
    } while (v > 0 || digits > 0);
    bk_buf_str(out, key);
    bk_buf_add(out, text + at, sizeof(text) - at);
}

static const char *type_name(uint32_t type)
{
    for (size_t i = 0; i < N_TYPES; i++)
        if (types[i].type == type)
            return types[i].name;
    return "file";
}

static void add_metadata(struct bk_buf *out, const struct bake_entry *e)
{
    if (e->valid & BAKE_HAS_MODE)
        add_number(out, " mode=", e->mode, 8, 4);
    if (e->valid & BAKE_HAS_OWNER) {
        add_number(out, " uid=", e->uid, 10, 1);
        add_number(out, " gid=", e->gid, 10, 1);
    }
    if ((e->valid & BAKE_HAS_OWNER) && e->user && *e->user) {
        bk_buf_str(out, " uname=");
        add_escaped(out, e->user);
    }
    if ((e->valid & BAKE_HAS_OWNER) && e->group && *e->group) {
        bk_buf_str(out, " gname=");
        add_escaped(out, e->group);
    }
    if (e->valid & BAKE_HAS_MTIME) {
        int64_t seconds = e->mtime_ns / NS, ns = e->mtime_ns % NS;

        if (ns < 0) { /* the part behind the point counts upwards, also before the epoch */
            seconds--;
            ns += NS;
        }
        add_number(out, seconds < 0 ? " time=-" : " time=",
                   seconds < 0 ? (uint64_t)-seconds : (uint64_t)seconds, 10, 1);
        add_number(out, ".", (uint64_t)ns, 10, 9);
    }
}

int bk_listing_line(struct bk_buf *out, const struct bake_entry *e, const char *digest)
{
    bool root = bk_streq(e->path, ".");

    bk_buf_str(out, root ? "." : "./");
    if (!root)
        add_escaped(out, e->path);
    bk_buf_str(out, " type=");
    bk_buf_str(out, type_name(e->type));
    add_metadata(out, e);
    if (e->valid & BAKE_HAS_INODE)
        add_number(out, " nlink=", e->nlink, 10, 1);
    if (e->type == BAKE_FILE)
        add_number(out, " size=", e->size, 10, 1);
    if (e->type == BAKE_SYMLINK) {
        bk_buf_str(out, " link=");
        add_escaped(out, e->link);
    }
    if (e->type == BAKE_CHARDEV || e->type == BAKE_BLOCKDEV)
        bk_buf_printf(out, " device=native,%u,%u", e->dev_major, e->dev_minor);
    if (digest) {
        bk_buf_str(out, " tags=" DIGEST_TAG);
        bk_buf_str(out, digest);
    }
    return bk_buf_char(out, '\n');
}

struct bk_listr {
    int (*pull)(void *arg, const void **data, size_t *n);
    void *arg;
    const char *data; /* lent by pull */
    size_t n;
    struct bk_buf line;
    uint64_t number;
};

/* A path can be long, but not endless. */
#define LINE_LIMIT (4u << 20)

int bk_listr_new(int (*pull)(void *arg, const void **data, size_t *n), void *arg,
                 struct bk_listr **ret, struct bk_err *err)
{
    struct bk_listr *r = calloc(1, sizeof(*r));

    if (!r)
        return bk_nomem(err);
    r->pull = pull;
    r->arg = arg;
    *ret = r;
    return BAKE_OK;
}

void bk_listr_free(struct bk_listr *r)
{
    if (!r)
        return;
    bk_buf_free(&r->line);
    free(r);
}

/* The next line without its end into r->line. OK | BAKE_END. */
static int read_line(struct bk_listr *r, struct bk_err *err)
{
    bk_buf_clear(&r->line);
    for (;;) {
        const char *end;
        size_t take;

        if (r->n == 0) {
            const void *data;
            int rc = r->pull(r->arg, &data, &r->n);

            if (rc < 0)
                return bk_fail(err, rc, "the listing cannot be read");
            if (r->n == 0)
                return r->line.len == 0 ? BAKE_END
                                        : bk_fail(err, BAKE_E_CORRUPT, "the listing is cut");
            r->data = data;
        }
        end = memchr(r->data, '\n', r->n);
        take = end ? (size_t)(end - r->data) : r->n;
        if (r->line.len + take > LINE_LIMIT)
            return bk_fail(err, BAKE_E_CORRUPT, "a line of the listing is endless");
        if (bk_buf_add(&r->line, r->data, take) < 0)
            return bk_nomem(err);
        r->data += take + (end ? 1 : 0);
        r->n -= take + (end ? 1 : 0);
        if (end) {
            r->number++;
            return BAKE_OK;
        }
    }
}

static bool is_octal(char c) { return c >= '0' && c <= '7'; }

/* In place; false: a bad escape. */
static bool unescape(char *s)
{
    char *to = s;

    while (*s) {
        if (*s != '\\') {
            *to++ = *s++;
            continue;
        }
        if (!is_octal(s[1]) || s[1] > '3' || !is_octal(s[2]) || !is_octal(s[3]))
            return false;
        *to = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
        if (!*to++)
            return false;
        s += 4;
    }
    *to = '\0';
    return true;
}

static bool set_time(struct bake_entry *e, char *value)
{
    char *dot = strchr(value, '.');
    int64_t seconds, ns = 0;

    if (dot) {
        size_t n = strlen(dot + 1), zeros = strspn(dot + 1, "0");

        *dot++ = '\0';
        if (strspn(dot, "0123456789") != n)
            return false;
        if (zeros < n && (n != 9 || !bk_parse_i64(dot + zeros, &ns)))
            return false;
    }
    if (!bk_parse_i64(value, &seconds))
        return false;
    if (seconds < 0) { /* so that the earliest times do not overflow on the way */
        seconds++;
        ns -= NS;
    }
    if (__builtin_mul_overflow(seconds, (int64_t)NS, &seconds) ||
        __builtin_add_overflow(seconds, ns, &e->mtime_ns))
        return false;
    e->valid |= BAKE_HAS_MTIME;
    return true;
}

static bool set_octal(uint32_t *ret, const char *value)
{
    uint32_t mode = 0;
    bool any = *value;

    for (; is_octal(*value) && mode < 01000; value++)
        mode = mode << 3 | (uint32_t)(*value - '0');
    *ret = mode;
    return any && *value == '\0';
}

static bool set_type(struct bake_entry *e, const char *value)
{
    for (size_t i = 0; i < N_TYPES; i++) {
        if (bk_streq(types[i].name, value)) {
            e->type = types[i].type;
            return true;
        }
    }
    return false;
}

static bool set_u32(uint32_t *ret, const char *value)
{
    uint64_t v;

    if (!bk_parse_u64(value, &v) || v > UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

static bool set_device(struct bake_entry *e, char *value)
{
    char *major = strchr(value, ','), *minor = major ? strchr(major + 1, ',') : NULL;

    if (!minor)
        return false;
    *minor++ = '\0';
    return set_u32(&e->dev_major, major + 1) && set_u32(&e->dev_minor, minor);
}

/* One KEY=VALUE of a line; what is not known is passed over. */
static bool set_key(struct bake_entry *e, const char **digest, const char *key, char *value)
{
    unsigned char raw[16];

    if (bk_streq(key, "type"))
        return set_type(e, value);
    if (bk_streq(key, "mode")) {
        e->valid |= BAKE_HAS_MODE;
        return set_octal(&e->mode, value);
    }
    if (bk_streq(key, "uid")) {
        e->valid |= BAKE_HAS_OWNER;
        return set_u32(&e->uid, value);
    }
    if (bk_streq(key, "gid"))
        return set_u32(&e->gid, value);
    if (bk_streq(key, "uname"))
        return unescape(value) && (e->user = value);
    if (bk_streq(key, "gname"))
        return unescape(value) && (e->group = value);
    if (bk_streq(key, "time"))
        return set_time(e, value);
    if (bk_streq(key, "nlink"))
        return bk_parse_u64(value, &e->nlink);
    if (bk_streq(key, "size"))
        return bk_parse_u64(value, &e->size);
    if (bk_streq(key, "link"))
        return unescape(value) && (e->link = value);
    if (bk_streq(key, "device"))
        return set_device(e, value);
    if (bk_streq(key, "tags") && bk_starts(value, DIGEST_TAG)) {
        *digest = value + strlen(DIGEST_TAG);
        return bk_unhex(*digest, raw, sizeof(raw));
    }
    return true;
}

static bool parse_line(char *line, struct bake_entry *e, const char **digest)
{
    char *save = NULL, *path = strtok_r(line, " ", &save), *pair;

    if (!path || path[0] != '.')
        return false;
    if (path[1] == '/')
        path += 2;
    if (!unescape(path) || !*path)
        return false;
    e->path = path;
    while ((pair = strtok_r(NULL, " ", &save))) {
        char *value = strchr(pair, '=');

        if (!value)
            continue;
        *value++ = '\0';
        if (!set_key(e, digest, pair, value))
            return false;
    }
    return e->type != 0 && (e->type != BAKE_SYMLINK || e->link);
}

int bk_listr_next(struct bk_listr *r, struct bake_entry *ret, const char **ret_digest,
                  struct bk_err *err)
{
    for (;;) {
        int rc = read_line(r, err);

        if (rc != BAKE_OK)
            return rc;
        if (r->line.len == 0 || r->line.data[0] == '#')
            continue;
        memset(ret, 0, sizeof(*ret));
        ret->struct_size = sizeof(*ret);
        *ret_digest = "";
        if (memchr(r->line.data, '\0', r->line.len) || !parse_line(r->line.data, ret, ret_digest))
            return bk_fail(err, BAKE_E_CORRUPT, "line %llu of the listing is damaged",
                           (unsigned long long)r->number);
        return BAKE_OK;
    }
}
