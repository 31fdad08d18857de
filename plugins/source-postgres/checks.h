/* The statements of the option `check`, which a drill runs in a throw-away server. */
#ifndef PG_CHECKS_H
#define PG_CHECKS_H

#include "conn.h"

/* "DATABASE: SELECT ...": *ret_statement points into text, the database is to be freed. False: it
 * is not of that form, or there is no memory. */
bool pg_check_parts(const char *text, char **ret_database, const char **ret_statement);
/* Runs all of them. list: a json_t array, that {"statement","ok"[,"error"]} are added to.
 * BAKE_E_CORRUPT: at least one did not hold; the failure names the first. */
int pg_checks_run(struct bake_ctx *ctx, const struct pg_config *cfg, const struct pg_place *place,
                  void *list);

#endif
