/* Strings: copies, lists, 'did you mean'. */
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int bk_strv_add(struct bk_strv *v, const char *s)
{
    if (v->n + 1 >= v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 8;
        char **items = reallocarray(v->items, cap, sizeof(*items));
        if (!items)
            return BAKE_E_NOMEM;
        v->items = items;
        v->cap = cap;
        v->items[v->n] = NULL;
    }
    char *copy = strdup(s);
    if (!copy)
        return BAKE_E_NOMEM;
    v->items[v->n++] = copy;
    v->items[v->n] = NULL;
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void bk_strv_sort(struct bk_strv *v)
{
    if (v->n > 1)
        qsort(v->items, v->n, sizeof(*v->items), by_bytes);
}

bool bk_strv_has(const struct bk_strv *v, const char *s)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->items[i], s) == 0)
            return true;
    return false;
}

void bk_strv_free(struct bk_strv *v)
{
    for (size_t i = 0; i < v->n; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct bk_strv){0};
}

char *bk_strdup(const char *s) { return s ? strdup(s) : NULL; }

char *bk_asprintf(const char *fmt, ...)
{
    char *s;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : s;
}

bool bk_streq(const char *a, const char *b)
{
    if (!a || !b)
        return a == b;
    return strcmp(a, b) == 0;
}

bool bk_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool bk_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

enum { WORD_MAX = 64 };

/* For the comparison case does not count, nor '-' against '_'. */
static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Letters to add, leave out, change or swap with their neighbour to get from a to b. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = folded(a[i - 1]) != folded(b[j - 1]);
            row[j] = least(least(row[j - 1], last[j]) + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[m];
}

const char *bk_suggest(const char *word, const char *const *candidates)
{
    size_t n = strlen(word);
    if (n == 0 || n > WORD_MAX)
        return NULL;
    const char *best = NULL;
    size_t nearest = n / 3 + 1; /* exclusive */
    for (; *candidates; candidates++) {
        size_t m = strlen(*candidates);
        if (m == 0 || m > WORD_MAX || (n > m ? n - m : m - n) >= nearest)
            continue;
        size_t d = distance(word, n, *candidates, m);
        if (d < nearest) {
            nearest = d;
            best = *candidates;
        }
    }
    return best;
}
