/* By what a database without writes since the last backup is known. */
#ifndef PG_FINGERPRINT_H
#define PG_FINGERPRINT_H

#include "catalog.h"

/* Sets `fingerprint` of each database of the list for which it can be relied on. Only trouble that
 * ends everything is returned; c is connected to the maintenance database. */
int pg_fingerprints(struct pg_conn *c, const struct pg_config *cfg, struct pg_list *l);

#endif
