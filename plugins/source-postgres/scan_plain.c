/* A dump in SQL: statements are told from texts, names and comments that look like them, as psql
 * does; the rows behind COPY are counted. */
#include "scan_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE 80  /* of a comment */
#define TAG  130 /* of a dollar quote */

static const char FROM_STDIN[] = " FROM stdin";
static const char END[] = "PostgreSQL database dump complete";
static const char END_OF_ALL[] = "PostgreSQL database cluster dump complete";

enum state {
    SQL,
    TEXT,      /* '...' */
    ETEXT,     /* E'...', where '\' takes the next byte along */
    ETEXT_ESC, /* after the '\' */
    NAME,      /* "..." */
    DASH,      /* after one '-' */
    NOTE_LINE, /* -- ... */
    STAR,      /* after a '/' */
    NOTE_MANY, /* slash, star ... which nest */
    NOTE_STAR, /* a '*' in it: its end? */
    NOTE_BAR,  /* a '/' in it: one more? */
    DOLLAR,    /* the tag of a dollar quote */
    QUOTED,    /* $tag$ ... */
    META,      /* a command of psql */
    COPY_LINE, /* after COPY ... FROM stdin; up to the end of the line */
    COPY
};

struct pg_plain {
    struct pg_found *found;
    enum state state;
    bool begun;          /* a statement has begun */
    bool marked;         /* the end marker was the last thing that counts */
    bool any;            /* there was anything at all */
    struct pg_head head; /* of the statement */
    char note[NOTE], tag[TAG];
    size_t n_note, n_tag, n_match;
    unsigned depth; /* of nested comments */
    struct pg_rows rows;
};

struct pg_plain *pg_plain_new(struct pg_found *found)
{
    struct pg_plain *p = calloc(1, sizeof(*p));
    if (p)
        p->found = found;
    return p;
}

void pg_plain_free(struct pg_plain *p) { free(p); }

/* ---- statements ------------------------------------------------------------------------------ */

/* At the ';' of a statement. */
static void end_statement(struct pg_plain *p)
{
    p->state = SQL;
    if (pg_head_begins(&p->head, "COPY ") && pg_head_ends(&p->head, FROM_STDIN)) {
        p->state = COPY_LINE;
        if (!pg_head_table(&p->head)) /* not as pg_dump writes it: counted without a name */
            p->head.n_schema = p->head.n_name = 0;
    } else if (pg_head_begins(&p->head, "SELECT pg_catalog.lo_create(")) {
        p->found->large_objects++;
    }
    p->begun = false;
    p->head.n = p->head.n_tail = 0;
}

static int end_rows(struct pg_plain *p)
{
    int rc = pg_tables_add(&p->found->tables, p->head.text + p->head.at_schema, p->head.n_schema,
                           p->head.text + p->head.at_name, p->head.n_name, p->rows.n);
    p->rows = (struct pg_rows){0};
    p->state = SQL;
    return rc;
}

/* ---- the ways through each state: each returns where it stopped ------------------------------ */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

/* The last byte of the statement so far, back-th from its end; ' ' if there is none. */
static char last(const struct pg_plain *p, size_t back)
{
    return p->head.n_tail > back ? p->head.tail[p->head.n_tail - 1 - back] : ' ';
}

static bool special(char c)
{
    switch (c) {
    case '\'':
    case '"':
    case '-':
    case '/':
    case '$':
    case ';':
    case '\\':
        return true;
    default:
        return false;
    }
}

/* What a special byte begins. */
static void enter(struct pg_plain *p, char c)
{
    switch (c) {
    case '\'':
        p->state =
            (last(p, 0) == 'E' || last(p, 0) == 'e') && !name_char(last(p, 1)) ? ETEXT : TEXT;
        break;
    case '"':
        p->state = NAME;
        break;
    case '-':
        p->state = DASH;
        return; /* kept once it is known to be no comment */
    case '/':
        p->state = STAR;
        return;
    case '$':
        if (!name_char(last(p, 0))) {
            p->state = DOLLAR;
            p->n_tag = 0;
        }
        break;
    case ';':
        end_statement(p);
        return;
    default:
        if (!p->begun) {
            p->state = META;
            p->n_note = 0;
            return;
        }
        p->found->command = true; /* psql takes them in the middle of statements, too */
    }
    p->begun = true;
    p->marked = false;
    pg_head_keep(&p->head, &c, 1);
}

