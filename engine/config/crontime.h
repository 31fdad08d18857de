/* Cron's five fields, as crontab(5) of Debian's cron reads them. */
#ifndef BK_CRONTIME_H
#define BK_CRONTIME_H

#include "base/err.h"
#include <stdbool.h>

#define BK_CRON_CAP 256

struct bk_cron {                                /* bit n: fires when the field is n */
    uint64_t minute, hour, day, month, weekday; /* day and month from 1; weekday 0 is Sunday */
    bool any_day, any_weekday; /* the field starts with '*'. When neither does, a day that matches
                                  one of the two is enough; else it must match both. */
    char text[BK_CRON_CAP];    /* five fields with one blank between: "@daily" is "0 0 * * *" */
};

/* Numbers, names (jan, mon), lists, ranges, steps, @hourly ... @yearly. BAKE_E_CONFIG: the text
 * says which field is wrong and why; a time that never comes (30 February) is wrong too. */
int bk_cron_parse(const char *text, struct bk_cron *ret, struct bk_err *err);

#endif
