/* <stack>/definition.json: a stack's containers, networks and volumes, as they are made again from
 * when they are gone. It holds the containers' environment, so its content is as secret as a dump.
 */
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

/* ---- the document (definition_doc.c) -----------------------------------------------------------
 * {"version": 1, "stack": S, "compose": true,
 *  "containers": {NAME: {"service", "number", "image", "image_id", "config", "host_config",
 *                        "networks": {NETWORK: {...}}}},
 *  "networks": {NAME: {"own": true, "create": {...}}},   own: made by Compose for this stack
 *  "volumes": {NAME: {"own": true, "create": {...}}},
 *  "images": {NAME: {"id", "digests"}}}
 * The results are new references; NULL: out of memory, or text that is not UTF-8. */

json_t *dk_def_container(const struct dk_world *w, const struct dk_container *c);
json_t *dk_def_network(const json_t *inspect, const char *stack);
json_t *dk_def_volume(const json_t *inspect, const char *stack);
/* The names of volumes and networks that a container (as dk_def_container() made it) needs, as keys
 * of these objects. */
int dk_def_needs(const json_t *container, json_t *volumes, json_t *networks);
/* Is it whole, as far as it is used? NULL: yes; else what is wrong (static). */
const char *dk_def_check(const json_t *def);

/* ---- under another name (definition_map.c) -----------------------------------------------------
 */

/* "shop_uploads" of "shop" for "test": "test_uploads"; "other": "test_other". The caller's. */
char *dk_def_new_name(const char *stack, const char *to, const char *name);
/* What was left out, and why there is no copy. */
struct dk_renamed {
    size_t ports, addresses; /* containers that had them */
    char *elsewhere; /* a volume whose options say where its data are: a second one of these options
                        would be the same data. The caller's */
};
/* A copy of the document for another stack: names and labels are changed, published ports and fixed
 * addresses left out. NULL: out of memory, or ret->elsewhere. */
json_t *dk_def_rename(const json_t *def, const char *to, struct dk_renamed *ret);

/* ---- making it again (definition_make.c) -------------------------------------------------------
 */

struct dk_made { /* what is to be known of an object that is made, before and after */
    /* Called before it is made with id NULL and once it is, so that it can be promised. kind:
     * "containers", "networks" or "volumes". */
    int (*note)(void *arg, struct bake_ctx *ctx, const char *kind, const char *name,
                const char *id);
    void *arg;
};

/* Makes what of the document is missing; nothing is started. Everything that can be checked is
 * checked before the first object is made: images, names that others have, bind mounts' sources
 * (where the daemon's host is ours; force: they may be missing). *ret_made: how many. */
int dk_def_make(struct dk_source *s, struct bake_ctx *ctx, const json_t *def,
                const struct dk_world *w, bool force, const struct dk_made *made, size_t *ret_made);

#endif
