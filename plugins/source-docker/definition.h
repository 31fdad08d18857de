/* <stack>/definition.json: a stack's containers, networks and volumes, as they are made again from
 * when they are gone. It holds the containers' environment, so its content is as secret as a dump. */
#ifndef DOCKER_DEFINITION_H
#define DOCKER_DEFINITION_H

#include "model.h"

/* A reader of DK_DEFINITION: one blob, as dump.h's. */
struct dk_define;
int dk_define_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                   struct dk_define **ret);
int dk_define_read(struct dk_define *d, struct bake_out *out);
int dk_define_finish(struct dk_define *d, struct bake_result *ret);
void dk_define_close(struct dk_define *d);

#endif
