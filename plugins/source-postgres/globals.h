/* Roles and tablespaces: how pg_dumpall is asked for them. */
#ifndef PG_GLOBALS_H
#define PG_GLOBALS_H

#include "tools.h"

/* May the user read the roles' passwords? If not, that is reported. */
int pg_globals_secrets(struct bake_ctx *ctx, const struct pg_config *cfg, bool *ret);
void pg_globals_args(struct pg_call *call, const struct pg_config *cfg, bool secrets);

#endif
