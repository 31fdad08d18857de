/* The inside of a run: what it knows as a whole (backup.c, backup_lanes.c), and of one component
 * that is being read (backup_component.c, backup_read.c). */
#ifndef BK_BACKUP_PRIVATE_H
#define BK_BACKUP_PRIVATE_H

#include "run/intent.h"
#include "run/parent.h"
#include "store/comp.h"

struct bk_run_job { /* what the lanes share */
    struct bk_session *session;
    const struct bk_run_opts *opts;
    struct bk_plan plan;
    struct bk_manifest *manifest;
    struct bk_parent parent;
    struct bk_intent *intent;
    struct bk_duty *duty;
    size_t n_unreleased;  /* groups that could not be put back as they were */
    size_t n_logs_failed; /* sources that could not put their logs, and what they left out */
    bool committed;       /* the manifest stands */
    size_t pruned;
};

/* Every component, on the lanes; groups are held and released. */
int bk_run_components(struct bk_run_job *r, struct bk_err *err);

#define BK_READ_BUFFER (256u << 10)

struct bk_read_job {
    const struct bk_component_job *what;
    struct bk_session *session;
    struct bk_planned *item;
    const struct bake_source_ops *ops;
    struct bk_compw *out;
    struct bk_ctx ctx; /* the reader's */
    void *reader;
    char *buffer;
    struct bk_mcomp *ret;
    int idle; /* reads in a row that yielded nothing */
};

/* Counts and tells what the source reports. */
void bk_read_report(void *arg, int severity, const char *subject, const char *text);
void bk_read_count(struct bk_read_job *job, uint64_t bytes);
/* All of it, from the source to the writer. */
int bk_read_component(struct bk_read_job *job, struct bk_err *err);

#endif
