/* The parts of the scanner. */
#ifndef PG_SCAN_IMPL_H
#define PG_SCAN_IMPL_H

#include "scan.h"

/* ---- rows of COPY data: a line each, up to "\." ---------------------------------------------- */

struct pg_rows {
    int at; /* in the line */
    uint64_t n;
};

/* Returns how many bytes it took; *ret_end: the end marker was the last of them. */
size_t pg_rows_feed(struct pg_rows *r, const char *data, size_t n, bool *ret_end);

/* ---- a statement of SQL as it goes by -------------------------------------------------------- */

#define PG_HEAD 1200 /* "COPY " and two names of 63 bytes, quoted at worst, are in it */
#define PG_TAIL 16

struct pg_head {
    char text[PG_HEAD], tail[PG_TAIL]; /* its first bytes, its last */
    size_t n, n_tail;
    size_t at_schema, n_schema, at_name, n_name; /* in text, unquoted */
};

void pg_head_keep(struct pg_head *h, const char *s, size_t n); /* the next bytes of it */
bool pg_head_begins(const struct pg_head *h, const char *with);
bool pg_head_ends(const struct pg_head *h, const char *with);
/* Of "COPY schema.table (...": which one; unquotes in text. False: it is not of this form. */
bool pg_head_table(struct pg_head *h);

/* ---- names of tables ------------------------------------------------------------------------- */

struct pg_tables {
    struct pg_scan_table *items; /* up to PG_SCAN_TABLES */
    size_t n, cap;
    uint64_t seen, rows;
};

/* Texts need no NUL at their end. OK or BAKE_E_NOMEM. */
int pg_tables_add(struct pg_tables *t, const char *schema, size_t n_schema, const char *name,
                  size_t n_name, uint64_t rows);
void pg_tables_sort(struct pg_tables *t); /* and adds up what is there twice */
void pg_tables_free(struct pg_tables *t);

/* ---- the formats ----------------------------------------------------------------------------- */

struct pg_found {
    struct pg_tables tables;
    uint64_t large_objects;
    bool command;  /* one of psql's that pg_dump never writes */
    char why[256]; /* of what is not whole */
};

struct pg_plain;
struct pg_plain *pg_plain_new(struct pg_found *found);
void pg_plain_free(struct pg_plain *p);
int pg_plain_feed(struct pg_plain *p, const char *data, size_t n);
int pg_plain_end(struct pg_plain *p); /* OK, or BAKE_E_CORRUPT with found->why */

struct pg_custom;
struct pg_custom *pg_custom_new(struct pg_found *found);
void pg_custom_free(struct pg_custom *c);
int pg_custom_feed(struct pg_custom *c, const char *data, size_t n);
int pg_custom_end(struct pg_custom *c);
bool pg_custom_counted(const struct pg_custom *c);

#endif
