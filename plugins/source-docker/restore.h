/* Restoring stacks: staging, switching, loading dumps, starting, and undoing all of it. */
#ifndef DOCKER_RESTORE_H
#define DOCKER_RESTORE_H

#include "model.h"

/* The operations, as in struct bake_source_ops. */
int dk_restore_begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                     const char *group, const struct bake_component *const *chosen, size_t n,
                     uint32_t *ret_stage);
int dk_switch_group(void *self, struct bake_ctx *ctx, const char *group);
int dk_restore_end(void *self, struct bake_ctx *ctx, const char *group, int good,
                   struct bake_result *ret);
int dk_undo_group(void *self, struct bake_ctx *ctx, const char *group);

int dk_writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                   const struct bake_restore *how, void **ret_writer);
int dk_put_entry(void *writer, const struct bake_entry *entry);
int dk_write(void *writer, struct bake_in *in);
int dk_entry_end(void *writer, int good);
int dk_commit(void *writer);
void dk_writer_close(void *writer);

/* {"kind": "restore"} of dk_redeem(), and what dk_tidy() does of it: previous states whose time is
 * over go. */
int dk_restore_redeem(struct dk_source *s, struct bake_ctx *ctx, const json_t *what);
int dk_restore_tidy(struct dk_source *s, struct bake_ctx *ctx);
void dk_restores_free(struct dk_source *s); /* at close */

#endif
