/* What was tried and what came of it, in the Test Anything Protocol. */
#ifndef CF_REPORT_H
#define CF_REPORT_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct cf_report {
    unsigned cases, failed;
    const char *name; /* of the case under way */
    bool bad;
    const char *skipped; /* why, or NULL */
};

void cf_begin(struct cf_report *r, const char *name);
/* Returns cond; if it does not hold the case has failed, and the text says what was seen. */
bool cf_check(struct cf_report *r, bool cond, const char *fmt, ...) BAKE_PRINTF(3, 4);
void cf_skip(struct cf_report *r, const char *why);
void cf_end(struct cf_report *r);
int cf_finish(struct cf_report *r); /* prints the plan; the exit code */

const char *cf_rc_name(int rc); /* "BAKE_E_EXISTS" */

#endif
