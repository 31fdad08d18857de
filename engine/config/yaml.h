/* A YAML file as a tree with positions. Read with libyaml; one document; anchors and merge keys
 * are resolved; duplicate keys, cycles and bombs are errors. Nothing is executed. */
#ifndef BK_YAML_H
#define BK_YAML_H

#include "config/diag.h"
#include <stddef.h>

enum bk_node_type { BK_SCALAR, BK_SEQ, BK_MAP };

struct bk_node {
    enum bk_node_type type;
    struct bk_pos at; /* of an alias: where its anchor is */
    /* scalar */
    const char *text; /* UTF-8, after ${...} was filled in; no NUL inside */
    bool quoted;      /* '...' or "..." or a block: never null, a number or a boolean */
    bool filled;      /* ${...} was filled in: a number or boolean though quoted; empty is absent */
    bool bad;         /* ${...} could not be filled in: that was reported, so no more about it */
    /* sequence: items[0..n); map: keys[i] -> items[i], in the file's order */
    size_t n;
    struct bk_node **items;
    struct bk_node **keys; /* scalars */
};

#define BK_YAML_MAX_BYTES   (4u << 20)
#define BK_YAML_MAX_NODES   100000u /* after aliases are resolved */
#define BK_YAML_MAX_DEPTH   64u
#define BK_YAML_MAX_ANCHORS 1000u

struct bk_env;
struct bk_yaml;

/* Mistakes go to diags; the root is NULL after those of syntax. err and a negative result only for
 * what is not the file's content: it cannot be read (NOTFOUND), is too large, is no memory. With an
 * env bk_yaml_fill() is called for the whole tree. */
int bk_yaml_load(const char *path, const struct bk_env *env, struct bk_diags *diags,
                 struct bk_yaml **ret, struct bk_err *err);
/* The same from memory, for tests and fuzzing. */
int bk_yaml_parse(const char *text, size_t n, const struct bk_env *env, struct bk_diags *diags,
                  struct bk_yaml **ret, struct bk_err *err);
const struct bk_node *bk_yaml_root(const struct bk_yaml *y);
bool bk_yaml_is_public(const struct bk_yaml *y); /* others can read the file */
void bk_yaml_free(struct bk_yaml *y);            /* wipes the memory: values may be secrets */
static inline void bk_yaml_drop(struct bk_yaml **y) { bk_yaml_free(*y); } /* BK_CLEANUP */

struct bk_fill {
    const struct bk_env *env;
    bool quiet_unset;        /* an unset variable only makes its value `bad` */
    const char *const *only; /* of the node's own keys these alone (NULL-ended); NULL: all */
};
/* Checks and fills in a part of the tree, once for each node: reports duplicate keys, and fills in
 * ${NAME} and ${NAME:-default} in every value ("$$" is a '$'; in the default the same holds).
 * Negative only for memory. */
int bk_yaml_fill(struct bk_yaml *y, const struct bk_node *node, const struct bk_fill *how,
                 struct bk_diags *diags, struct bk_err *err);

/* Value of key in a map, or NULL; *ret_key (may be NULL) is the key's own node. */
const struct bk_node *bk_map_get(const struct bk_node *map, const char *key,
                                 const struct bk_node **ret_key);
bool bk_node_is_null(const struct bk_node *n);     /* NULL, "", "~", "null" unless quoted */
bool bk_node_has_bad(const struct bk_node *n);     /* `bad` is set here or below; NULL: false */
const char *bk_node_kind(const struct bk_node *n); /* "a list", "a map", "text" */

#endif
