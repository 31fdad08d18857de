/* Looks into an xbstream (what mariadb-backup --stream=xbstream writes) as it goes by. Takes any
 * bytes in any pieces. Pure: no I/O. One thread. */
#ifndef MY_XB_H
#define MY_XB_H

#include "options.h"

struct my_xb;

/* sums: data are compared with their checksums, too. */
int my_xb_new(bool sums, struct my_xb **ret);
void my_xb_free(struct my_xb *x);
int my_xb_feed(struct my_xb *x, const void *data, size_t n); /* OK, BAKE_E_NOMEM, BAKE_E_CORRUPT */
/* After the last byte: each file is there up to its end, and so is what a backup is known by. */
int my_xb_end(struct my_xb *x);
const char *my_xb_why(const struct my_xb *x); /* after BAKE_E_CORRUPT */
uint64_t my_xb_files(const struct my_xb *x);
uint64_t my_xb_bytes(const struct my_xb *x); /* of their data */

#endif
