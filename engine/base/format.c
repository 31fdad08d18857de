/* Sizes, durations and counts as people read them. */
#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>

char *bk_format_size(char *out, size_t cap, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        (void)snprintf(out, cap, "%" PRIu64 " B", bytes);
        return out;
    }
    size_t u = 0;
    int shift = 10;
    /* 1023.95 and more would be shown as 1024.0 of this unit */
    while (units[u + 1] && bytes >= (UINT64_C(1) << (shift + 10)) - (UINT64_C(1) << shift) / 20) {
        shift += 10;
        u++;
    }
    uint64_t whole = bytes >> shift, rest = bytes & ((UINT64_C(1) << shift) - 1);
    if (shift > 50) { /* keeps the product below within 64 bits */
        rest >>= 10;
        shift -= 10;
    }
    uint64_t tenths = (rest * 10 + (UINT64_C(1) << (shift - 1))) >> shift;
    whole += tenths / 10;
    (void)snprintf(out, cap, "%" PRIu64 ".%u %ciB", whole, (unsigned)(tenths % 10), units[u]);
    return out;
}

char *bk_format_duration(char *out, size_t cap, uint64_t ms)
{
    uint64_t s = ms / 1000, days = s / 86400;
    unsigned hours = (unsigned)(s / 3600 % 24), minutes = (unsigned)(s / 60 % 60);
    if (s < 10)
        (void)snprintf(out, cap, "%u.%us", (unsigned)s, (unsigned)(ms / 100 % 10));
    else if (s < 60)
        (void)snprintf(out, cap, "%us", (unsigned)s);
    else if (s < 3600)
        (void)snprintf(out, cap, "%um%02us", minutes, (unsigned)(s % 60));
    else if (days == 0)
        (void)snprintf(out, cap, "%uh%02um", hours, minutes);
    else if (days < 1000)
        (void)snprintf(out, cap, "%ud%uh", (unsigned)days, hours);
    else
        (void)snprintf(out, cap, "%" PRIu64 "d", days);
    return out;
}

char *bk_format_count(char *out, size_t cap, uint64_t n)
{
    char digits[24], text[32];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    (void)snprintf(out, cap, "%s", text);
    return out;
}
