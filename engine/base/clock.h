/* Time: UTC everywhere; local time is for people and schedules only. */
#ifndef BK_CLOCK_H
#define BK_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t bk_now_ns(void); /* since the epoch */
uint64_t bk_monotonic_ms(void);
uint64_t bk_boottime_ms(void); /* goes on while the host sleeps */

#define BK_TIME_CAP 40 /* room for either of the forms below */
/* "2025-11-05T12:00:00Z" (seconds), or with .nnnnnnnnn where ns is not whole. Returns out. */
char *bk_format_time(char *out, int64_t ns);
/* "20251105T120000Z" */
char *bk_format_stamp(char *out, int64_t ns);
/* RFC 3339 with offset or Z; also "2025-11-05", "2025-11-05 12:00[:00]" (local time), the stamp
 * form. False: not a time. */
bool bk_parse_time(const char *s, int64_t *ret_ns);
/* RFC 3339 with offset or Z alone: what documents hold. */
bool bk_parse_rfc3339(const char *s, int64_t *ret_ns);

#endif
