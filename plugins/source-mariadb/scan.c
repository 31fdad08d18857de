/* See scan.h: a lexer of what mariadb-dump writes, one state per kind of text. */
#include "scan_impl.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum state {
    IDLE = 0, /* between statements */
    HEAD,     /* of a statement, until it is known what it is */
    NAME,     /* of the table, from behind its first backtick */
    COLUMNS,  /* from there to VALUES */
    VALUES,
    SKIP,    /* the rest of a statement */
    COMMENT, /* a line */
    BLOCK,   /* up to the end of a comment */
    BODY     /* lines between DELIMITER ;; and DELIMITER ; */
};

/* statements that matter, by how they begin */
enum head { INSERT = 0, CREATE, CREATE_IF, LOCK, DELIMITER, N_HEADS };

#define WORD "VALUES"

struct my_scan {
    enum state state, after; /* after: BLOCK, and then */
    char head[MY_SCAN_NAME + 64];
    size_t n_head;
    bool versioned; /* within a comment that servers carry out */
    enum head kind; /* NAME: whose */
    char quote;     /* COLUMNS, SKIP */
    bool escaped, tick, fresh;
    char last[2];
    size_t word;
    struct my_scan_values values;
    struct my_scan_set set;
    struct my_scan_table *table; /* of this INSERT; NULL: only summed up */
    uint64_t rows;
    bool sandbox, complete, behind; /* behind: statements after the end */
    char file[600], gtid[600];
    uint64_t position;
    struct my_scan_made made;
};

int my_scan_new(struct my_scan **ret)
{
    *ret = calloc(1, sizeof(**ret));
    return *ret ? BAKE_OK : BAKE_E_NOMEM;
}

