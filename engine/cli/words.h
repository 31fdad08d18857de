/* Events put into words for people, on standard output. */
#ifndef BK_WORDS_H
#define BK_WORDS_H

#include <jansson.h>

/* component, verified, retention, plan, summary; others are passed over. */
void bk_words(const char *type, const json_t *event);

#endif
