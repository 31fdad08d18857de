/* The steps of a restore between the engine's calls. */
#ifndef DOCKER_RESTORE_FLOW_H
#define DOCKER_RESTORE_FLOW_H

#include "restore_impl.h"

/* Starts the servers whose dumps come next and waits until they answer (restore_base.c). */
int rs_databases_up(struct dk_restore *r, struct bake_ctx *ctx);

/* Makes what the definition has and the host lacks, and prepares the rest (restore_define.c). */
int rs_define(struct dk_restore *r, struct bake_ctx *ctx);
/* The definition's text as it came, checked and, if need be, renamed. */
int rs_define_read(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p);

#endif
