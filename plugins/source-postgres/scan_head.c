/* A statement as it goes by: how it begins and ends, and which table a COPY is about. */
#include "scan_impl.h"

#include <string.h>

/* Keeps its beginning and its end. */
void pg_head_keep(struct pg_head *h, const char *s, size_t n)
{
    size_t room = PG_HEAD - h->n, k = n < room ? n : room;
    memcpy(h->text + h->n, s, k);
    h->n += k;
    if (n >= PG_TAIL) {
        memcpy(h->tail, s + n - PG_TAIL, PG_TAIL);
        h->n_tail = PG_TAIL;
        return;
    }
    if (h->n_tail + n > PG_TAIL) {
        size_t drop = h->n_tail + n - PG_TAIL;
        memmove(h->tail, h->tail + drop, h->n_tail - drop);
        h->n_tail -= drop;
    }
    memcpy(h->tail + h->n_tail, s, n);
    h->n_tail += n;
}

bool pg_head_begins(const struct pg_head *h, const char *with)
{
    size_t n = strlen(with);
    return h->n >= n && memcmp(h->text, with, n) == 0;
}

bool pg_head_ends(const struct pg_head *h, const char *with)
{
    size_t n = strlen(with);
    return h->n_tail >= n && memcmp(h->tail + h->n_tail - n, with, n) == 0;
}

/* One name at *at of head, unquoted in its place. False: there is none, or it does not end. */
static bool take_name(struct pg_head *h, size_t *at, size_t *ret_from, size_t *ret_n)
{
    size_t i = *at, to = *at;
    *ret_from = to;
    if (i < h->n && h->text[i] == '"') {
        for (i++; i < h->n; i++) {
            if (h->text[i] == '"' && (i + 1 == h->n || h->text[i + 1] != '"'))
                break;
            i += h->text[i] == '"';
            h->text[to++] = h->text[i];
        }
        if (i == h->n)
            return false;
        i++;
    } else {
        while (i < h->n && !strchr(" .(;\"\n", h->text[i]))
            h->text[to++] = h->text[i++];
    }
    *ret_n = to - *ret_from;
    *at = i;
    return *ret_n > 0 && i < h->n;
}

bool pg_head_table(struct pg_head *h)
{
    size_t at = strlen("COPY ");
    return take_name(h, &at, &h->at_schema, &h->n_schema) && h->text[at] == '.' &&
           (at++, take_name(h, &at, &h->at_name, &h->n_name)) &&
           (h->text[at] == ' ' || h->text[at] == '(');
}
