/* Inside the exchange of databases. */
#ifndef MY_RESTORE_SWITCH_H
#define MY_RESTORE_SWITCH_H

#include "restore.h"

struct my_sql { /* a statement that grows */
    char *text;
    size_t n, cap;
    bool failed;
};
BAKE_PRINTF(2, 3) void my_sql(struct my_sql *s, const char *fmt, ...);

/* Up to that phase it got: all is as it was, or (MY_DONE) as it is to be; nothing of ours stays. */
int my_swap_back(struct my_restore *r, struct my_conn *c, enum my_phase phase);

#endif
