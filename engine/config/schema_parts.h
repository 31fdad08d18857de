/* Pieces of JSON Schema that option tables and the pipeline's own keys are made of. A NULL handed
 * in is passed on, so that memory is checked once, at the end. */
#ifndef BK_SCHEMA_PARTS_H
#define BK_SCHEMA_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#define BK_PATTERN_FILLED "\\$\\{" /* a text that holds ${...} */

/* Sets key and takes v; object becomes NULL (and is freed) when either is. */
json_t *bk_schema_with(json_t *object, const char *key, json_t *v);
/* {"type": type, "pattern": pattern}; pattern may be NULL. */
json_t *bk_schema_text(const char *pattern);
/* Text that matches, or that holds ${...}: {"type":"string","pattern":"<pattern>|\\$\\{"}. */
json_t *bk_schema_pattern(const char *pattern);
/* {"anyOf":[a, b]}; takes both. */
json_t *bk_schema_either(json_t *a, json_t *b);
/* Whatever `schema` takes, or text that holds ${...}. Takes schema. */
json_t *bk_schema_or_filled(json_t *schema);
/* {"type":"array","items":items}; takes items. */
json_t *bk_schema_list(json_t *items, bool not_empty);

#endif
