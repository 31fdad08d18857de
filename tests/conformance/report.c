/* What was tried and what came of it, in the Test Anything Protocol. */
#include "report.h"

#include <stdio.h>
#include <string.h>

void cf_begin(struct cf_report *r, const char *name)
{
    r->name = name;
    r->bad = false;
    r->skipped = NULL;
}

bool cf_check(struct cf_report *r, bool cond, const char *fmt, ...)
{
    char text[3072];
    va_list ap;

    if (cond)
        return true;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (char *p = text; (p = strchr(p, '\n')); p++)
        *p = ' ';
    (void)printf("# %s: %s\n", r->name, text);
    r->bad = true;
    return false;
}

void cf_skip(struct cf_report *r, const char *why) { r->skipped = why; }

void cf_end(struct cf_report *r)
{
    r->cases++;
    r->failed += r->bad;
    (void)printf("%s %u - %s%s%s\n", r->bad ? "not ok" : "ok", r->cases, r->name,
                 r->skipped ? " # SKIP " : "", r->skipped ? r->skipped : "");
    (void)fflush(stdout);
}

int cf_finish(struct cf_report *r)
{
    (void)printf("1..%u\n", r->cases);
    if (r->failed)
        (void)printf("# %u of %u failed\n", r->failed, r->cases);
    return r->failed > 0;
}

const char *cf_rc_name(int rc)
{
    static const char *const errors[] = {
        "BAKE_E_CANCELLED",   "BAKE_E_CONFIG",      "BAKE_E_AUTH",    "BAKE_E_NOTFOUND",
        "BAKE_E_EXISTS",      "BAKE_E_UNAVAILABLE", "BAKE_E_TIMEOUT", "BAKE_E_NOSPACE",
        "BAKE_E_IO",          "BAKE_E_CORRUPT",     "BAKE_E_CHILD",   "BAKE_E_NOMEM",
        "BAKE_E_UNSUPPORTED", "BAKE_E_INTERNAL",    "BAKE_E_KEY"};

    if (rc == BAKE_OK || rc == BAKE_END)
        return rc == BAKE_OK ? "BAKE_OK" : "BAKE_END";
    return rc < 0 && rc >= BAKE_E_KEY ? errors[-rc - 1] : "a value that is no result";
}
