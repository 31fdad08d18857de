/* Verification: proving that what the manifests say is there. */
#ifndef BK_VERIFY_H
#define BK_VERIFY_H

#include "run/duty.h"

struct bk_verify_opts {
    const char *id; /* "latest", an id, or NULL: all */
    enum bk_verify_level level;
    const char *host; /* NULL: any */
};

/* The verb, over every usable sink; sends "verified" events, "error" events that name each damaged
 * object and file, and one "summary". BK_E_VERIFY if anything is damaged. The result is put beside
 * each backup as a record. */
int bk_verify(struct bk_session *s, const struct bk_verify_opts *opts, struct bk_err *err);
/* The same for one backup of a run that has just ended, without a summary. duty: the run's. */
int bk_verify_after_run(struct bk_session *s, struct bk_duty *duty, const char *id,
                        enum bk_verify_level level, struct bk_err *err);

#endif
