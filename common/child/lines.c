/* Standard error, line by line, made fit to be shown. */
#include "child/lines.h"

#include <string.h>

static void keep_line(struct bkc_lines *l)
{
    size_t n = strlen(l->line);

    while (l->tail_n > 0 && l->tail_n + 1 + n > BKC_TAIL_MAX) { /* the oldest go */
        char *end = memchr(l->tail, '\n', l->tail_n);
        size_t first = end ? (size_t)(end - l->tail) + 1 : l->tail_n;

        l->tail_n -= first;
        memmove(l->tail, l->tail + first, l->tail_n);
    }
    if (l->tail_n > 0)
        l->tail[l->tail_n++] = '\n';
    memcpy(l->tail + l->tail_n, l->line, n + 1);
    l->tail_n += n;
}

/* A character of several bytes is not cut in two. */
static size_t whole(const char *s, size_t n)
{
    size_t at = n, tail = 0;

    while (at > 0 && tail < 3 && ((unsigned char)s[at - 1] & 0xc0) == 0x80) {
        at--;
        tail++;
    }
    if (at == 0)
        return n;
    unsigned char lead = (unsigned char)s[at - 1];
    size_t needs = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    return needs > tail ? at - 1 : n;
}

void bkc_lines_end(struct bkc_lines *l)
{
    if (l->n == 0)
        return;
    if (l->cut) {
        l->n = whole(l->line, l->n);
        memcpy(l->line + l->n, "...", 3);
        l->n += 3;
    }
    l->line[l->n] = '\0';
    l->n = 0;
    l->cut = false;
    keep_line(l);
    if (l->said)
        l->said(l->arg, l->line);
}

static void add(struct bkc_lines *l, unsigned char c)
{
    if (l->n >= BKC_LINE_MAX) {
        l->cut = true;
        return;
    }
    if (c < 0x20 || c == 0x7f)
        c = c == '\t' ? ' ' : '?';
    if (c >= 0x80 && c < 0xa0 && l->n > 0 && (unsigned char)l->line[l->n - 1] == 0xc2) {
        l->line[l->n - 1] = '?'; /* the control characters U+0080 to U+009F */
        return;
    }
    l->line[l->n++] = (char)c;
}

void bkc_lines_feed(struct bkc_lines *l, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n' || text[i] == '\r')
            bkc_lines_end(l);
        else
            add(l, (unsigned char)text[i]);
}

const char *bkc_lines_last(const struct bkc_lines *l)
{
    const char *end = strrchr(l->tail, '\n');
    return end ? end + 1 : l->tail;
}
