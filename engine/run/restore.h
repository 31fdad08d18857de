/* Restoring a backup. */
#ifndef BK_RESTORE_H
#define BK_RESTORE_H

#include "run/session.h"

struct bk_restore_opts {
    const char *id;            /* "latest", an id, a unique beginning of one */
    int64_t at_ns;             /* > 0: the newest started at or before then */
    struct bk_strv components; /* globs; also "config" and "volume:NAME"; empty: all */
    struct bk_strv paths;      /* globs over paths within trees; of sources that have parts, over
                                  those (tables); empty: all */
    const char *target;        /* NULL: back where it came from */
    const char *from;          /* sink to read from, or NULL */
    const char *host;          /* NULL: this one's backups (any, when opened by address) */
    bool dry_run, force;
    /* of components that are restored as a group */
    const char *stack; /* only components beneath NAME/; "latest" is the newest that has some */
    const char *as_project; /* restore the one group that is chosen under this name */
    const char *as_name;    /* restore the one component that is chosen under this name */
    bool skip_stop, skip_start;
    bool undo; /* with stack: put back what its last restore replaced; nothing else counts */
};

/* The verb; sends one "component" event each, an "error" event for everything that could not be
 * restored, and one "summary" (for a dry run a "plan"). BK_E_PARTIAL: something is missing. */
int bk_restore(struct bk_session *s, const struct bk_restore_opts *opts, struct bk_err *err);

/* Does a component's name match one of the globs (or is there none)? */
bool bk_component_wanted(const struct bk_strv *globs, const char *name);
/* Does a path match? A leading '/' of the glob does not count. */
bool bk_path_wanted(const struct bk_strv *globs, const char *path);

#endif
