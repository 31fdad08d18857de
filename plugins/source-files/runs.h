/* Sorted runs of names in an unlinked temporary file, merged while they are read back. */
#ifndef FILES_RUNS_H
#define FILES_RUNS_H

#include <stddef.h>
#include <stdint.h>

struct files_runs;

int files_runs_new(struct files_runs **ret); /* 0 or an errno: there is no place for them */
/* Appends one run: the n names at arena + order[i], already sorted. 0 or an errno; a run that
 * could not be written is not there. */
int files_runs_add(struct files_runs *r, const char *arena, const uint32_t *order, size_t n);
/* After the last run: the first name of all. */
int files_runs_start(struct files_runs *r);
/* The least name that was not yet taken, or NULL: none is left. Good until files_runs_take(). */
const char *files_runs_peek(const struct files_runs *r);
int files_runs_take(struct files_runs *r);  /* 0 or an errno */
void files_runs_free(struct files_runs *r); /* NULL is fine */

#endif
