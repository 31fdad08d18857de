/* Accounts, roles and what they may do, as statements. */
#ifndef MY_USERS_H
#define MY_USERS_H

#include "ops.h"

#define MY_USERS_END "-- bakengine: end"

int my_users_open(struct my_source *src, struct bake_ctx *ctx, struct my_reader **ret);

/* The statement that gives what a line of SHOW GRANTS tells of, without the password in it:
 * `grantee` is as in that line. "" when it is of another grantee (of a role's roles). To be freed;
 * NULL: out of memory. Pure. */
char *my_users_grant(const char *line, const char *grantee);

#endif
