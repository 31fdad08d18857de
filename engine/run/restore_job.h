/* The inside of restore_component.h: one component on its way. restore_component.c goes through the
 * entries, restore_pieces.c has files made by several threads, restore_job.c is what both do. */
#ifndef BK_RESTORE_JOB_H
#define BK_RESTORE_JOB_H

#include "run/hands.h"
#include "run/restore_component.h"
#include "run/target.h"
#include "store/comp.h"

#include <pthread.h>

#define BK_JOB_BUFFER (256u << 10)
#define BK_LOST_SHOWN 100

struct bk_hand { /* what one thread that makes files has of its own */
    struct bk_ctx ctx;
    char *buffer;
};

struct bk_job {
    const struct bk_restore_env *env;
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_mcomp *comp;
    struct bk_compr *in;
    struct bk_target *out;
    char *buffer;
    struct bk_hands *hands; /* NULL: files are not made apart */
    struct bk_hand hand[BK_HANDS_MAX];
    size_t n_hands;
    pthread_mutex_t lock; /* over ret */
    struct bk_restored *ret;
};

struct bk_piece { /* a file that is made apart */
    struct bkc_file *file;
    struct bk_content *content;
};

struct bk_pour {            /* one file's or blob's bytes, from where and to where */
    struct bk_piece *piece; /* NULL: the reader's and the target's current one */
    struct bk_ctx *ctx;
    char *buffer;
    bool target_failed;
};

/* ---- restore_job.c: any thread --------------------------------------------------------------- */

/* Is it a failure that ends the whole restore? */
bool bk_ends_restore(int rc);
/* Adds to a member of job->ret; what it was. */
uint64_t bk_job_add(struct bk_job *job, uint64_t *member, uint64_t n);
int bk_job_pour(struct bk_job *job, struct bk_pour *p, struct bk_err *err);
/* What came of an entry that was put. OK also when only this one failed (which is said). */
int bk_job_settle(struct bk_job *job, int rc, bool alone, struct bk_err *err);
/* What came of putting an entry, when it is not to be filled. */
int bk_job_not_put(struct bk_job *job, int rc, const char *path, struct bk_err *err);

/* ---- restore_pieces.c ------------------------------------------------------------------------ */

/* n: how many threads. Without a target that files can be made apart in, nothing is opened. */
int bk_pieces_open(struct bk_job *job, size_t n, struct bk_err *err);
/* Has a file made; takes the content over. A failure may be that of any file before. */
int bk_pieces_give(struct bk_job *job, const struct bake_entry *e, struct bk_content *content,
                   struct bk_err *err);
/* rc: how it went so far. Lets the hands finish what was given, unless all ends; then as close. */
int bk_pieces_wait(struct bk_job *job, int rc, struct bk_err *err);
void bk_pieces_close(struct bk_job *job);

#endif
