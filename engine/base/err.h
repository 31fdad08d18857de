/* How the engine says what went wrong: an int result and a struct bk_err as the last parameter. */
#ifndef BK_ERR_H
#define BK_ERR_H

#include <bakengine/plugin.h>

/* The engine's own results; BAKE_E_* (plugin.h) are used as well. */
enum {
    BK_E_USAGE = -101,   /* command line: exit 2 */
    BK_E_NOSTORE = -102, /* no such store or backup: exit 10 */
    BK_E_LOCKED = -103,  /* exit 11 */
    BK_E_VERIFY = -104,  /* verification failed: exit 4 */
    BK_E_PARTIAL = -105  /* some of it is not done: exit 3 */
};

struct bk_err {
    int rc; /* 0 while nothing went wrong */
    char text[1500];
    char hint[500]; /* "" or what to do next, without "HINT: " */
};

/* Sets err (may be NULL) and returns rc. Overwrites what was there. Lower case, no full stop,
 * subject in single quotes. A last line "HINT: ..." of the text goes to err->hint. */
int bk_fail(struct bk_err *err, int rc, const char *fmt, ...) BAKE_PRINTF(3, 4);
int bk_vfail(struct bk_err *err, int rc, const char *fmt, va_list ap) BAKE_PRINTF(3, 0);
/* The same with ": " and the text of errno `e`; rc follows from e (ENOSPC and EDQUOT are
 * BAKE_E_NOSPACE, ENOENT is BAKE_E_NOTFOUND, EEXIST is BAKE_E_EXISTS, ENOMEM is BAKE_E_NOMEM,
 * the rest BAKE_E_IO). */
int bk_fail_errno(struct bk_err *err, int e, const char *fmt, ...) BAKE_PRINTF(3, 4);
/* Puts "<fmt...>: " before the text that is there. Returns err->rc. */
int bk_prefix(struct bk_err *err, const char *fmt, ...) BAKE_PRINTF(2, 3);
void bk_hint(struct bk_err *err, const char *fmt, ...) BAKE_PRINTF(2, 3);
int bk_nomem(struct bk_err *err);
void bk_err_clear(struct bk_err *err);

/* The exit code for a result (design: 0 1 2 3 4 10 11 12 130). */
int bk_exit_code(int rc);
/* Of two results the one whose exit code is said (12, 11, 10, 2, 1, 4, 3, 0, in that order). */
int bk_worse(int rc_a, int rc_b);

#endif
