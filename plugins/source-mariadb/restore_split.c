/* See restore_split.h: sections are known by the comment lines that mariadb-dump puts before them.
 */
#include "restore_split.h"

#include <stdlib.h>
#include <string.h>

#define HEAD      1024 /* of a line: a table's name in quotes has at most 64 characters */
#define BUFFER    ((size_t)256 << 10)
#define REMEMBER  1024
#define STATEMENT 72

enum mode { BASE = 0, DROPPED, EXTRAS, EVENTS };

struct begun {
    uint64_t line;
    char text[STATEMENT + 1];
};

struct my_split {
    bool (*wanted)(void *, const char *);
    my_split_out out;
    void *arg;
    enum mode mode;
    bool body, in_line, complete, chosen; /* chosen: the table that is at hand */
    char head[HEAD + 1];
    size_t n_head;
    uint64_t line; /* that is read, from 1 */
    char *buffer;
    size_t n_buffer;
    struct my_script extras, events;
    struct begun *begun;
    size_t n_begun;
};

/* ---- scripts --------------------------------------------------------------------------------- */

void my_script_release(struct my_script *s)
{
    free(s->data);
    free(s->pieces);
    *s = (struct my_script){0};
}

static int piece(struct my_script *s, uint64_t line)
{
    struct my_piece *p = s->n_pieces ? &s->pieces[s->n_pieces - 1] : NULL;
    if (p && p->line + p->lines == line)
        return BAKE_OK;
    p = realloc(s->pieces, (s->n_pieces + 1) * sizeof(*p));
    if (!p)
        return BAKE_E_NOMEM;
    s->pieces = p;
    p[s->n_pieces++] = (struct my_piece){.line = line, .at = s->n};
    return BAKE_OK;
}

int my_script_add(struct my_script *s, const char *data, size_t n, uint64_t line)
{
    /* a piece begins with a line */
    if ((s->n == 0 || s->data[s->n - 1] == '\n') && piece(s, line) != BAKE_OK)
        return BAKE_E_NOMEM;
    if (s->n + n + 1 > s->cap) {
        size_t cap = (s->n + n + 1) * 2;
        char *more = realloc(s->data, cap);
        if (!more)
            return BAKE_E_NOMEM;
        s->data = more;
        s->cap = cap;
    }
    memcpy(s->data + s->n, data, n);
    s->n += n;
    s->data[s->n] = '\0';
    for (size_t i = 0; i < n; i++)
        s->pieces[s->n_pieces - 1].lines += data[i] == '\n';
    return BAKE_OK;
}

uint64_t my_script_line(const struct my_script *s, uint64_t line)
{
    for (size_t i = 0; i < s->n_pieces; i++) {
        if (line <= s->pieces[i].lines || i + 1 == s->n_pieces)
            return s->pieces[i].line + line - 1;
        line -= s->pieces[i].lines;
    }
    return line;
}

/* ---- sections -------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Behind the marker, the name in backticks. */
static bool is_wanted(const struct my_split *s, const char *p)
{
    char name[HEAD + 1], *to = name;
    if (!s->wanted)
        return true;
    for (p += *p == '`'; *p && (*p != '`' || p[1] == '`'); p++) {
        p += *p == '`';
        *to++ = *p;
    }
    *to = '\0';
    return s->wanted(s->arg, name);
}

static void section(struct my_split *s)
{
    static const char *const tables[] = {"-- Table structure for table ",
                                         "-- Dumping data for table ",
                                         "-- Sequence structure for "};
    static const char *const views[] = {
        "-- Temporary table structure for view ", "-- Temporary view structure for view ",
        "-- Final view structure for view ", "-- Dumping routines for database "};
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        if (starts(s->head, tables[i])) {
            s->chosen = is_wanted(s, s->head + strlen(tables[i]));
            s->mode = s->chosen ? BASE : DROPPED;
            return;
        }
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
        if (starts(s->head, views[i])) {
            s->mode = s->wanted ? DROPPED : EXTRAS;
            return;
        }
    if (starts(s->head, "-- Dumping events for database "))
        s->mode = s->wanted ? DROPPED : EVENTS;
    else if (starts(s->head, "-- Dump completed")) {
        s->complete = true;
        s->mode = BASE;
    }
}

/* What the line at hand is part of. */
static void judge(struct my_split *s)
{
    const char *h = s->head;
    if (starts(h, "DELIMITER ")) {
        /* within the rows' section only triggers have bodies */
        if (s->mode == BASE)
            s->mode = EXTRAS;
        s->body = strncmp(h, "DELIMITER ;\n", 12) != 0;
    } else if (s->body) {
        return;
    } else if (h[0] == '-') {
        section(s);
    } else if (starts(h, "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE")) {
        s->mode = BASE;
    } else if (s->mode == BASE && starts(h, "/*!50003 SET @saved_")) {
        s->mode = EXTRAS; /* a trigger's */
    }
}

