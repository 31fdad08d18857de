/* What the files of place.h share. Nothing of it is for others. */
#ifndef DOCKER_PLACE_IMPL_H
#define DOCKER_PLACE_IMPL_H

#include "api.h"
#include "place.h"
#include "place_fs.h"

#include "tree/extract.h"

#define DK_NONCE 17       /* 16 hex digits */
#define DK_HANDS "/.bake" /* where volumes lie in containers that are never started */

#define DK_LABEL_STAGE  "bakengine.stage"  /* =nonce, on volumes that hold staged content */
#define DK_LABEL_KEEP   "bakengine.keep"   /* =nonce: what was replaced is (or was) kept */
#define DK_LABEL_HELPER "bakengine.helper" /* =1, on containers */
#define DK_LABEL_OWNER  "bakengine.owner"

enum dk_way { DK_WAY_EXCHANGE, DK_WAY_COPY };

/* A directory on the daemon's host below which orders are carried out: by us through fd, or by a
 * helper container that mounts path. */
struct dk_ground {
    char *path;         /* on the daemon's host; or NULL: */
    const char *volume; /* this volume's root, by helpers; borrowed */
    char *here;         /* where we have reached it; or NULL */
    int fd;             /* of here; -1: by helpers */
};

/* All that switch, undo and drop need, in JSON and out of it. */
struct dk_plan {
    enum dk_way way;
    char *what; /* for people: "'/data' of container 'shop_app_1'" */
    char *nonce;
    char *stage; /* the volume with what is staged, later with what was replaced; or NULL */
    char *volume, *bind, *container; /* where the directory is: one of a volume's name, a path on
                                        the daemon's host, a container (within its image) */
    char *path;  /* below the volume or bind ("" is its root); in the container */
    bool absent; /* it does not exist yet */
    bool file;   /* it is a regular file (DK_WAY_COPY) */
    /* DK_WAY_EXCHANGE */
    struct dk_ground ground;
    char *target, *staged; /* below the ground */
    char *holder;          /* directory that goes with what is staged in it; or NULL */
    uint64_t ino_old, ino_new;
};

struct dk_place {
    struct dk_source *s;
    struct dk_plan plan;
    bool empty, began_put, staged, switched, spoiled;
    char *backup;
    int stage_fd;  /* what is staged goes right into this directory; -1: through the daemon */
    char *carrier; /* container with the staging volume; or NULL */
    char *base;    /* name of the staged directory in it */
    struct bkc_extract *x;
    struct dk_upload *up;
    struct dk_tar *tar;
};

/* place_calm.c: a context that is never cancelled, and whose failures are only logged, for removing
 * what was made while something else has failed already. */
struct dk_calm {
    struct bake_ctx ctx;
    struct bake_ctx *to;
};
void dk_calm(struct dk_calm *c, struct bake_ctx *to);

/* place_text.c */
char *dk_text(const char *fmt, ...) BAKE_PRINTF(1, 2); /* NULL: out of memory */
int dk_place_nonce(struct bake_ctx *ctx, char out[DK_NONCE]);
int dk_place_errno(struct bake_ctx *ctx, const char *what, const struct dk_fs_answer *a,
                   const char *doing);
json_t *dk_plan_json(const struct dk_plan *p);
/* Strict: orders are made of it. */
int dk_plan_parse(struct bake_ctx *ctx, const json_t *j, struct dk_plan *ret);
void dk_plan_release(struct dk_plan *p);
void dk_ground_release(struct dk_ground *g);
/* A path below something: no empty, "." and ".." parts; "" is fine. */
bool dk_path_below(const char *path);

/* place_help.c */
/* Carries out an order; answers with an error of the file system are BAKE_OK here. */
int dk_ground_do(struct dk_source *s, struct bake_ctx *ctx, const struct dk_ground *g,
                 const struct dk_fs_order *o, struct dk_fs_answer *ret);
/* Can helper containers run our program there? NULL: yes; else why not (static). */
const char *dk_helper_lacks(struct dk_source *s);
/* A container that is never started, for archives: the volume (or the directory bind of the host)
 * is at `at`. Its id is the caller's: dk_remove_container(). */
