/* Looks into a dump as it goes by: rows of every table, whether it is whole, the binlog's position.
 * Takes any bytes in any pieces (a hostile dump too), in bounded memory. Pure: no I/O. One thread.
 */
#ifndef MY_SCAN_H
#define MY_SCAN_H

#include "options.h"

#define MY_SCAN_TABLES 20000 /* more are only summed up */

struct my_scan;

struct my_scan_table {
    const char *name; /* unquoted */
    uint64_t rows;
    bool data; /* its rows were dumped, though there may be none */
};

struct my_scan_made {                    /* what the dump makes beside tables */
    uint64_t routines, events, triggers; /* packages and their bodies are routines */
};

/* Counts the tuples of `INSERT INTO `t` VALUES (...),(...);` outside of strings; knows the end
 * marker `-- Dump completed` (and `-- bakengine: end` of users.sql), the sandbox line, and CHANGE
 * MASTER TO comments. */
int my_scan_new(struct my_scan **ret);
void my_scan_free(struct my_scan *s);
int my_scan_feed(struct my_scan *s, const void *data, size_t n); /* OK, BAKE_E_NOMEM */
/* After the last byte. OK; BAKE_E_CORRUPT with *ret_why, a static text. */
int my_scan_end(struct my_scan *s, const char **ret_why);
size_t my_scan_tables(const struct my_scan *s, const struct my_scan_table **ret); /* sorted */
uint64_t my_scan_rows(const struct my_scan *s);
bool my_scan_sandboxed(const struct my_scan *s); /* clients before 2024 cannot load it */
void my_scan_made(const struct my_scan *s, struct my_scan_made *ret);
/* "" when there is none. */
const char *my_scan_binlog(const struct my_scan *s, uint64_t *ret_position);
const char *my_scan_gtid(const struct my_scan *s);
/* {"tables": {...}, "rows": n} or {"tables_total": n, "rows": n}, into an object (a json_t *). */
int my_scan_facts(const struct my_scan *s, void *json);

#endif
