/* What the files of the restore flow share: one group that is being restored. */
#ifndef DOCKER_RESTORE_IMPL_H
#define DOCKER_RESTORE_IMPL_H

#include "api.h"
#include "dump.h"
#include "hold.h"
#include "model.h"
#include "place.h"
#include "restore.h"

/* In this order; what is not there is left out of the engine's stages. */
enum rs_step { RS_DEFINE = 0, RS_FILL = 1, RS_LOAD = 2, RS_STEPS = 3 };

enum rs_found {
    RS_NOT_YET = 0,
    RS_HERE,   /* it goes to container and path, or to a volume */
    RS_ALONE,  /* its service is gone, its volume is restored by the recorded name */
    RS_WITHIN, /* another chosen component holds the same directory, or one above it; or it is not
                * needed */
    RS_GONE,   /* there is no place for it any more */
};

struct rs_part { /* one chosen component */
    char *name;
    enum dk_kind kind;
    bool known;            /* the name is one of ours: kind, service and label hold something */
    char *service, *label; /* label: of a path or a volume; "" where there is none */
    uint64_t bytes;
    json_t *facts; /* as recorded; NULL: none */
    uint32_t stage;
    enum rs_found found;
    const struct dk_container *container; /* of the world */
    char *path, *volume;
    char why[200];          /* RS_GONE, RS_WITHIN: words for people */
    struct dk_place *place; /* trees, RS_HERE and RS_ALONE */
    struct rs_files *files; /* DK_CONFIG */
    char *key;              /* rs_key() of the place */
    bool into_running;      /* dumps: into the server as it runs, without undo */
    bool opened, staged;    /* by writers; staged: all is there */
    char *text;             /* DK_DEFINITION: as it was written */
    size_t size;
};

struct rs_spot { /* a directory that is replaced */
    char *key;
    struct dk_place *place;
    const struct rs_part *part; /* whose content; of a database's directory: whose dump */
    bool emptied;               /* a database's directory */
};

struct rs_box { /* a container that must not run meanwhile, in the order to stop them */
    const struct dk_container *c;
    bool ran, paused;      /* before */
    bool ours;             /* of the stack that is restored */
    bool stopped, started; /* by us */
    char *started_at;      /* of the run that is ended */
    char *finished_at;     /* once stopped */
};

struct dk_restore {
    struct dk_restore *next; /* of dk_source.restores */
    struct dk_source *s;
    char *group, *stack, *as, *backup; /* as: where it goes; the stack itself, if not renamed */
    uint32_t flags;
    bool force, renamed;
    struct rs_part *parts;
    size_t n_parts;
    bool has[RS_STEPS];
    enum rs_step at;       /* whose components are written now */
    pthread_mutex_t *lock; /* over ready and broken: writers come side by side */
    bool ready;            /* places are known and open */
    int broken;            /* that failed */
    bool looked;           /* it is known where components go */
    bool used;             /* new content was taken into use, or that was begun */
    json_t *definition;
    json_t *made; /* {"containers": {NAME: ID or null}, "networks": .., "volumes": ..} */
    struct dk_world *worlds[2]; /* the newer one last; both live until the end */
    size_t n_worlds;
    struct rs_spot *spots;
    size_t n_spots;
    struct rs_box *boxes;
    size_t n_boxes;
    struct dk_promise promise;
    const json_t *opening; /* a place that is being made, while that is promised; or NULL */
    bool promised;
    const char *phase; /* static; as promised last */
    char *kept;        /* name of the index volume */
    double stopped_at, stopped_seconds;
    char *facts; /* of its end; lives until the source is closed */
};

static inline const struct dk_world *rs_world(const struct dk_restore *r)
{
    return r->n_worlds ? r->worlds[r->n_worlds - 1] : NULL;
}

/* ---- restore_part.c: names and stages; no daemon ----------------------------------------------
 */

int rs_part_init(struct rs_part *p, const struct bake_component *c, const char *group);
void rs_part_release(struct rs_part *p, struct bake_ctx *ctx);
/* Fills every part's stage, and has[]. */
void rs_stages(struct rs_part *parts, size_t n, bool has[RS_STEPS]);
const char *rs_fact(const struct rs_part *p, const char *key); /* a text or NULL */
const char *rs_fact_of_mount(const struct rs_part *p, const char *key);
struct rs_part *rs_part_named(struct dk_restore *r, const char *name);

/* ---- restore_find.c: where components go; no daemon -------------------------------------------
 */

/* "v:shop_uploads/sub", "b:/srv/data", "c:<id>/path": one text for one directory, whatever way it
 * is named. The caller's; NULL: out of memory. */
char *rs_key(const struct dk_container *c, const char *path, const char *volume);
bool rs_within(const char *inner, const char *outer);          /* the same, or below it */
bool rs_mounts(const struct dk_container *c, const char *key); /* does it see that directory? */
const struct dk_container *rs_service(const struct dk_world *w, const char *stack,
                                      const char *service);
/* Sets found, container, path, volume, key and why of every part but the definition. */
int rs_find(struct dk_restore *r, struct bake_ctx *ctx);

/* ---- restore_check.c: is it fit? --------------------------------------------------------------
 */

