/* Putting what a restore tells of groups into words. */
#ifndef BK_WORDS_RESTORE_H
#define BK_WORDS_RESTORE_H

#include <jansson.h>

/* A "group" event. */
void bk_words_group(const json_t *event);
/* A "drill" event, or a group of a drill's record. */
void bk_words_drill(const json_t *group);
/* A restore's "plan": how it is to be done, and its groups. */
void bk_words_choices(const json_t *event);
void bk_words_group_plan(const json_t *event);

#endif
