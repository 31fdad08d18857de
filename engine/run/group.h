/* Groups: components that are read in the same moment, while their source holds what they are read
 * from (design, section 6). */
#ifndef BK_GROUP_H
#define BK_GROUP_H

#include "run/plan.h"

struct bk_group {
    struct bk_source *source;
    const char *name, *own; /* own: as the plugin says */
    bool holds;             /* the source has hold() */
    size_t *items;          /* numbers in the plan */
    size_t n_items;
};

/* Those that must be held; with `all` those too that have but a name in common. The plan must
 * outlive them. */
int bk_groups_find(const struct bk_plan *p, bool all, struct bk_group **ret, size_t *ret_n,
                   struct bk_err *err);
void bk_groups_free(struct bk_group *groups, size_t n);

/* What holding the group would do, for people: a JSON object, or NULL if the source says nothing.
 * Nothing is done. */
int bk_group_preview(struct bk_session *s, const struct bk_plan *p, const struct bk_group *group,
                     json_t **ret, struct bk_err *err);

struct bk_holding { /* one group, from before it is held until it is released */
    struct bk_session *session;
    struct bk_duty *duty;
    const struct bk_group *group;
    struct bk_cancel *cancel; /* ends hold() and the reading; never the release */
    uint64_t start_ms, missing;
    json_t *facts;
    struct bk_err failed; /* hold()'s */
};

int bk_holding_init(struct bk_holding *h, struct bk_session *s, struct bk_duty *duty,
                    const struct bk_group *group, struct bk_err *err);
void bk_holding_free(struct bk_holding *h);
/* chosen: numbers in the plan of what will be read. After a failure, too, bk_group_release() must
 * follow. */
int bk_group_hold(struct bk_holding *h, const struct bk_plan *p, const size_t *chosen, size_t n,
                  struct bk_err *err);
/* ret: for the manifest; empty when out of memory. A failure: the source could not put everything
 * back. */
int bk_group_release(struct bk_holding *h, struct bk_mgroup *ret, struct bk_err *err);

#endif
