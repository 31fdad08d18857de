/* The one place where text becomes numbers, sizes and durations, and back. */
#ifndef BK_NUM_H
#define BK_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All: the whole string must match; false leaves *ret untouched. No leading blanks, no '+'. */
bool bk_parse_i64(const char *s, int64_t *ret);
bool bk_parse_u64(const char *s, uint64_t *ret);
/* "4096", "64 KiB", "64KiB", "1.5 GiB", "20 MB" (1000s), "64k", "64K", "10M", "2G", "1T" (1024s);
 * bytes. */
bool bk_parse_size(const char *s, uint64_t *ret);
/* "90s", "10m", "36h", "7d", "2w", "1y" (365 d), "250ms", "1h30m", "0"; milliseconds. A number
 * without a unit (other than 0) is refused. */
bool bk_parse_duration(const char *s, uint64_t *ret_ms);
/* YAML 1.2 core: true/false, also yes/no/on/off, any case. */
bool bk_parse_bool(const char *s, bool *ret);

/* "1.4 GiB", "512 B", "17.2 MiB"; out holds at least 16 bytes. Returns out. */
char *bk_format_size(char *out, size_t cap, uint64_t bytes);
/* "0.4s", "12s", "3m05s", "2h10m", "3d4h"; out holds at least 16 bytes. Returns out. */
char *bk_format_duration(char *out, size_t cap, uint64_t ms);
/* "57,012" */
char *bk_format_count(char *out, size_t cap, uint64_t n);

#endif
