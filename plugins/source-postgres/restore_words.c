/* Statements of globals.sql and their words. Only what pg_dumpall writes there is known: of psql's
 * own commands none but those that fence a dump in. */
#include "restore.h"

#include <ctype.h>
#include <string.h>

/* ---- pieces ---------------------------------------------------------------------------------- */

static bool begins(const char *p, const char *end, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(end - p) >= n && memcmp(p, text, n) == 0;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static const char *line_end(const char *p, const char *end)
{
    const char *at = memchr(p, '\n', (size_t)(end - p));
    return at ? at + 1 : end;
}

/* Behind a text in quotes; NULL: it has no end. escapes: after a backslash anything goes. */
static const char *quoted_end(const char *p, const char *end, bool escapes)
{
    char quote = *p++;
    for (; p < end; p++) {
        if (escapes && *p == '\\') {
            if (++p == end)
                return NULL;
        } else if (*p == quote) {
            if (p + 1 == end || p[1] != quote)
                return p + 1;
            p++;
        }
    }
    return NULL;
}

static const char *comment_end(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (begins(p, end, "/*")) {
            depth++;
            p += 2;
        } else if (begins(p, end, "*/")) {
            p += 2;
            if (--depth == 0)
                return p;
        } else {
            p++;
        }
    }
    return NULL;
}

/* Behind $tag$...$tag$; p itself when there is no such thing; NULL: it has no end. */
static const char *dollar_end(const char *p, const char *end)
{
    const char *q = p + 1;
    while (q < end && is_word(*q) && *q != '$')
        q++;
    if (q == end || *q != '$' || (q > p + 1 && isdigit((unsigned char)p[1])))
        return p;
    size_t n = (size_t)(q + 1 - p);
    for (q++; (size_t)(end - q) >= n; q++)
        if (memcmp(q, p, n) == 0)
            return q + n;
    return NULL;
}

/* Behind the piece at p: a blank, comment, text, identifier, word or single character. */
static const char *piece_end(const char *p, const char *end)
{
    if (begins(p, end, "--"))
        return line_end(p, end);
    if (begins(p, end, "/*"))
        return comment_end(p, end);
    if (*p == '\'' || *p == '"')
        return quoted_end(p, end, false);
    if ((*p == 'E' || *p == 'e') && p + 1 < end && p[1] == '\'')
        return quoted_end(p + 1, end, true);
    if (*p == '$') {
        const char *q = dollar_end(p, end);
        return q == p ? p + 1 : q;
    }
    const char *q = p;
    while (q < end && is_word(*q))
        q++;
    return q > p ? q : p + 1;
}

static bool is_nothing(const char *p, const char *end)
{
    return isspace((unsigned char)*p) || begins(p, end, "--") || begins(p, end, "/*");
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Up to where a statement begins. False: something else is there. */
static bool skip(struct pg_words *w)
{
    while (w->at < w->end) {
        const char *p = w->at;
        if (*p == '\\') {
            if (!begins(p, w->end, "\\restrict ") && !begins(p, w->end, "\\unrestrict "))
                return false;
            w->at = line_end(p, w->end);
        } else if (is_nothing(p, w->end) || *p == ';') {
            const char *next = piece_end(p, w->end);
            if (!next)
                return false;
            w->at = next;
        } else {
            break;
        }
    }
    return true;
}

int pg_words_statement(struct pg_words *w, const char **ret, size_t *ret_n)
{
    if (!skip(w))
        return -1;
    if (w->at == w->end)
        return 0;
    const char *p = w->at;
    while (p && p < w->end && *p != ';')
        p = *p == '\\' || *p == '\0' ? NULL : piece_end(p, w->end);
    if (!p || p == w->end)
        return -1;
    *ret = w->at;
    *ret_n = (size_t)(p - w->at);
    w->at = p + 1;
    return 1;
}

/* ---- words ----------------------------------------------------------------------------------- */

static bool unquote(const char *p, const char *end, char *ret, size_t cap)
{
    size_t n = 0;
    for (p++, end--; p < end; p++) {
        if (n + 1 >= cap)
            return false;
        ret[n++] = *p;
        p += *p == '"';
    }
    ret[n] = '\0';
    return true;
}

bool pg_words_next(struct pg_words *w, char *ret, size_t cap)
{
    const char *p = w->at, *next = p;
    while (p < w->end && is_nothing(p, w->end) && (next = piece_end(p, w->end)))
        p = next;
    if (p >= w->end || !next || !(next = piece_end(p, w->end)))
        return false;
    w->at = next;
    if (*p == '"')
        return unquote(p, next, ret, cap);
    size_t n = (size_t)(next - p);
    if (n >= cap)
        return false;
    memcpy(ret, p, n);
    ret[n] = '\0';
    return true;
}
