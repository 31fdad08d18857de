/* What the files that implement options.h share. */
#ifndef BK_OPTIONS_INTERNAL_H
#define BK_OPTIONS_INTERNAL_H

#include "config/options.h"

struct bk_opt_run { /* one bk_options_apply() */
    const struct bk_opt_job *job;
    const struct bk_node *map;
    void *cfg;
    struct bk_optmem *mem;
    struct bk_diags *diags;
    struct bk_err *err;
};

/* Stores a value that is there; mistakes go to diags, negative only for memory. */
int bk_option_store(const struct bk_opt_run *run, const struct bake_option *o,
                    const struct bk_node *node);
/* An absolute, normal path from a value; *ret stays NULL after a mistake. */
int bk_option_path(const struct bk_opt_run *run, const char *key, const struct bk_node *node,
                   const char **ret);
int bk_option_secret(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *node);
int bk_option_secret_file(const struct bk_opt_run *run, const struct bake_option *o,
                          const struct bk_node *node);

/* "'key' must be <wanted>, got ..." */
void bk_option_wrong(const struct bk_opt_run *run, const char *key, const struct bk_node *node,
                     const char *wanted);

static inline void *bk_option_at(void *cfg, const struct bake_option *o)
{
    return (char *)cfg + o->offset;
}

#define BK_FILE_KEY_CAP 128
/* "password" -> "password_file". Returns out. */
const char *bk_option_file_key(char out[BK_FILE_KEY_CAP], const struct bake_option *o);

/* A number of bytes or milliseconds in the largest unit that is exact. Returns out. */
#define BK_EXACT_CAP 32
const char *bk_option_exact_size(char out[BK_EXACT_CAP], uint64_t bytes);
const char *bk_option_exact_duration(char out[BK_EXACT_CAP], uint64_t ms);

extern const struct bake_option bk_path_item_options[]; /* {path: P, optional: true} */

#endif