static void remember(struct my_split *s)
{
    size_t n = 0;
    const char *h = s->head;
    if (h[0] == '(' || h[0] == ' ' || h[0] == '-' || h[0] == '\n' || !h[0])
        return;
    struct begun *b = &s->begun[s->n_begun++ % REMEMBER];
    b->line = s->line;
    const char *values = strstr(h, " VALUES");
    size_t most = values ? (size_t)(values - h) : STATEMENT;
    while (n < most && n < STATEMENT && h[n] && h[n] != '\n') {
        b->text[n] = h[n];
        n++;
    }
    while (n > 0 && ((unsigned char)b->text[n - 1] & 0xC0) == 0x80 && n == STATEMENT)
        n--; /* not within a character */
    b->text[n] = '\0';
}

const char *my_split_statement(const struct my_split *s, uint64_t line)
{
    for (size_t i = 0; i < REMEMBER && i < s->n_begun; i++)
        if (s->begun[i].line == line)
            return s->begun[i].text;
    return "";
}

/* ---- going by -------------------------------------------------------------------------------- */

static int flush(struct my_split *s)
{
    int rc = s->n_buffer ? s->out(s->arg, s->buffer, s->n_buffer) : BAKE_OK;
    s->n_buffer = 0;
    return rc;
}

static int pass(struct my_split *s, const char *data, size_t n)
{
    while (n > 0) {
        size_t room = BUFFER - s->n_buffer, take = n < room ? n : room;
        memcpy(s->buffer + s->n_buffer, data, take);
        s->n_buffer += take;
        data += take;
        n -= take;
        int rc = s->n_buffer == BUFFER ? flush(s) : BAKE_OK;
        if (rc != BAKE_OK)
            return rc;
    }
    return BAKE_OK;
}

/* Part of the line at hand. */
static int emit(struct my_split *s, const char *data, size_t n)
{
    if (n == 0)
        return BAKE_OK;
    bool end = data[n - 1] == '\n';
    int rc = BAKE_OK;
    if (s->mode == BASE)
        return pass(s, data, n);
    if (s->mode == EXTRAS && s->chosen)
        rc = my_script_add(&s->extras, data, n, s->line);
    else if (s->mode == EVENTS)
        rc = my_script_add(&s->events, data, n, s->line);
    return rc == BAKE_OK && end ? pass(s, "\n", 1) : rc;
}

static int begin_line(struct my_split *s)
{
    s->head[s->n_head] = '\0';
    /* whether the client knows it was asked before */
    if (s->line == 1 && starts(s->head, "/*M!999999\\-")) {
        s->head[0] = '\n';
        s->n_head = 1;
        s->head[1] = '\0';
    }
    judge(s);
    remember(s);
    s->in_line = true;
    return emit(s, s->head, s->n_head);
}

static void end_line(struct my_split *s)
{
    s->line++;
    s->in_line = false;
    s->n_head = 0;
}

/* How much of a line is looked at before it is passed on. */
static size_t head_wanted(const struct my_split *s)
{
    char c = s->head[0];
    if (s->n_head > 0 && (c == '-' || c == '/' || c == 'D'))
        return HEAD;
    return s->n_head > 0 && (c == '(' || c == ' ') ? 1 : STATEMENT;
}

static int take_head(struct my_split *s, const char *data, size_t n, size_t *took)
{
    *took = 0;
    while (*took < n) {
        char c = data[(*took)++];
        s->head[s->n_head++] = c;
        if (c != '\n' && s->n_head < head_wanted(s))
            continue;
        int rc = begin_line(s);
        if (c == '\n')
            end_line(s);
        return rc;
    }
    return BAKE_OK;
}

int my_split_feed(struct my_split *s, const void *data, size_t n)
{
    const char *p = data;
    int rc = BAKE_OK;
    while (n > 0 && rc == BAKE_OK) {
        size_t took = 0;
        if (!s->in_line) {
            rc = take_head(s, p, n, &took);
        } else {
            const char *end = memchr(p, '\n', n);
            took = end ? (size_t)(end - p) + 1 : n;
            rc = emit(s, p, took);
            if (end)
                end_line(s);
        }
        p += took;
        n -= took;
    }
    return rc;
}

int my_split_end(struct my_split *s)
{
    int rc = !s->in_line && s->n_head > 0 ? begin_line(s) : BAKE_OK;
    if (rc == BAKE_OK)
        rc = flush(s);
    return rc != BAKE_OK ? rc : s->complete ? BAKE_OK : BAKE_E_CORRUPT;
}

struct my_script *my_split_extras(struct my_split *s) { return &s->extras; }

struct my_script *my_split_events(struct my_split *s) { return &s->events; }

int my_split_new(bool (*wanted)(void *arg, const char *table), my_split_out out, void *arg,
                 struct my_split **ret)
{
    struct my_split *s = calloc(1, sizeof(*s));
    if (s) {
        s->buffer = malloc(BUFFER);
        s->begun = calloc(REMEMBER, sizeof(*s->begun));
    }
    if (!s || !s->buffer || !s->begun) {
        my_split_free(s);
        return BAKE_E_NOMEM;
    }
    s->wanted = wanted;
    s->out = out;
    s->arg = arg;
    s->line = 1;
    s->chosen = true;
    *ret = s;
    return BAKE_OK;
}

void my_split_free(struct my_split *s)
{
    if (!s)
        return;
    my_script_release(&s->extras);
    my_script_release(&s->events);
    free(s->buffer);
    free(s->begun);
    free(s);
}
