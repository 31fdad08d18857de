/* Events put into words for people, on standard output. */
#ifndef BK_WORDS_H
#define BK_WORDS_H

#include <jansson.h>
#include <stdint.h>

/* Members of an event; "" and 0 for what is not there. */
const char *bk_event_str(const json_t *event, const char *key);
uint64_t bk_event_num(const json_t *event, const char *key);

/* component, verified, retention, plan, summary; others are passed over. */
void bk_words(const char *type, const json_t *event);

#endif
