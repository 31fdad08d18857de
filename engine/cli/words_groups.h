/* The groups of a dry run, in words. */
#ifndef BK_WORDS_GROUPS_H
#define BK_WORDS_GROUPS_H

#include <jansson.h>

/* Of the event "plan" of a run: what would be held, and for how long it was the last time. */
void bk_words_held_groups(const json_t *event);

#endif