static bool space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static const char *in_sql(struct pg_plain *p, const char *s, const char *end)
{
    if (!p->begun) {
        while (s < end && space(*s))
            s++;
        if (s == end)
            return s;
    }
    const char *from = s;
    while (s < end && !special(*s))
        s++;
    if (s > from) {
        p->begun = true;
        p->marked = false;
        pg_head_keep(&p->head, from, (size_t)(s - from));
    }
    if (s < end)
        enter(p, *s++);
    return s;
}

/* Up to `quote`, which belongs to it. A doubled one ends it and begins it anew: the same. */
static const char *in_quotes(struct pg_plain *p, const char *s, const char *end, char quote)
{
    const char *q = memchr(s, quote, (size_t)(end - s));
    const char *to = q ? q + 1 : end;
    pg_head_keep(&p->head, s, (size_t)(to - s));
    if (q)
        p->state = SQL;
    return to;
}

static const char *in_etext(struct pg_plain *p, const char *s, const char *end)
{
    const char *from = s;
    while (s < end && *s != '\'' && *s != '\\')
        s++;
    if (s < end)
        p->state = *s++ == '\'' ? SQL : ETEXT_ESC;
    pg_head_keep(&p->head, from, (size_t)(s - from));
    return s;
}

static void end_note(struct pg_plain *p)
{
    size_t n = p->n_note;
    const char *text = p->note;
    while (n > 0 && space(*text)) {
        text++;
        n--;
    }
    if (!p->begun && ((n == sizeof(END) - 1 && memcmp(text, END, n) == 0) ||
                      (n == sizeof(END_OF_ALL) - 1 && memcmp(text, END_OF_ALL, n) == 0)))
        p->marked = true;
}

/* psql's commands: these two are about the dump itself. whole: the line has ended. */
static void look_at_meta(struct pg_plain *p, bool whole)
{
    static const char *const harmless[] = {"restrict ", "unrestrict ", NULL};
    for (const char *const *h = harmless; *h; h++) {
        size_t n = strlen(*h), k = p->n_note < n ? p->n_note : n;
        if ((k == n || !whole) && memcmp(p->note, *h, k) == 0)
            return;
    }
    p->marked = false;
    p->found->command = true;
}

static const char *in_line(struct pg_plain *p, const char *s, const char *end)
{
    const char *q = memchr(s, '\n', (size_t)(end - s));
    size_t n = (size_t)((q ? q : end) - s), room = NOTE - p->n_note, k = n < room ? n : room;
    memcpy(p->note + p->n_note, s, k);
    p->n_note += k;
    if (p->state == META)
        look_at_meta(p, q != NULL);
    if (p->state == COPY_LINE && n > 0) /* psql goes on with it behind the rows */
        p->found->command = true;
    if (!q)
        return end;
    if (p->state == NOTE_LINE)
        end_note(p);
    p->state = p->state == COPY_LINE ? COPY : SQL;
    return q + 1;
}

static const char *in_note(struct pg_plain *p, const char *s, const char *end)
{
    for (; s < end; s++) {
        if (p->state == NOTE_STAR && *s == '/') {
            p->state = --p->depth == 0 ? SQL : NOTE_MANY;
            if (p->depth == 0)
                return s + 1;
        } else if (p->state == NOTE_BAR && *s == '*') {
            p->depth++;
            p->state = NOTE_MANY;
        } else {
            p->state = *s == '*' ? NOTE_STAR : *s == '/' ? NOTE_BAR : NOTE_MANY;
        }
    }
    return s;
}

