/* What the parts of the docker source share: its options and one open source. */
#ifndef DOCKER_H
#define DOCKER_H

#include <bakengine/plugin.h>
#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

struct dk_api;
struct dk_world;
struct dk_restore;
struct dk_tree;
struct bkc_ignore;

enum dk_consistency { DK_STOP = 0, DK_PAUSE = 1, DK_NONE = 2 };
enum dk_read { DK_READ_AUTO = 0, DK_READ_DIRECT = 1, DK_READ_API = 2 };

struct dk_config {
    const char *host;                    /* unix:///..., tcp://..., https://...; or NULL */
    const char *ca, *cert, *key;         /* TLS: PEM files, or NULL */
    const char *const *projects;         /* globs of stacks; empty: all */
    const char *const *exclude_projects; /* globs */
    const char *const *paths, *const *exclude_paths; /* globs of paths within containers */
    const char *const *exclude;                      /* gitignore patterns within a volume path */
    const char *const *volumes; /* ["all"] or globs: volumes without any label */
    int consistency;            /* enum dk_consistency */
    int read;                   /* enum dk_read */
    int config;                 /* Compose files and .env too */
    int definition;             /* what the stack is made again from, too */
    uint64_t stop_timeout, health_timeout, timeout, keep_previous; /* ms; stop_timeout 0: the
                                                                      container's own */
};

/* Is this process where the daemon is, and who is it there? (self.c) */
struct dk_where {
    bool away;       /* in a container, or the daemon is on another host */
    char *container; /* our own container's id in this daemon, or NULL */
    char *owner;     /* who this process is, for labels (owner.c) */
};

struct dk_source {
    struct bake_ctx *ctx; /* of open() */
    const struct dk_config *cfg;
    struct dk_api *api;
    struct dk_where where;
    struct bkc_ignore *ignore;   /* cfg->exclude */
    struct dk_world *world;      /* as plan() found it */
    size_t planned;              /* next component of plan() */
    struct dk_restore *restores; /* groups being restored (restore.h), under lock */
    struct dk_held *held;        /* groups that are held (hold.h), under lock */
    struct dk_tree *reading;     /* trees that keep a container busy (tree.h), under lock */
    struct {                     /* what was found out of the daemon's host (prove.c), under lock */
        int level;
        const char *why; /* static */
    } proof;
    pthread_mutex_t lock;
};

int dk_nomem(struct bake_ctx *ctx);

#endif
