/* The inside of discovery: from what the daemon says to containers, wishes of labels, components.
 */
#ifndef DOCKER_DISCOVER_H
#define DOCKER_DISCOVER_H

#include "model.h"

#include <stdarg.h>

/* What one container's labels ask for (labels.c). */
struct dk_wished_path {
    char *label; /* as it stands on the container, for messages */
    char *name;  /* the last part of the component's name */
    char *path;  /* absolute and normal */
};

struct dk_wish {
    struct dk_wished_path *paths;
    size_t n_paths;
    bool pg, maria;
    char *db_service; /* the old backup.db.service; or NULL */
};

/* quiet: nothing is reported, because plan() has done so already. */
int dk_labels_read(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_container *c,
                   bool quiet, struct dk_wish *ret);
void dk_wish_release(struct dk_wish *w);
/* enabled: the container asks to be backed up. */
bool dk_labels_enabled(struct bake_ctx *ctx, const struct dk_container *c, bool quiet);
/* The container's own label, else the option. */
enum dk_consistency dk_labels_consistency(struct bake_ctx *ctx, const struct dk_config *cfg,
                                          const struct dk_container *c, bool quiet);

/* What a world is built of; all borrowed. The pure part of discovery: no daemon is asked. */
struct dk_seen {
    const json_t *containers; /* array of inspections */
    const json_t *volumes;    /* array as in GET /volumes; or NULL */
    const char *engine, *arch;
    const char *own; /* our own container's id, or NULL */
    bool quiet;
};
int dk_world_build(struct bake_ctx *ctx, const struct dk_config *cfg, const struct dk_seen *seen,
                   struct dk_world **ret);
/* As dk_discover(), but says nothing: for a second look. */
int dk_discover_quietly(struct dk_source *s, struct bake_ctx *ctx, struct dk_world **ret);

/* ---- the steps of it ------------------------------------------------------------------------- */

struct dk_build {
    struct bake_ctx *ctx;
    const struct dk_config *cfg;
    const struct dk_seen *seen;
    struct dk_world *world;
    struct dk_wish *wishes; /* one per container */
    size_t cap;             /* of world->items */
};

int dk_build_containers(struct dk_build *b);
int dk_build_items(struct dk_build *b);
int dk_build_volumes(struct dk_build *b);
bool dk_stack_wanted(const struct dk_config *cfg, const char *stack);
/* Takes the strings of item whatever happens. who: names whoever asks for it, in messages. A name
 * that is taken, or lies above or beneath one, is reported and left out. */
int dk_build_add(struct dk_build *b, struct dk_item *item, const char *who);
int dk_build_facts(struct dk_build *b, struct dk_item *item);
const json_t *dk_volume_json(const json_t *volumes, const char *name); /* NULL: unknown */

/* Do two mounts show (parts of) the same files? */
bool dk_mounts_touch(const struct dk_mount *a, const struct dk_mount *b);
/* Its image or environment says that it is a database. */
bool dk_is_database(const struct dk_container *c);
bool dk_is_maria(const struct dk_container *c);
/* Sorts so that whoever depends on another comes before it. */
void dk_stop_order(const struct dk_container **list, size_t n);
/* Must it run or stand together with the other because it lives in its namespaces? */
bool dk_lives_in(const struct dk_container *c, const struct dk_container *other);

/* ---- text ------------------------------------------------------------------------------------ */

char *dk_strf(const char *fmt, ...) BAKE_PRINTF(1, 2); /* NULL: out of memory */
/* May stand as a part of a component's name: what may not becomes '_'. */
char *dk_safe_name(const char *text);
/* NULL: *ret is the path, normal; else what is wrong with it (static), *ret NULL. Out of memory:
 * both NULL. */
const char *dk_path_normal(const char *path, char **ret);
bool dk_globs_match(const char *const *globs, const char *name); /* or a folder above it */
const char *dk_json_text(const json_t *object, const char *key); /* "" when it is not there */

#endif
