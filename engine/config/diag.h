/* Mistakes of a file, collected so that all are said at once: "FILE:LINE:COL: message". */
#ifndef BK_DIAG_H
#define BK_DIAG_H

#include "base/err.h"
#include <stdbool.h>

struct bk_pos {
    int line, col; /* from 1; 0: the file as a whole */
};

struct bk_diags;

int bk_diags_new(const char *file, struct bk_diags **ret, struct bk_err *err);
void bk_diags_free(struct bk_diags *d);
static inline void bk_diags_drop(struct bk_diags **d) { bk_diags_free(*d); } /* BK_CLEANUP */
void bk_diag_error(struct bk_diags *d, struct bk_pos at, const char *fmt, ...) BAKE_PRINTF(3, 4);
void bk_diag_notice(struct bk_diags *d, struct bk_pos at, const char *fmt, ...) BAKE_PRINTF(3, 4);
size_t bk_diags_errors(const struct bk_diags *d);
/* In the file's order, errors and notices; text is one masked, printable line without the place;
 * line and column are 0 for the whole file. At most 100 errors are kept; the last says how many
 * more there were. The same text at the same place (an anchor used twice) is kept once. */
void bk_diags_each(const struct bk_diags *d,
                   void (*each)(void *arg, const char *file, struct bk_pos at, bool is_error,
                                const char *text),
                   void *arg);
/* Prints all to standard error as "FILE:LINE:COL: text" ("... notice: text"). */
void bk_diags_print(const struct bk_diags *d);

#define BK_QUOTE_CAP 96
/* A value as a message shows it: masked, cut to a few words. Returns out. */
const char *bk_quote(char out[BK_QUOTE_CAP], const char *text);

#endif
