/* The inside of bundle.h: bundle.c has the bundles of a run, bundle_write.c writes a component into
 * one. */
#ifndef BK_BUNDLE_PRIVATE_H
#define BK_BUNDLE_PRIVATE_H

#include "store/bundle.h"
#include "store/objw.h"
#include "store/tar.h"

#include <pthread.h>

struct bk_bundlew { /* one group's; what is not said otherwise belongs to whose turn it is */
    struct bk_bundles *all;
    char *group;
    char *name, *marker; /* NULL: not started */
    char uuid[9];
    struct bk_flow *flow;
    struct bk_objw *data;
    struct bk_tarw *tar;
    uint64_t entries;    /* in the tar, so far */
    struct bk_strv dirs; /* in the tar: those that lead to components */
    size_t whole;        /* components that are in it and good */
    struct bk_err failed;
    struct bk_objw_result result;
    bool stored;           /* a sink has it */
    bool busy;             /* somebody's turn; under the lock */
    bool ended;            /* under the lock */
    struct bk_strv inside; /* paths of components; under the lock */
    struct bk_bundlew *next;
};

struct bk_bundles {
    struct bk_store *store;
    char id[BK_ID_CAP];
    char *host;
    int64_t start_ns;
    pthread_mutex_t lock; /* over the list and what says so above */
    pthread_cond_t turn;
    struct bk_bundlew *first;
};

/* The group's bundle, made if there is none yet; `path` of a component within it is taken. */
int bk_bundle_join(struct bk_store *store, const char *group, const char *path,
                   struct bk_bundlew **ret, struct bk_err *err);
/* Waits for the turn; BAKE_E_CANCELLED once `cancel` has fired. Then bk_bundle_leave(). */
int bk_bundle_enter(struct bk_bundlew *b, struct bk_cancel *cancel, struct bk_err *err);
void bk_bundle_leave(struct bk_bundlew *b);

/* With the turn. The object is begun, and a component's path has its directories. */
int bk_bundle_start(struct bk_bundlew *b, const char *path, struct bk_err *err);
/* rc of a call of b->tar or b->data: notes why the bundle can go no further, and says that. err of
 * these four is not NULL. */
int bk_bundle_check(struct bk_bundlew *b, int rc, struct bk_err *err);

/* Once nothing more comes; a second time it does nothing. */
int bk_bundle_end(struct bk_bundlew *b, struct bk_err *err);
void bk_bundle_note(struct bk_bundlew *b, const struct bk_err *why); /* the first failure stays */
/* Nothing of it is to stay. */
void bk_bundle_remove(struct bk_bundlew *b);
int bk_bundle_name(struct bk_bundlew *b, struct bk_err *err); /* fills uuid, name and marker */

#endif
