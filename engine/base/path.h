/* Paths as text; nothing here touches the file system but bk_path_absolute (for getcwd). */
#ifndef BK_PATH_H
#define BK_PATH_H

#include "base/err.h"
#include <stdbool.h>

/* base/name, normal: no "//", "." or (where it can be taken back) ".."; an absolute name stands
 * alone. Owned by the caller; NULL when out of memory. */
char *bk_path_join(const char *base, const char *name);
char *bk_path_absolute(const char *path); /* against the working directory */
char *bk_path_dir(const char *path);      /* "a/b" -> "a", "b" -> ".", "/b" -> "/" */
const char *bk_path_base(const char *path);
/* Relative, not empty, no empty, "." or ".." part: may be joined to a directory and stays in it. */
bool bk_path_inside(const char *path);
/* As bk_path_inside, printable ASCII or UTF-8 without control characters and backslashes, at most
 * 512 bytes, no part over 200: a component's name, part of an object's name. */
bool bk_name_ok(const char *name);

#endif
