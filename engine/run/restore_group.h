/* Restoring components that belong together: all of a group are staged, then switched to, or all
 * is put back as it was. */
#ifndef BK_RESTORE_GROUP_H
#define BK_RESTORE_GROUP_H

#include "run/restore_component.h"

enum bk_rgroup_status {
    BK_RGROUP_OK = 0,
    BK_RGROUP_PARTIAL = 1, /* in use, though something is missing, as was reported */
    BK_RGROUP_UNDONE = 2,  /* all is as it was before */
    BK_RGROUP_FAILED = 3   /* it could not even be put back as it was */
};

struct bk_rgroup {
    const char *name;
    const struct bk_part *part;
    const struct bk_mcomp *const *comps;
    struct bk_restored *results; /* one per component */
    size_t n;
    /* what bk_restore_group() finds */
    enum bk_rgroup_status status;
    bool begun;    /* the plugin has agreed to it */
    json_t *facts; /* of restore_end(); or NULL */
};

/* ---- restore_group_list.c -------------------------------------------------------------------- */

/* Brings the components of one group next to each other, behind those without one (*ret_alone of
 * them). ret: to be released. results: one per component. */
int bk_rgroups_make(const struct bk_pipeline *p, const struct bk_mcomp **comps,
                    struct bk_restored *results, size_t n, struct bk_rgroup **ret, size_t *ret_n,
                    size_t *ret_alone, struct bk_err *err);
void bk_rgroups_free(struct bk_rgroup *groups, size_t n); /* NULL is fine */
/* Refuses choices that do not go with these groups (BK_E_USAGE). */
int bk_rgroups_check(const struct bk_restore_opts *opts, const struct bk_rgroup *groups, size_t n,
                     size_t alone, struct bk_err *err);
const char *bk_rgroup_status_name(enum bk_rgroup_status status);
/* After it: one "component" event each, then one "group" event. */
void bk_rgroup_events(struct bk_reporter *reporter, const struct bk_rgroup *g);
/* What would be done, for the plan: {"name", "source", "components": [{"name", "stage"}]}, or with
 * "error" when it could not be (*ret_bad counts them). Nothing is changed. */
int bk_rgroup_plan(const struct bk_restore_env *env, struct bk_rgroup *g, json_t *list,
                   size_t *ret_bad, struct bk_err *err);

/* ---- restore_group.c ------------------------------------------------------------------------- */

/* Restores it with up to `lanes` components side by side. What went wrong was sent as events and
 * is in g->status; only BAKE_E_CANCELLED ends the restore. */
int bk_restore_group(const struct bk_restore_env *env, size_t lanes, struct bk_rgroup *g,
                     struct bk_err *err);
/* For a dry run: ret_stage has one per component. */
int bk_restore_group_stages(const struct bk_restore_env *env, struct bk_rgroup *g,
                            uint32_t *ret_stage, struct bk_err *err);

/* ---- restore_undo.c -------------------------------------------------------------------------- */

/* Puts back what the last restore of opts->stack replaced. Sends one "group" event. */
int bk_restore_undo(const struct bk_restore_env *env, struct bk_err *err);

#endif