int dk_carrier(struct dk_source *s, struct bake_ctx *ctx, const char *volume, const char *bind,
               const char *at, const char *image_or_null, char **ret_id);
/* place_image.c */
/* Makes sure that the helper's image is there; *ret_name is the caller's. BAKE_E_UNSUPPORTED: the
 * program is not installed. */
int dk_helper_image(struct dk_source *s, struct bake_ctx *ctx, char **ret_name);
bool dk_helper_there(void);

/* place_find.c */
/* Fills plan: where the directory is and which way it can go. */
int dk_place_find(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  struct dk_fs_answer *ret);
/* place_ground.c */
/* Can it go by exchange? Then the plan's way, ground, target and ino_old are set and *ret says what
 * is there. BAKE_OK in any case that is no failure. */
int dk_ground_find(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                   const struct dk_mount *m, struct dk_fs_answer *ret);
/* Tries to reach the plan's ground from this process; leaves fd at -1 if it cannot. */
void dk_ground_reach(struct dk_plan *p);
/* Fails if a container that runs has the directory mounted. */
int dk_place_unused(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p);

/* place_stage.c */
int dk_stage_name(struct dk_place *p, struct bake_ctx *ctx); /* in the plan; makes nothing */
/* old: what is there, of dk_place_find(); bytes: what will be put. */
int dk_stage_make(struct dk_place *p, struct bake_ctx *ctx, const struct dk_place_spec *spec,
                  const struct dk_fs_answer *old, uint64_t bytes);
/* place_fill.c */
void dk_stage_end(struct dk_place *p); /* of writing; nothing that is staged goes */
/* place_volume.c */
int dk_volume_make(struct dk_source *s, struct bake_ctx *ctx, const char *name, json_t *labels);
int dk_volume_remove(struct dk_source *s, struct bake_ctx *ctx, const char *name);
/* *ret: is there such a volume? */
int dk_volume_there(struct dk_source *s, struct bake_ctx *ctx, const char *name, bool *ret);

/* place_copy.c */
/* The container and the path in it by which a directory is copied; made: it is to be removed. */
struct dk_hand {
    char *id, *path;
    bool made;
};
int dk_hand_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p,
                 const char *image_or_null, struct dk_hand *ret);
void dk_hand_close(struct dk_source *s, struct bake_ctx *ctx, struct dk_hand *h);
int dk_copy_switch(struct dk_place *p, struct bake_ctx *ctx);
int dk_copy_undo(struct dk_source *s, struct bake_ctx *ctx, const struct dk_plan *p);
/* The first entry (the directory itself) of an archive of the container's path, as tar: its blocks
 * and an end mark. The caller frees *ret. */
int dk_copy_root(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *path,
                 unsigned char **ret, size_t *ret_n);
/* A whole tar into a directory of a container. */
int dk_copy_put(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *dir,
                const void *tar, size_t n);
/* One entry without content, likewise. */
int dk_copy_put_bare(struct dk_source *s, struct bake_ctx *ctx, const char *id, const char *dir,
                     const struct bake_entry *e);

/* place_scan.c: follows a tar as it passes, to know that it is whole */
struct dk_scan {
    unsigned char block[512];
    size_t have;        /* bytes of the current block */
    uint64_t skip;      /* bytes of content (with padding) to pass */
    uint64_t pax_size;  /* of a pax header for the next entry; UINT64_MAX: none */
    unsigned char *pax; /* its content, while it is gathered */
    size_t pax_n, pax_want;
    unsigned zeros; /* zero blocks in a row, at the place of a header */
    bool bad, first_done;
    unsigned char *first; /* the blocks of the first entry's headers */
    size_t first_n, first_cap;
    bool keep_first;
};
void dk_scan_start(struct dk_scan *s, bool keep_first);
/* 0, or -1: this is no tar, or there is no memory. */
int dk_scan_feed(struct dk_scan *s, const void *data, size_t n);
/* Something was in it, and it ended as it should. Where what was asked for goes in that moment, the
 * daemon sends an archive of nothing. */
bool dk_scan_whole(const struct dk_scan *s);
void dk_scan_release(struct dk_scan *s);

#endif
