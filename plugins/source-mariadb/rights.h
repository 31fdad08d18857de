/* What the user may do, by SHOW GRANTS: with too few rights the server shows less instead of
 * refusing, and a dump would lack what belongs into it. */
#ifndef MY_RIGHTS_H
#define MY_RIGHTS_H

#include "conn.h"

/* Fails (BAKE_E_AUTH) when a right is missing without which a dump of the database would silently
 * be incomplete. */
int my_rights_check(struct my_conn *c, const struct my_config *cfg, const char *database);

/* Does this line of SHOW GRANTS give the right on the whole database? Pure. */
bool my_grant_covers(const char *line, const char *right, const char *database);

#endif
