/* Option tables applied to a YAML map: one table parses, checks, documents and yields the schema.
 */
#ifndef BK_OPTIONS_H
#define BK_OPTIONS_H

#include "config/optmem.h"
#include "config/yaml.h"
#include <jansson.h>

struct bk_opt_job {
    const struct bake_option *options; /* ended by a NULL key */
    const char *const *also; /* keys that are read elsewhere ("plugin", "name"), or NULL */
    const char *what;        /* "source-files", "retention": for messages */
    const char *dir;         /* what relative paths are relative to */
    bool partial;            /* keys that are not in this table are checked by somebody else */
    bool is_public;          /* others can read the file: a secret that stands in it is refused */
};

/* Fills cfg (zeroed by the caller) with defaults and the map's values. map may be NULL: nothing
 * given. Every mistake goes to diags: unknown keys with a suggestion and the list of valid ones, a
 * wrong type, out of range, required but missing (at the map's position), K and K_file both given,
 * an unreadable secret file. A key whose ${...} gave nothing counts as not given. Everything that
 * cfg points at is in mem. Returns 0 whatever the diags hold; negative only for memory. */
int bk_options_apply(const struct bk_opt_job *job, const struct bk_node *map, void *cfg,
                     struct bk_optmem *mem, struct bk_diags *diags, struct bk_err *err);

/* What was set, for the manifest and --dry-run: {"key": value}; secrets are "***" and every other
 * text is masked; with a map only what it gives. A new reference; NULL: out of memory. */
json_t *bk_options_json(const struct bake_option *options, const void *cfg,
                        const struct bk_node *map_or_null_for_all);

/* JSON Schema (2020-12) of one table: {"type":"object","properties":...}, where each key of `also`
 * may be anything until the caller says more. A new reference; NULL: out of memory. */
json_t *bk_options_schema(const struct bake_option *options, const char *const *also);

#endif
