/* What there is on the host, as discovery found it: containers, the stacks they belong to, and the
 * components that labels ask for. Read-only once made. */
#ifndef DOCKER_MODEL_H
#define DOCKER_MODEL_H

#include "docker.h"

struct dk_mount {
    char *type;        /* "volume", "bind", ... */
    char *name;        /* of a volume, else NULL */
    char *source;      /* on the daemon's host */
    char *destination; /* in the container */
    char *driver;      /* of a volume, else NULL */
    bool writable;
};

struct dk_container {
    char *id, *name; /* name without the leading '/' */
    char *image, *image_id;
    char *project;             /* the stack: its Compose project, else the container's own name */
    char *service;             /* its Compose service, else its own name */
    bool compose;              /* it belongs to Compose */
    int number;                /* com.docker.compose.container-number, else 1 */
    bool running, paused, own; /* own: this process is in it */
    bool oneoff;               /* of `docker-compose run`: never speaks for its service */
    bool enabled;              /* backup.enable */
    bool dumped;               /* a component is dumped in it: it has to keep running */
    char **depends_on;         /* services of the same stack; n_depends */
    size_t n_depends;
    struct dk_mount *mounts; /* by destination */
    size_t n_mounts;
    json_t *inspect; /* whole: holds secrets, must never be shown */
};

enum dk_kind {
    DK_PATH,       /* <stack>/<service>/volumes/<name>: backup.volume-path.<name> */
    DK_VOLUME,     /* volumes/<name>: option `volumes` */
    DK_PG,         /* <stack>/<service>/database/pg_dumpall.sql */
    DK_MARIA,      /* <stack>/<service>/mariadb_dump/all_databases.sql */
    DK_CONFIG,     /* <stack>/config: Compose files and .env */
    DK_DEFINITION, /* <stack>/definition.json: what the stack is made again from */
};

struct dk_item { /* one component */
    enum dk_kind kind;
    char *name, *group; /* as in struct bake_component */
    char *stack;
    struct dk_container *container; /* whose; of DK_VOLUME, DK_CONFIG, DK_DEFINITION: NULL */
    char *path;                     /* DK_PATH: in the container, normal, absolute */
    char *volume;                   /* DK_VOLUME */
    bool must_stand;                /* DK_PATH, DK_VOLUME: what writes there is to be held */
    enum dk_consistency consistency;
    char *facts; /* JSON for the manifest */
};

struct dk_world {
    struct dk_container *containers; /* all of the host, not only labelled ones; by name */
    size_t n_containers;
    struct dk_item *items; /* by group, then name */
    size_t n_items;
    json_t *volumes; /* array as in GET /volumes; may be empty */
};

/* Asks the daemon. Says by bake_report() what is odd (deprecated labels, both a dump and a volume
 * path, a label that makes no sense). */
int dk_discover(struct dk_source *s, struct bake_ctx *ctx, struct dk_world **ret);
void dk_world_free(struct dk_world *w); /* NULL is fine */
const struct dk_item *dk_world_item(const struct dk_world *w, const char *component);
/* The mount that holds a path of the container: the longest destination above it; *ret_rest: what
 * of the path is below it, "" for its root. NULL: the path is within the image. */
const struct dk_mount *dk_mount_of(const struct dk_container *c, const char *path,
                                   const char **ret_rest);
/* A value of the container's environment, as it was made; NULL: not set. Never to be shown. */
const char *dk_env(const struct dk_container *c, const char *name);
const char *dk_label(const struct dk_container *c, const char *name);
/* Containers of a stack in the order to stop them: dependents first. Fills ret (room for all of
 * the world's containers); the number of them. */
size_t dk_stack_order(const struct dk_world *w, const char *stack, const struct dk_container **ret);

#endif
