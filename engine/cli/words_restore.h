/* Putting what a restore tells of groups into words. */
#ifndef BK_WORDS_RESTORE_H
#define BK_WORDS_RESTORE_H

#include <jansson.h>

/* A "group" event. */
void bk_words_group(const json_t *event);
/* The groups of a restore's "plan". */
void bk_words_group_plan(const json_t *event);

#endif
