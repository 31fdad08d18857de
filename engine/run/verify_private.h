/* The inside of a verification: one backup in one sink (verify.c), the reading of its components
 * (verify_read.c), and drills (drill.c). */
#ifndef BK_VERIFY_PRIVATE_H
#define BK_VERIFY_PRIVATE_H

#include "run/hands.h"
#include "run/inspect.h"
#include "run/verify.h"
#include "store/comp.h"

struct bk_check { /* one backup in one sink */
    struct bk_session *session;
    struct bk_sink *sink;
    struct bk_rsources *sources; /* NULL: nobody can be asked to inspect */
    const struct bk_manifest *manifest;
    enum bk_verify_level level;
    bool *
        broken; /* by component: damage was found in it, so that reading it would say nothing new */
    bool *drilled;        /* by component: a drill restored it */
    json_t *groups;       /* of drills: what came of each; NULL: there was none */
    struct bk_err failed; /* the first thing that went wrong in a drill */
    const struct bk_mcomp *comp;
    struct bk_hands *hands;
    uint64_t undrilled, untried;       /* groups of which the drill failed; could not begin */
    uint64_t objects, lost, inspected; /* lost: files; inspected: components */
    pthread_mutex_t lock;              /* over the next two */
    uint64_t damaged, bytes;
};

/* Failures that say nothing about the store. */
bool bk_check_ends(int rc);
/* What may be wrong with one content alone; the rest says that the store cannot be read. */
bool bk_check_is_damage(int rc);
/* c NULL: of the backup as a whole. */
void bk_check_damage(struct bk_check *k, const struct bk_mcomp *c, const struct bk_err *why);

/* verify_read.c: k->comp, all of it. */
int bk_check_read(struct bk_check *k, struct bk_err *err);

/* drill.c */
/* Is this component restored in a drill? */
bool bk_drill_wanted(const struct bk_check *k, const struct bk_mcomp *c);
/* Restores those that are, group by group, into something thrown away at the end; says and notes in
 * k what came of it. */
int bk_drill(struct bk_check *k, struct bk_err *err);
/* records/<time>-drill.json; facts is to be filled further and put. */
json_t *bk_drill_record(const struct bk_check *k);

#endif