/* After '-' or '/': a comment, or an operator. Takes the byte only if it makes one. */
static const char *in_doubt(struct pg_plain *p, const char *s)
{
    bool dash = p->state == DASH;
    if (dash && *s == '-') {
        p->state = NOTE_LINE;
        p->n_note = 0;
        return s + 1;
    }
    if (!dash && *s == '*') {
        p->state = NOTE_MANY;
        p->depth = 1;
        return s + 1;
    }
    p->begun = true;
    p->marked = false;
    pg_head_keep(&p->head, dash ? "-" : "/", 1);
    p->state = SQL;
    return s;
}

/* "$tag$", or "$1", or nothing of the kind. Takes the byte only if it belongs to the tag. */
static const char *in_tag(struct pg_plain *p, const char *s)
{
    bool digit = *s >= '0' && *s <= '9';
    if (*s == '$') {
        p->state = QUOTED;
        p->n_match = 0;
        return s + 1;
    }
    if (!name_char(*s) || (digit && p->n_tag == 0) || p->n_tag == TAG) {
        p->state = SQL;
        return s;
    }
    p->tag[p->n_tag++] = *s;
    pg_head_keep(&p->head, s, 1);
    return s + 1;
}

/* Up to "$tag$": n_match bytes of it have been seen. */
static const char *in_dollars(struct pg_plain *p, const char *s, const char *end)
{
    while (s < end) {
        if (p->n_match == 0) {
            s = memchr(s, '$', (size_t)(end - s));
            if (!s)
                return end;
            p->n_match = 1;
            s++;
        } else if (p->n_match == p->n_tag + 1 ? *s == '$' : *s == p->tag[p->n_match - 1]) {
            s++;
            if (p->n_match++ == p->n_tag + 1) {
                p->state = SQL;
                pg_head_keep(&p->head, "$", 1);
                return s;
            }
        } else {
            p->n_match = 0; /* the byte may be a '$' that begins it: looked at again */
        }
    }
    return s;
}

static const char *step(struct pg_plain *p, const char *s, const char *end)
{
    switch (p->state) {
    case SQL:
        return in_sql(p, s, end);
    case TEXT:
        return in_quotes(p, s, end, '\'');
    case NAME:
        return in_quotes(p, s, end, '"');
    case ETEXT:
        return in_etext(p, s, end);
    case ETEXT_ESC:
        pg_head_keep(&p->head, s, 1);
        p->state = ETEXT;
        return s + 1;
    case DASH:
    case STAR:
        return in_doubt(p, s);
    case NOTE_MANY:
    case NOTE_STAR:
    case NOTE_BAR:
        return in_note(p, s, end);
    case DOLLAR:
        return in_tag(p, s);
    case QUOTED:
        return in_dollars(p, s, end);
    default:
        return in_line(p, s, end);
    }
}

int pg_plain_feed(struct pg_plain *p, const char *data, size_t n)
{
    const char *s = data, *end = data + n;
    int rc = BAKE_OK;
    p->any |= n > 0;
    while (s < end && rc == BAKE_OK) {
        if (p->state != COPY) {
            s = step(p, s, end);
            continue;
        }
        bool done = false;
        s += pg_rows_feed(&p->rows, s, (size_t)(end - s), &done);
        if (done)
            rc = end_rows(p);
    }
    return rc;
}

/* ---- the end --------------------------------------------------------------------------------- */

int pg_plain_end(struct pg_plain *p)
{
    char *why = p->found->why;
    size_t cap = sizeof(p->found->why);
    if (!p->any)
        (void)snprintf(why, cap, "it is empty");
    else if (p->found->command)
        (void)snprintf(why, cap, "it holds a command of psql's own, which pg_dump never writes");
    else if (p->state == COPY || p->state == COPY_LINE)
        (void)snprintf(why, cap, "it ends within the rows of table '%.*s.%.*s'",
                       (int)p->head.n_schema, p->head.text + p->head.at_schema, (int)p->head.n_name,
                       p->head.text + p->head.at_name);
    else if (p->state == META || p->state == NOTE_LINE)
        (void)snprintf(why, cap, "it ends within a line");
    else if (p->begun || p->state != SQL)
        (void)snprintf(why, cap, "it ends within a statement");
    else if (!p->marked)
        (void)snprintf(why, cap, "its end marker is missing");
    else
        return BAKE_OK;
    return BAKE_E_CORRUPT;
}
