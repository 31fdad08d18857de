/* The source's table of operations, and what checks its options. */
#ifndef DOCKER_OPS_H
#define DOCKER_OPS_H

#include "docker.h"

extern const struct bake_source_ops dk_source_ops;

int dk_validate(struct bake_ctx *ctx, const void *cfg); /* no I/O */
int dk_probe(struct bake_ctx *ctx, const void *cfg);    /* connects */

/* One source as an operation gets it. dk_source_new() connects and finds out where it is;
 * world and registers are empty. */
int dk_source_new(struct bake_ctx *ctx, const void *cfg, const char *host, struct dk_source **ret);
void dk_source_free(struct dk_source *s); /* NULL is fine */

#endif
