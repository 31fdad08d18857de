/* Looks into a dump as it goes by: rows of every table, whether it is whole. Takes any bytes in any
 * pieces (a hostile dump too), in bounded memory. Pure: no I/O. One thread. */
#ifndef PG_SCAN_H
#define PG_SCAN_H

#include "options.h"

#define PG_SCAN_TABLES 20000 /* more are only summed up */

struct pg_scan;

struct pg_scan_table {
    const char *schema, *name; /* unquoted */
    uint64_t rows;
};

/* format: enum pg_format. Plain: statements `COPY schema.table (...) FROM stdin;` up to `\.`; the
 * end marker `-- PostgreSQL database dump complete` (pg_dumpall: `-- PostgreSQL database cluster
 * dump complete`), after it only \unrestrict and empty lines. Custom (versions 1.14 to 1.16 of the
 * archive format; src/bin/pg_dump/pg_backup_archiver.h): header, table of contents, every data
 * block to its end, each item that has data is there. */
int pg_scan_new(int format, struct pg_scan **ret);
void pg_scan_free(struct pg_scan *s);
int pg_scan_feed(struct pg_scan *s, const void *data, size_t n); /* OK, BAKE_E_NOMEM */
/* After the last byte. OK; BAKE_E_CORRUPT: *ret_why says what is wrong, as a static text or one
 * that lives as long as s. */
int pg_scan_end(struct pg_scan *s, const char **ret_why);
size_t pg_scan_tables(const struct pg_scan *s, const struct pg_scan_table **ret); /* sorted */
uint64_t pg_scan_rows(const struct pg_scan *s);
uint64_t pg_scan_large_objects(const struct pg_scan *s);
bool pg_scan_counted(const struct pg_scan *s); /* false: the format's version is not known */
/* Plain: in what was fed so far there is a command of psql ("\\! rm ...") that pg_dump never
 * writes: it must not come to psql. Known before the line's end. */
bool pg_scan_commands(const struct pg_scan *s);
/* A table's name in facts: "schema.table"; a part with a '.' or '"' in it is quoted as an
 * identifier is. To be freed; NULL: out of memory. */
char *pg_scan_key(const char *schema, const char *name);
/* {"tables": {...}, "rows": n, "large_objects": n} or {"tables_total": n, "rows": n}, merged into
 * an object of facts (a json_t *, as void here). */
int pg_scan_facts(const struct pg_scan *s, void *json);

#endif