int rs_check_facts(struct dk_restore *r, struct bake_ctx *ctx);
/* "15.8" against "14.2": by what a dump needs. Negative: have is lower, 0: as good, positive. */
int rs_compare_versions(enum dk_kind kind, const char *have, const char *recorded);
int rs_check_server(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p);

/* ---- restore_prepare.c: from a choice to open places ------------------------------------------
 */

/* Where components go, and whether they can; changes nothing (a dry run begins, too). */
int rs_look(struct dk_restore *r, struct bake_ctx *ctx);
/* Makes what staging needs; the first to ask does it. */
int rs_prepare(struct dk_restore *r, struct bake_ctx *ctx);

/* ---- restore_boxes.c: containers --------------------------------------------------------------
 */

/* Those of the stack, and others that run and see one of the directories (keys). */
int rs_boxes_find(struct bake_ctx *ctx, const struct dk_world *w, const char *stack,
                  const char *const *keys, size_t n_keys, struct rs_box **ret, size_t *ret_n);
void rs_boxes_free(struct rs_box *boxes, size_t n);
struct rs_box *rs_box_of(struct dk_restore *r, const struct dk_container *c);
int rs_stop_all(struct dk_restore *r, struct bake_ctx *ctx);
/* Starts one, having promised that it was us. */
int rs_start_box(struct dk_restore *r, struct bake_ctx *ctx, struct rs_box *b);
bool rs_shall_run(const struct dk_restore *r, const struct rs_box *b); /* at a good end */
/* At the good end: runs what shall run, stops what shall not, asks for their health. */
int rs_run_stack(struct dk_restore *r, struct bake_ctx *ctx);
/* State of a container as the daemon says it now. BAKE_END: it is gone. */
struct rs_state {
    bool running, paused, restarting; /* restarting: it ended, and will be started again */
    int64_t exit_code, restarts;      /* restarts: by the daemon, since it was started last */
    char started_at[64], finished_at[64];
};
int rs_state(struct dk_source *s, struct bake_ctx *ctx, const char *id, struct rs_state *ret);

/* ---- restore_promise.c: what is undone if we die ----------------------------------------------
 */

/* Promises the whole anew; phase: "staging" (nothing outside of staging areas was changed),
 * "stopping", "switching", "loading", "starting". */
int rs_promise(struct dk_restore *r, struct bake_ctx *ctx, const char *phase);
void rs_promise_done(struct dk_restore *r, struct bake_ctx *ctx);
json_t *rs_document(const struct dk_restore *r, const char *phase);

/* ---- restore_undo.c: from a promise's document alone ------------------------------------------
 */

/* dead: who promised is no more; then only if things still are as they were left. */
int rs_undo(struct dk_source *s, struct bake_ctx *ctx, const json_t *doc, bool dead);

/* ---- restore_keep.c: what a good restore replaced ---------------------------------------------
 */

#define RS_KEPT "bakengine-kept-"
char *rs_kept_name(void); /* a new index volume's; NULL: out of memory */
int rs_keep(struct dk_source *s, struct bake_ctx *ctx, const char *name, const json_t *doc);
/* Takes out of the document the directories of what the restore made: nothing old is kept of them.
 * *ret: those, to be given to rs_drop_places(). NULL: out of memory. */
json_t *rs_without_made(json_t *doc, json_t **ret);
void rs_drop_places(struct dk_source *s, struct bake_ctx *ctx, const json_t *places);
/* Drops what was replaced, and the index volume. */
int rs_drop(struct dk_source *s, struct bake_ctx *ctx, const char *name, const json_t *doc);
/* A volume; being gone already is fine. */
int rs_volume_remove(struct dk_source *s, struct bake_ctx *ctx, const char *name);

/* ---- restore_files.c: Compose files and .env --------------------------------------------------
 */

struct rs_files;
/* Of the project's directory, if it can be had; else the part is RS_GONE. */
int rs_files_open(struct dk_restore *r, struct bake_ctx *ctx, struct rs_part *p);
/* Makes a staging directory in dir. *ret is set in any case (NULL: out of memory), to be closed. */
int rs_files_new(struct bake_ctx *ctx, const char *dir, struct rs_files **ret);
int rs_files_put(struct rs_files *f, struct bake_ctx *ctx, const struct bake_entry *entry);
int rs_files_write(struct rs_files *f, struct bake_in *in);
int rs_files_entry_end(struct rs_files *f, int good);
int rs_files_staged(struct rs_files *f, struct bake_ctx *ctx);
int rs_files_switch(struct rs_files *f, struct bake_ctx *ctx);
json_t *rs_files_json(const struct rs_files *f);
void rs_files_close(struct rs_files *f);
int rs_files_undo(struct bake_ctx *ctx, const json_t *files);
int rs_files_drop(struct bake_ctx *ctx, const json_t *files);

/* ---- restore_hush.c: a context whose failures are kept apart ----------------------------------
 */

/* For calls whose failure is no failure of ours, or must not take the place of the one that is
 * being told of already. */
struct rs_hush {
    struct bake_ctx ctx;
    struct bake_ctx *to;
    bool calm; /* never cancelled: for what must be done */
    int rc;
    char text[600];
};
void rs_hush(struct rs_hush *h, struct bake_ctx *to);
void rs_calm(struct rs_hush *h, struct bake_ctx *to);

#endif
