/* Strings: copies that check memory, lists, printable forms, 'did you mean'. */
#ifndef BK_STR_H
#define BK_STR_H

#include <bakengine/plugin.h>
#include <stdbool.h>

/* A list of strings, each owned by the list; items[n] is NULL. */
struct bk_strv {
    char **items; /* NULL while empty */
    size_t n, cap;
};
int bk_strv_add(struct bk_strv *v, const char *s); /* copies; 0 or BAKE_E_NOMEM */
void bk_strv_sort(struct bk_strv *v);              /* byte order */
bool bk_strv_has(const struct bk_strv *v, const char *s);
void bk_strv_free(struct bk_strv *v);

char *bk_strdup(const char *s); /* NULL for NULL; NULL when out of memory */
char *bk_asprintf(const char *fmt, ...) BAKE_PRINTF(1, 2); /* NULL when out of memory */
bool bk_streq(const char *a, const char *b);               /* NULL equals NULL alone */
bool bk_starts(const char *s, const char *prefix);
bool bk_ends(const char *s, const char *suffix);

/* Writes n bytes of s into out (size cap, NUL-ended, cut with "..." when too long) with control
 * characters and bytes that are not UTF-8 as \xNN and a backslash as \\, for messages. */
char *bk_printable(char *out, size_t cap, const char *s, size_t n);
bool bk_is_utf8(const char *s, size_t n);
/* Length of the one character (1 to 4 bytes of valid UTF-8) that s starts with, its code point in
 * *ret_cp (may be NULL); 0: n is 0 or that is not UTF-8. */
size_t bk_utf8_next(const char *s, size_t n, uint32_t *ret_cp);
/* Characters that may move the cursor or turn the text around: C0, DEL, C1, bidi controls, line
 * separators. */
bool bk_is_control(uint32_t cp);
/* Copies s (any bytes) as valid UTF-8 for JSON: bad bytes become U+FFFD. NULL: out of memory. */
char *bk_to_utf8(const char *s);

/* The candidate nearest to word (at most a third of its letters wrong), or NULL. NULL-ended. */
const char *bk_suggest(const char *word, const char *const *candidates);

#endif
