/* Errors: formatting, prefixes, hints; exit codes. */
#include "base/err.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HINT_MARK "\nHINT: "

/* Copies s, cut with "..." at a character's border where it does not fit. */
static void copy_cut(char *out, size_t cap, const char *s)
{
    size_t n = strlen(s);
    if (n < cap) {
        memcpy(out, s, n + 1);
        return;
    }
    n = cap - 4;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    memcpy(out, s, n);
    memcpy(out + n, "...", 4);
}

/* Formats, and cuts a last line "HINT: ..." off the text. Returns the hint or NULL. */
static BAKE_PRINTF(3, 0) const
    char *format_split(char *out, size_t cap, const char *fmt, va_list ap)
{
    if (vsnprintf(out, cap, fmt, ap) < 0)
        copy_cut(out, cap, fmt);
    const char *hint = NULL;
    char *at = out;
    for (char *p = strstr(out, HINT_MARK); p; p = strstr(p + 1, HINT_MARK)) {
        at = p;
        hint = p + strlen(HINT_MARK);
    }
    if (hint)
        *at = '\0';
    return hint;
}

int bk_vfail(struct bk_err *err, int rc, const char *fmt, va_list ap)
{
    if (!err)
        return rc;
    int saved = errno;
    char text[8192]; /* not in place: the arguments may point into err */
    const char *hint = format_split(text, sizeof(text), fmt, ap);
    err->rc = rc;
    copy_cut(err->text, sizeof(err->text), text);
    copy_cut(err->hint, sizeof(err->hint), hint ? hint : "");
    errno = saved;
    return rc;
}

int bk_fail(struct bk_err *err, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    rc = bk_vfail(err, rc, fmt, ap);
    va_end(ap);
    return rc;
}

static int rc_of_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return BAKE_E_NOSPACE;
    case ENOENT:
        return BAKE_E_NOTFOUND;
    case EEXIST:
        return BAKE_E_EXISTS;
    case ENOMEM:
        return BAKE_E_NOMEM;
    default:
        return BAKE_E_IO;
    }
}

/* The system's text, with a small first letter as in the rest of a message. */
static void errno_text(char *out, size_t cap, int e)
{
    char room[128];
    copy_cut(out, cap, strerror_r(e, room, sizeof(room)));
    bool word =
        out[0] >= 'A' && out[0] <= 'Z' && ((out[1] >= 'a' && out[1] <= 'z') || out[1] == ' ');
    if (word)
        out[0] = (char)(out[0] - 'A' + 'a');
}

int bk_fail_errno(struct bk_err *err, int e, const char *fmt, ...)
{
    int rc = rc_of_errno(e);
    if (!err)
        return rc;
    char why[128], text[8192];
    errno_text(why, sizeof(why), e);
    va_list ap;
    va_start(ap, fmt);
    const char *hint = format_split(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (hint)
        return bk_fail(err, rc, "%s: %s" HINT_MARK "%s", text, why, hint);
    return bk_fail(err, rc, "%s: %s", text, why);
}

int bk_prefix(struct bk_err *err, const char *fmt, ...)
{
    if (!err)
        return 0;
    char text[sizeof(err->text) * 2 + 2], prefix[sizeof(err->text)], out[sizeof(err->text)];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    copy_cut(prefix, sizeof(prefix), n < 0 ? fmt : text);
    (void)snprintf(text, sizeof(text), "%s: %s", prefix, err->text);
    copy_cut(out, sizeof(out), text);
    memcpy(err->text, out, sizeof(out));
    return err->rc;
}

void bk_hint(struct bk_err *err, const char *fmt, ...)
{
    if (!err)
        return;
    char text[sizeof(err->hint) * 2];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    copy_cut(err->hint, sizeof(err->hint), n < 0 ? fmt : text);
}

int bk_nomem(struct bk_err *err) { return bk_fail(err, BAKE_E_NOMEM, "out of memory"); }

void bk_err_clear(struct bk_err *err)
{
    if (!err)
        return;
    err->rc = 0;
    err->text[0] = err->hint[0] = '\0';
}

int bk_exit_code(int rc)
{
    switch (rc) {
    case BAKE_OK:
    case BAKE_END:
        return 0;
    case BAKE_E_CANCELLED:
        return 130;
    case BAKE_E_KEY:
        return 12;
    case BK_E_LOCKED:
        return 11;
    case BK_E_NOSTORE:
        return 10;
    case BK_E_USAGE:
    case BAKE_E_CONFIG:
        return 2;
    case BK_E_VERIFY:
        return 4;
    case BK_E_PARTIAL:
        return 3;
    default:
        return 1;
    }
}

/* The lower, the sooner it is said. */
static size_t rank_of(int rc)
{
    static const int order[] = {130, 12, 11, 10, 2, 1, 4, 3, 0};
    int code = bk_exit_code(rc);
    size_t i = 0;
    while (i + 1 < sizeof(order) / sizeof(order[0]) && order[i] != code)
        i++;
    return i;
}

int bk_worse(int rc_a, int rc_b) { return rank_of(rc_b) < rank_of(rc_a) ? rc_b : rc_a; }
