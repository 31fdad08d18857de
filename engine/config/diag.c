/* Mistakes of a file, kept sorted by place. */
#include "config/diag.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#define MAX_KEPT    100u
#define TEXT_CAP    2048
#define SHOWN_BYTES 60u

struct item {
    struct bk_pos at;
    bool is_error;
    char *text;
};

struct bk_diags {
    char *file;
    struct item *items; /* in the file's order; of one place: as they came */
    size_t n, cap;
    size_t errors, notices; /* of all, kept or not */
    size_t lost;            /* errors that are not kept */
};

int bk_diags_new(const char *file, struct bk_diags **ret, struct bk_err *err)
{
    struct bk_diags *d = calloc(1, sizeof(*d));
    if (!d)
        return bk_nomem(err);
    d->file = bk_strdup(file);
    if (!d->file) {
        free(d);
        return bk_nomem(err);
    }
    *ret = d;
    return 0;
}

void bk_diags_free(struct bk_diags *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        free(d->items[i].text);
    free(d->items);
    free(d->file);
    free(d);
}

static int compare(struct bk_pos a, struct bk_pos b)
{
    if (a.line != b.line)
        return a.line < b.line ? -1 : 1;
    return a.col == b.col ? 0 : a.col < b.col ? -1 : 1;
}

static bool has_room(struct bk_diags *d)
{
    if (d->n < d->cap)
        return true;
    size_t cap = d->cap ? d->cap * 2 : 16;
    struct item *items = reallocarray(d->items, cap, sizeof(*items));
    if (!items)
        return false;
    d->items = items;
    d->cap = cap;
    return true;
}

static bool is_known(const struct bk_diags *d, struct bk_pos at, const char *text)
{
    for (size_t i = 0; i < d->n; i++) {
        if (compare(d->items[i].at, at) == 0 && strcmp(d->items[i].text, text) == 0)
            return true;
    }
    return false;
}

static void insert(struct bk_diags *d, struct item item)
{
    size_t i = d->n;
    while (i && compare(d->items[i - 1].at, item.at) > 0)
        i--;
    memmove(d->items + i + 1, d->items + i, (d->n - i) * sizeof(item));
    d->items[i] = item;
    d->n++;
}

BAKE_PRINTF(4, 0)
static void add(struct bk_diags *d, bool is_error, struct bk_pos at, const char *fmt, va_list ap)
{
    char text[TEXT_CAP];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    if (is_known(d, at, text))
        return;
    size_t *count = is_error ? &d->errors : &d->notices;
    char *copy = *count < MAX_KEPT && has_room(d) ? bk_strdup(text) : NULL;
    (*count)++;
    if (copy)
        insert(d, (struct item){at, is_error, copy});
    else
        d->lost += is_error;
}

void bk_diag_error(struct bk_diags *d, struct bk_pos at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, true, at, fmt, ap);
    va_end(ap);
}

void bk_diag_notice(struct bk_diags *d, struct bk_pos at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(d, false, at, fmt, ap);
    va_end(ap);
}

size_t bk_diags_errors(const struct bk_diags *d) { return d->errors; }

/* Masked only now: a secret may have become known after the message was made. */
static void show(const struct bk_diags *d, const struct item *item,
                 void (*each)(void *arg, const char *file, struct bk_pos at, bool is_error,
                              const char *text),
                 void *arg)
{
    char line[TEXT_CAP * 2];
    char *masked BK_FREE = bk_mask(item->text);
    const char *text = masked ? masked : "out of memory";
    each(arg, d->file, item->at, item->is_error,
         bk_printable(line, sizeof(line), text, strlen(text)));
}

void bk_diags_each(const struct bk_diags *d,
                   void (*each)(void *arg, const char *file, struct bk_pos at, bool is_error,
                                const char *text),
                   void *arg)
{
    for (size_t i = 0; i < d->n; i++)
        show(d, &d->items[i], each, arg);
    if (d->lost) {
        char text[64];
        (void)snprintf(text, sizeof(text), "and %zu more %s", d->lost,
                       d->lost == 1 ? "mistake" : "mistakes");
        each(arg, d->file, (struct bk_pos){0, 0}, true, text);
    }
}

static void print_one(void *arg, const char *file, struct bk_pos at, bool is_error,
                      const char *text)
{
    char name[1024];
    const char *kind = is_error ? "" : "notice: ";
    (void)bk_printable(name, sizeof(name), file, strlen(file));
    if (at.line)
        (void)fprintf(arg, "%s:%d:%d: %s%s\n", name, at.line, at.col, kind, text);
    else
        (void)fprintf(arg, "%s: %s%s\n", name, kind, text);
}

void bk_diags_print(const struct bk_diags *d)
{
    bk_diags_each(d, print_one, stderr);
    (void)fflush(stderr);
}

const char *bk_quote(char out[BK_QUOTE_CAP], const char *text)
{
    char *masked BK_FREE = bk_mask(text);
    const char *s = masked ? masked : "";
    size_t n = strlen(s);
    bool cut = n > SHOWN_BYTES;
    if (cut) {
        n = SHOWN_BYTES;
        while (n && ((unsigned char)s[n] & 0xC0) == 0x80) /* not within a character */
            n--;
    }
    (void)snprintf(out, BK_QUOTE_CAP, "%.*s%s", (int)n, s, cut ? "..." : "");
    return out;
}
