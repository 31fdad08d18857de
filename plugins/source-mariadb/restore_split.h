/* Takes a dump apart as it goes by: tables with their rows at once; views, triggers, routines and
 * events for later, when all that they name is in place. Pure: no I/O. One thread. */
#ifndef MY_RESTORE_SPLIT_H
#define MY_RESTORE_SPLIT_H

#include "options.h"

struct my_piece {
    uint64_t line; /* of the dump: where it begins */
    size_t at, lines;
};
struct my_script { /* statements for the `mariadb` client */
    char *data;
    size_t n, cap;
    struct my_piece *pieces;
    size_t n_pieces;
};
void my_script_release(struct my_script *s);
/* The dump's line of a line of the script (from 1). */
uint64_t my_script_line(const struct my_script *s, uint64_t line);
int my_script_add(struct my_script *s, const char *data, size_t n, uint64_t line);

struct my_split;
typedef int (*my_split_out)(void *arg, const void *data, size_t n);

/* wanted NULL: all tables; else only those it says yes to, and of what is held back only their
 * triggers. out gets a line for each line of the dump. */
int my_split_new(bool (*wanted)(void *arg, const char *table), my_split_out out, void *arg,
                 struct my_split **ret);
/* OK, BAKE_E_NOMEM, or what out returned. */
int my_split_feed(struct my_split *s, const void *data, size_t n);
/* After the last byte. BAKE_E_CORRUPT: the end marker is missing. */
int my_split_end(struct my_split *s);
struct my_script *my_split_extras(struct my_split *s);
struct my_script *my_split_events(struct my_split *s);
/* How the statement on that line begins, without values; "" if that is not known any more. */
const char *my_split_statement(const struct my_split *s, uint64_t line);
void my_split_free(struct my_split *s);

#endif