void my_scan_free(struct my_scan *s)
{
    if (!s)
        return;
    my_scan_set_release(&s->set);
    free(s);
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void keep(struct my_scan *s, char c)
{
    if (s->n_head + 1 < sizeof(s->head)) {
        s->head[s->n_head++] = c;
        s->head[s->n_head] = '\0';
    }
}

static void fresh_head(struct my_scan *s)
{
    s->n_head = 0;
    s->head[0] = '\0';
}

static void go(struct my_scan *s, enum state state)
{
    s->state = state;
    s->quote = '\0';
    s->escaped = s->tick = false;
    s->last[0] = s->last[1] = '\0';
    fresh_head(s);
}

static void idle(struct my_scan *s)
{
    s->versioned = false;
    go(s, IDLE);
}

/* ---- comments -------------------------------------------------------------------------------- */

/* The text between `before` and the next "'". */
static bool quoted_after(const char *line, const char *before, char *out, size_t cap)
{
    const char *from = strstr(line, before);
    if (!from)
        return false;
    from += strlen(before);
    size_t n = strcspn(from, "'");
    if (from[n] != '\'' || n >= cap)
        return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return true;
}

static uint64_t number_after(const char *line, const char *before)
{
    const char *from = strstr(line, before);
    uint64_t value = 0;
    for (from = from ? from + strlen(before) : ""; *from >= '0' && *from <= '9'; from++) {
        if (value > (UINT64_MAX - 9) / 10)
            return 0;
        value = value * 10 + (uint64_t)(*from - '0');
    }
    return value;
}

static void comment_line(struct my_scan *s)
{
    const char *line = s->head;
    if (starts(line, "-- Dump completed") || strcmp(line, "-- bakengine: end") == 0)
        s->complete = true;
    if (!s->file[0] && starts(line, "-- CHANGE MASTER TO ") &&
        quoted_after(line, "MASTER_LOG_FILE='", s->file, sizeof(s->file)))
        s->position = number_after(line, "MASTER_LOG_POS=");
    if (!s->gtid[0] && starts(line, "-- SET GLOBAL gtid_slave_pos="))
        (void)quoted_after(line, "gtid_slave_pos='", s->gtid, sizeof(s->gtid));
    idle(s);
}

/* ---- what a statement is --------------------------------------------------------------------- */

static const char *const heads[N_HEADS] = {"INSERT INTO `", "CREATE TABLE `",
                                           "CREATE TABLE IF NOT EXISTS `", "LOCK TABLES `",
                                           "DELIMITER "};

/* c is the next byte. Returns whether it was taken. */
static bool head_byte(struct my_scan *s, char c)
{
    keep(s, c);
    size_t n = s->n_head;
    const char *h = s->head;
    if (h[0] == '#' || starts(h, "--")) {
        s->state = COMMENT;
        return true;
    }
    if (n == 1 && strchr("-/*", c))
        return true;
    if (h[0] == '/') { /* a comment of the server's, of a server's version, or another one */
        if (n == 2 && c == '*')
            return true;
        if (strcmp(h, "/*!") == 0 || strcmp(h, "/*M!") == 0) {
            s->versioned = true;
            return true;
        }
        if (strcmp(h, "/*M") == 0 || (s->versioned && c >= '0' && c <= '9' && n < 12))
            return true;
        if (strcmp(h, "/*M!999999\\") == 0) {
            s->sandbox = true;
            s->versioned = false;
            s->state = COMMENT;
            return true;
        }
        bool plain = n == 3 || (n == 4 && h[2] == 'M');
        go(s, h[1] != '*' ? SKIP : plain ? BLOCK : IDLE);
        s->after = IDLE;
        return false;
    }
    if (h[0] == '*') { /* its end */
        bool end = strcmp(h, "*/") == 0;
        if (end)
            s->versioned = false;
        go(s, end ? IDLE : SKIP);
        return end;
    }
    for (int i = 0; i < N_HEADS; i++) {
        if (strncmp(heads[i], h, n) != 0)
            continue;
        if (heads[i][n])
            return true;
        s->kind = (enum head)i;
        /* the body's lines begin with what follows on this one */
        go(s, i == DELIMITER ? BODY : NAME);
        if (s->state == BODY)
            memcpy(s->head, heads[i], s->n_head = n);
        s->head[s->n_head] = '\0';
        return true;
    }
    go(s, SKIP);
    return false;
}

static int named(struct my_scan *s)
{
    bool fits = s->n_head < MY_SCAN_NAME, insert = s->kind == INSERT;
    /* what older servers make for a view until it is there is no table */
    if (s->versioned && !insert) {
        go(s, SKIP);
        return BAKE_OK;
    }
    struct my_scan_table *t = NULL;
    if (fits && my_scan_set_at(&s->set, s->head, &t) != BAKE_OK)
        return BAKE_E_NOMEM;
    if (!t && (s->kind == CREATE || s->kind == CREATE_IF))
        s->set.beyond++;
    if (t && s->kind == LOCK)
        t->data = true;
    s->table = t;
    s->word = 0;
    go(s, insert ? COLUMNS : SKIP);
    return BAKE_OK;
}

/* Up to the backtick that is no half of two. */
static int name_byte(struct my_scan *s, char c, bool *taken)
{
    *taken = true;
    if (c == '`' && !s->tick) {
        s->tick = true;
    } else if (s->tick && c != '`') {
        *taken = false;
        return named(s);
    } else {
        s->tick = false;
        keep(s, c);
    }
    return BAKE_OK;
}

/* ---- within statements ----------------------------------------------------------------------- */

/* Whether c is part of something in quotes. */
static bool in_quotes(struct my_scan *s, char c)
{
    if (s->quote) {
        if (s->escaped)
            s->escaped = false;
        else if (c == '\\' && s->quote != '`')
            s->escaped = true;
        else if (c == s->quote)
            s->quote = '\0';
        return true;
    }
    if (c == '\'' || c == '"' || c == '`')
        s->quote = c;
    return s->quote != '\0';
}

static void columns_byte(struct my_scan *s, char c)
{
    if (in_quotes(s, c)) {
        s->word = 0;
        return;
    }
    if (c == ';') {
        idle(s);
        return;
    }
    s->word = c == WORD[s->word] ? s->word + 1 : c == WORD[0];
    if (!WORD[s->word]) {
        go(s, VALUES);
        s->values = (struct my_scan_values){0};
    }
}

static void skip_byte(struct my_scan *s, char c)
{
    if (in_quotes(s, c)) {
        s->last[0] = s->last[1] = '\0';
        return;
    }
    if (c == ';') {
        idle(s);
    } else if (s->last[0] == '/' && s->last[1] == '*' && c != '!' && c != 'M') {
        go(s, BLOCK);
        s->after = SKIP;
        s->last[1] = c;
    } else {
        s->last[0] = s->last[1];
        s->last[1] = c;
    }
}

static void block_byte(struct my_scan *s, char c)
{
    if (s->last[1] == '*' && c == '/')
        go(s, s->after);
    else
        s->last[1] = c;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Behind blanks, comments, and the marks of comments that servers carry out. */
static const char *code(const char *p)
{
    for (;;) {
        p += strspn(p, " \t");
        if (starts(p, "*/")) {
            p += 2;
        } else if (starts(p, "/*!")) {
            p += 3 + strspn(p + 3, "0123456789");
        } else if (starts(p, "/*")) {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

/* Behind a name in any quotes. */
static const char *name_end(const char *p)
{
    char quote = *p;
    if (quote != '`' && quote != '"' && quote != '\'')
        return p + strcspn(p, " \t@*/");
    for (p++; *p; p++) {
        if (*p == quote && p[1] != quote)
            return p + 1;
        p += *p == quote;
    }
    return p;
}

/* Behind this word, if it is the next one. Triggers stand as they were written, in any case. */
static bool word(const char **at, const char *word)
{
    size_t n = strlen(word);
    if (strncasecmp(*at, word, n) != 0 || ((*at)[n] && !strchr(" \t*/", (*at)[n])))
        return false;
    *at = code(*at + n);
    return true;
}

/* Counts what the statement in head makes. False: that stands on a line that is still to come. */
static bool made(struct my_scan *s)
{
    const char *p = code(s->head);
    if (!word(&p, "CREATE"))
        return *p || !*s->head;
    if (word(&p, "OR"))
        (void)word(&p, "REPLACE");
    if (strncasecmp(p, "DEFINER=", 8) == 0) {
        p = name_end(p + 8);
        p = code(*p == '@' ? name_end(p + 1) : p);
    }
    (void)word(&p, "AGGREGATE");
    bool known = *p != '\0';
    s->made.triggers += word(&p, "TRIGGER");
    s->made.events += word(&p, "EVENT");
    s->made.routines += word(&p, "FUNCTION") || word(&p, "PROCEDURE") || word(&p, "PACKAGE");
    return known;
}

static void body_byte(struct my_scan *s, char c)
{
    if (c != '\n') {
        keep(s, c);
        if (c != ' ' && c != '\r') {
            s->last[0] = s->last[1];
            s->last[1] = c;
        }
        return;
    }
    bool done = s->last[0] == ';' && s->last[1] == ';';
    if (starts(s->head, "DELIMITER ")) {
        if (strcmp(s->head, "DELIMITER ;") == 0)
            idle(s);
        else
            go(s, BODY);
        s->fresh = true;
    } else if (s->fresh && !made(s) && !done && s->n_head + 1 < sizeof(s->head)) {
        keep(s, ' ');
    } else {
        go(s, BODY);
        s->fresh = done;
    }
}

/* ---- feeding --------------------------------------------------------------------------------- */

static void idle_byte(struct my_scan *s, char c)
{
    if (strchr(" \t\r\n;", c) && c)
        return;
    s->state = HEAD;
}

/* One byte; whether it was taken: else it is for the state that is now. */
static int step(struct my_scan *s, char c, bool *taken)
{
    *taken = true;
    switch (s->state) {
    case IDLE:
        idle_byte(s, c);
        *taken = s->state == IDLE;
        break;
    case HEAD:
        *taken = head_byte(s, c);
        if (s->complete && (s->state == SKIP || s->state == NAME || s->state == BODY))
            s->behind = true;
        break;
    case NAME:
        return name_byte(s, c, taken);
    case COLUMNS:
        columns_byte(s, c);
        break;
    case SKIP:
        skip_byte(s, c);
        break;
    case COMMENT:
        if (c != '\n')
            keep(s, c);
        else
            comment_line(s);
        break;
    case BLOCK:
        block_byte(s, c);
        break;
    default:
        body_byte(s, c);
    }
    return BAKE_OK;
}

static size_t values(struct my_scan *s, const char *data, size_t n)
{
    bool ended = false;
    uint64_t rows = 0;
    size_t took = my_scan_values(&s->values, data, n, &rows, &ended);
    s->rows += rows;
    if (s->table)
        s->table->rows += rows;
    if (ended)
        idle(s);
    return took;
}

int my_scan_feed(struct my_scan *s, const void *data, size_t n)
{
    const char *p = data;
    for (size_t at = 0; at < n;) {
        if (s->state == VALUES) {
            at += values(s, p + at, n - at);
            continue;
        }
        bool taken = false;
        if (step(s, p[at], &taken) != BAKE_OK)
            return BAKE_E_NOMEM;
        at += taken;
    }
    return BAKE_OK;
}

int my_scan_end(struct my_scan *s, const char **ret_why)
{
    if (s->state == COMMENT)
        comment_line(s);
    if (s->state == BODY && strcmp(s->head, "DELIMITER ;") == 0)
        idle(s);
    my_scan_set_sort(&s->set);
    s->table = NULL;
    *ret_why = s->state != IDLE ? "it ends in the middle of a statement"
               : !s->complete   ? "its end marker ('-- Dump completed') is missing"
               : s->behind      ? "statements stand behind its end"
                                : NULL;
    return *ret_why ? BAKE_E_CORRUPT : BAKE_OK;
}

/* ---- what was found -------------------------------------------------------------------------- */

size_t my_scan_tables(const struct my_scan *s, const struct my_scan_table **ret)
{
    *ret = s->set.items;
    return s->set.n;
}

uint64_t my_scan_rows(const struct my_scan *s) { return s->rows; }

bool my_scan_sandboxed(const struct my_scan *s) { return s->sandbox; }

void my_scan_made(const struct my_scan *s, struct my_scan_made *ret) { *ret = s->made; }

const char *my_scan_binlog(const struct my_scan *s, uint64_t *ret_position)
{
    *ret_position = s->position;
    return s->file;
}

const char *my_scan_gtid(const struct my_scan *s) { return s->gtid; }

int my_scan_facts(const struct my_scan *s, void *json)
{
    bool bad = json_object_set_new(json, "rows", json_integer((json_int_t)s->rows)) != 0;
    if (s->set.beyond)
        return bad || json_object_set_new(json, "tables_total",
                                          json_integer((json_int_t)(s->set.n + s->set.beyond)))
                   ? BAKE_E_NOMEM
                   : BAKE_OK;
    json_t *tables = json_object();
    for (size_t i = 0; i < s->set.n && !bad && tables; i++) {
        json_t *rows = json_integer((json_int_t)s->set.items[i].rows);
        /* a name that is no UTF-8 cannot be named */
        if (json_object_set_new(tables, s->set.items[i].name, rows) != 0)
            bad = !rows;
    }
    return bad || json_object_set_new(json, "tables", tables) != 0 ? BAKE_E_NOMEM : BAKE_OK;
}
