/* Directories whose content is replaced by a restore: the new content is staged beside the old one,
 * taken into use in one step, and the old one kept until it is dropped. */
#ifndef DOCKER_PLACE_H
#define DOCKER_PLACE_H

#include "model.h"

struct dk_place;

struct dk_place_spec {                    /* which directory; borrowed */
    const struct dk_container *container; /* exists, may never have been started; NULL: a volume */
    const char *path;                     /* in the container */
    const char *volume;                   /* without a container: the volume's root */
    const char *backup;                   /* the backup's id, for the labels of what is kept */
    bool empty; /* nothing will be put: a database's directory, which its image fills again */
    /* Called, if not NULL, when all is named that will be made, and before it is: promises what it
     * is given, so that nothing is left of a process that is killed. Its failure is open's. */
    int (*promise)(void *arg, struct bake_ctx *ctx, const json_t *place);
    void *arg;
};

/* Finds out how (an exchange of two directories where both lie on one file system and can be
 * reached, by us or by a helper container; else copies through the daemon) and makes the staging
 * area. Says what it lacks room for before anything is written: bytes is what will be put. A
 * process that is killed from here on leaves the staging area: dk_place_undo() by the JSON removes
 * it (also by that which spec->promise was given), and dk_place_tidy() does where it is a volume
 * (of a bind mount it is a directory beside the mounted one). No place may lie within another that
 * is open. */
int dk_place_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  uint64_t bytes, struct dk_place **ret);
/* As bake_source_ops. Nothing outside of the staging area is touched. */
int dk_place_put(struct dk_place *p, struct bake_ctx *ctx, const struct bake_entry *entry);
int dk_place_write(struct dk_place *p, struct bake_in *in);
int dk_place_entry_end(struct dk_place *p, int good);
/* All is there: durable, times and modes set. ctx is the one of dk_place_put(). */
int dk_place_staged(struct dk_place *p, struct bake_ctx *ctx);
/* The writer ends without dk_place_staged(): its ctx is not used any more. What was staged stays
 * until dk_place_close(), but cannot be switched. */
void dk_place_abort(struct dk_place *p);
/* How it is done, in words for facts and messages (static): "exchange", "exchange by a helper
 * container" or "copy". */
const char *dk_place_way(const struct dk_place *p);

/* Everything that uses the directory is stopped. Before it acts, dk_place_json() must have been
 * promised (hold.h): undo works from it alone, in another process, at any step. */
int dk_place_switch(struct dk_place *p, struct bake_ctx *ctx);
json_t *dk_place_json(const struct dk_place *p); /* a new reference; NULL: out of memory */
/* Removes the staging area, unless dk_place_switch() was called: then what is left is undone or
 * dropped by the JSON, whatever that call returned. ctx: not cancelled. NULL is fine. */
void dk_place_close(struct dk_place *p, struct bake_ctx *ctx);

/* By its JSON: puts the old content back if the switch was done or begun (idempotent), removing
 * what was staged; or forgets the old content. */
int dk_place_undo(struct dk_source *s, struct bake_ctx *ctx, const json_t *place);
int dk_place_drop(struct dk_source *s, struct bake_ctx *ctx, const json_t *place);

/* Removes staging volumes and helper containers of processes of this machine that are dead. What
 * was switched is never touched, nor what the labels of a promise or of kept states name. */
int dk_place_tidy(struct dk_source *s, struct bake_ctx *ctx);

#endif
