/* Sorted runs of names in an unlinked temporary file, merged while they are read back. */
#ifndef BKC_WALK_RUNS_H
#define BKC_WALK_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct bkc_walk_runs;

int bkc_walk_runs_new(struct bkc_walk_runs **ret); /* 0 or an errno: there is no place for them */
/* Appends one run: the n names at arena + order[i], already sorted. 0 or an errno; a run that
 * could not be written is not there. */
int bkc_walk_runs_add(struct bkc_walk_runs *r, const char *arena, const uint32_t *order, size_t n);
/* After the last run: the first name of all. */
int bkc_walk_runs_start(struct bkc_walk_runs *r);
/* The least name that was not yet taken, or NULL: none is left. Good until bkc_walk_runs_take(). */
const char *bkc_walk_runs_peek(const struct bkc_walk_runs *r);
int bkc_walk_runs_take(struct bkc_walk_runs *r);  /* 0 or an errno */
void bkc_walk_runs_free(struct bkc_walk_runs *r); /* NULL is fine */

#endif
