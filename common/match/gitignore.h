/* Patterns of gitignore(5) over relative paths of any bytes; and globs for names. */
#ifndef BKC_GITIGNORE_H
#define BKC_GITIGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct bkc_ignore;

/* patterns: NULL-ended. "*.swp" matches at any depth, "/a" and "a/b" from the root, "dir/" only
 * directories, "**" any depth, "!x" takes back, [a-z] and \ as in gitignore. Two differences: '#'
 * is a character like any other, and a pattern that could never match is refused. 0, or -1: then
 * *ret_bad is the index of the pattern that is not sound (an open '[', a '\' at the end, an
 * unknown [:class:], nothing after '!' or before '/'), or BKC_IGNORE_NOMEM. */
#define BKC_IGNORE_NOMEM ((size_t)-1)
int bkc_ignore_new(const char *const *patterns, struct bkc_ignore **ret, size_t *ret_bad);
void bkc_ignore_free(struct bkc_ignore *ig); /* NULL is fine */
/* Is path itself matched (last pattern that matches decides)? The caller does not descend into
 * a matched directory, as git does not. Thread-safe. */
bool bkc_ignored(const struct bkc_ignore *ig, const char *path, bool is_dir);

/* One shell-style glob against a whole path: '*' and '?' do not match '/', "**" does, wherever it
 * stands; between two '/' it takes any number of parts, none included. A glob that is not sound
 * matches nothing. */
bool bkc_glob(const char *glob, const char *path);
/* The rule of --component and --only: the glob matches name or a folder above it. */
bool bkc_glob_beneath(const char *glob, const char *name);

#endif
