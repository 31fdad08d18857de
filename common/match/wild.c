/* Matching of wildcards: '?', '*', "**", [classes] and '\' over bytes. */
#include "match/wild.h"

#include <string.h>

/* ---- [classes] ------------------------------------------------------------------------------- */

static bool lower(unsigned char c) { return c >= 'a' && c <= 'z'; }
static bool upper(unsigned char c) { return c >= 'A' && c <= 'Z'; }
static bool digit(unsigned char c) { return c >= '0' && c <= '9'; }
static bool alpha(unsigned char c) { return lower(c) || upper(c); }
static bool alnum(unsigned char c) { return alpha(c) || digit(c); }
static bool graph(unsigned char c) { return c > ' ' && c < 127; }
static bool print(unsigned char c) { return c >= ' ' && c < 127; }
static bool punct(unsigned char c) { return graph(c) && !alnum(c); }
static bool cntrl(unsigned char c) { return c < ' ' || c == 127; }
static bool blank(unsigned char c) { return c == ' ' || c == '\t'; }
static bool space(unsigned char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool xdigit(unsigned char c)
{
    return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const struct {
    char name[8];
    bool (*has)(unsigned char);
} named_classes[] = {
    {"alnum", alnum}, {"alpha", alpha}, {"blank", blank}, {"cntrl", cntrl},
    {"digit", digit}, {"graph", graph}, {"lower", lower}, {"print", print},
    {"punct", punct}, {"space", space}, {"upper", upper}, {"xdigit", xdigit},
};

/* "[:name:]" at p. 1 and *ret_has: it is one, whose end is *ret_end; 0: an ordinary '['; -1: no
 * class has that name, or the set is open. */
static int named_class(const char *p, unsigned char c, bool *ret_has, const char **ret_end)
{
    const char *end = strchr(p + 2, ']');
    if (!end)
        return -1;
    if (end - p < 3 || end[-1] != ':')
        return 0;
    size_t n = (size_t)(end - 1 - (p + 2));
    for (size_t i = 0; i < sizeof(named_classes) / sizeof(named_classes[0]); i++)
        if (strlen(named_classes[i].name) == n && memcmp(named_classes[i].name, p + 2, n) == 0) {
            *ret_has = named_classes[i].has(c);
            *ret_end = end + 1;
            return 1;
        }
    return -1;
}

/* One character of a set, at *p: the character itself, or what stands after '\'. 0: the end. */
static unsigned char set_char(const char **p)
{
    if (**p == '\\')
        (*p)++;
    unsigned char c = (unsigned char)**p;
    if (c)
        (*p)++;
    return c;
}

/* The set whose '[' is at p. Returns what follows its ']', or NULL when it is not sound. */
static const char *match_set(const char *p, unsigned char c, bool *ret)
{
    bool negated = p[1] == '!' || p[1] == '^';
    bool in = false;
    const char *first = p += negated ? 2 : 1;
    while (p == first || *p != ']') {
        if (p[0] == '[' && p[1] == ':') {
            bool has = false;
            int known = named_class(p, c, &has, &p);
            if (known < 0)
                return NULL;
            if (known) {
                in |= has;
                continue;
            }
        }
        unsigned char from = set_char(&p);
        unsigned char to = from;
        if (from && p[0] == '-' && p[1] && p[1] != ']') {
            p++;
            to = set_char(&p);
        }
        if (!from || !to)
            return NULL;
        in |= c >= from && c <= to;
    }
    *ret = in != negated && c != '/';
    return p + 1;
}

/* ---- the whole pattern ----------------------------------------------------------------------- */

/* One character of the text against one element of the pattern, which is not '*'. Returns what
 * follows the element, or NULL when it does not match. */
static const char *match_one(const char *p, unsigned char c)
{
    bool in = false;
    switch (*p) {
    case '\0':
        return NULL;
    case '?':
        return c != '/' ? p + 1 : NULL;
    case '[':
        p = match_set(p, c, &in);
        return in ? p : NULL;
    case '\\':
        p++;
        break;
    default:
        break;
    }
    return *p && (unsigned char)*p == c ? p + 1 : NULL;
}

struct retry {     /* where to go on when what followed a star did not match */
    const char *p; /* after the star; NULL: there is none */
    size_t at;     /* what the star has not yet taken */
};

struct wild {
    const char *pattern, *text;
    size_t n;
    enum bkc_wild_stars stars;
    struct retry one, any; /* the last '*' and the last "**" */
    bool any_parts;        /* the "**" takes whole parts, each with its '/' */
};

/* Does the "**" that stands from p to after cross '/'? Sets whether it takes whole parts. */
static bool crosses(const struct wild *w, const char *p, const char *after, bool *ret_parts)
{
    bool starts_part = p == w->pattern || p[-1] == '/';
    bool slash = after[0] == '/' || (after[0] == '\\' && after[1] == '/');
    if (after - p < 2)
        return false;
    *ret_parts = starts_part && slash;
    return w->stars == BKC_STARS_ANYWHERE || (starts_part && (slash || !*after));
}

/* Passes the stars at p: returns where the pattern goes on. */
static const char *take_star(struct wild *w, const char *p, size_t at)
{
    const char *after = p + strspn(p, "*");
    bool parts = false;
    if (!crosses(w, p, after, &parts)) {
        w->one = (struct retry){after, at};
        return after;
    }
    if (parts)
        after += *after == '\\' ? 2 : 1;
    w->one.p = NULL; /* what the "**" can take, no earlier '*' needs to */
    w->any = (struct retry){after, at};
    w->any_parts = parts;
    return after;
}

/* Lets the last star take one more; false: none can. */
static bool take_back(struct wild *w, const char **p, size_t *at)
{
    if (w->one.p && w->one.at < w->n && w->text[w->one.at] != '/') {
        *p = w->one.p;
        *at = ++w->one.at;
        return true;
    }
    w->one.p = NULL;
    if (!w->any.p || w->any.at >= w->n)
        return false;
    if (w->any_parts) {
        const char *slash = memchr(w->text + w->any.at, '/', w->n - w->any.at);
        if (!slash)
            return false;
        w->any.at = (size_t)(slash - w->text);
    }
    *p = w->any.p;
    *at = ++w->any.at;
    return true;
}

bool bkc_wild(const char *pattern, const char *text, size_t n, enum bkc_wild_stars stars)
{
    struct wild w = {.pattern = pattern, .text = text, .n = n, .stars = stars};
    const char *p = pattern;
    for (size_t at = 0;;) {
        if (*p == '*') {
            p = take_star(&w, p, at);
            if (!*p && w.any.p == p)
                return true; /* a "**" at the end takes all there is */
            continue;
        }
        if (at == n && !*p)
            return true;
        const char *next = at < n ? match_one(p, (unsigned char)text[at]) : NULL;
        if (next) {
            p = next;
            at++;
        } else if (!take_back(&w, &p, &at)) {
            return false;
        }
    }
}

bool bkc_wild_sound(const char *pattern)
{
    for (const char *p = pattern; *p;) {
        bool in = false;
        if (*p == '[') {
            p = match_set(p, 'x', &in);
            if (!p)
                return false;
        } else {
            if (*p == '\\' && !*++p)
                return false;
            p++;
        }
    }
    return true;
}

bool bkc_wild_special(const char *pattern) { return pattern[strcspn(pattern, "*?[\\")] != '\0'; }
