/* The sources that a restore puts things back through: each is opened once, when it is first
 * needed, and shared by everything that goes back into it. */
#ifndef BK_RESTORE_SOURCE_H
#define BK_RESTORE_SOURCE_H

#include "run/duty.h"
#include "run/restore.h"

struct bk_rsource { /* one that is open */
    const struct bk_part *part;
    const struct bake_source_ops *ops;
    void *self;
};

struct bk_rsources;

/* Where a component came from: the pipeline's source of its name and plugin; of a component that
 * does not say (a foreign archive's) the first source of its plugin. NULL: there is none. */
const struct bk_part *bk_restore_part(const struct bk_pipeline *p, const struct bk_mcomp *c);
/* Is it restored together with the others of its group? */
bool bk_restore_grouped(const struct bk_pipeline *p, const struct bk_mcomp *c);

struct bk_restore_env;

/* act: something will be changed, so this takes the pipeline's lock and redeems what is owed, if
 * any source can hold or restore groups. Without it oblige() fails, so nothing can be changed. */
int bk_rsources_new(struct bk_session *s, bool act, struct bk_rsources **ret, struct bk_err *err);
/* The same, to act, as a part of a verb that has done so already. duty: that verb's; may be NULL.
 */
int bk_rsources_within(struct bk_session *s, struct bk_duty *duty, struct bk_rsources **ret,
                       struct bk_err *err);
void bk_rsources_free(struct bk_rsources *all); /* NULL is fine */

/* Opens it at the first call; any thread. A failure is the same at every call. */
int bk_rsource_get(struct bk_rsources *all, const struct bk_part *part, struct bk_rsource **ret,
                   struct bk_err *err);
/* Between the two a cancelled restore does not interrupt what goes on in the plugin: something
 * must be put back. */
void bk_rsource_quiet(struct bk_rsource *src);
void bk_rsource_loud(struct bk_rsource *src);
/* Makes a context for calls of this source. */
void bk_rsource_ctx(struct bk_rsource *src, struct bk_cancel *cancel, struct bk_ctx *ret,
                    const char *label_fmt, ...) BAKE_PRINTF(4, 5);

/* The component as the plugin is to see it, under its own names. Its strings are c's; *ret_facts is
 * to be freed after it. */
int bk_restore_describe(const struct bk_part *part, const struct bk_mcomp *c,
                        struct bake_component *ret, char **ret_facts, struct bk_err *err);
/* How the restore is to be done, for the plugin; lives as long as env's members. */
struct bake_restore bk_restore_how(const struct bk_restore_env *env, const struct bk_part *part);

#endif
