/* What the YAML reader and the pass that fills in ${...} share. */
#ifndef BK_YAML_INTERNAL_H
#define BK_YAML_INTERNAL_H

#include "config/optmem.h"
#include "config/yaml.h"

/* A node as the reader keeps it. */
struct bk_ynode {
    struct bk_node node; /* first: a struct bk_node * of a tree is one of these */
    unsigned height;     /* collections from here down, itself included */
    bool done;           /* bk_yaml_fill() has been here */
    size_t weight;       /* nodes from here down, aliases counted as often as used */
    struct bk_ydup *dups;
};

struct bk_ydup { /* a key that a map had already */
    struct bk_ydup *next;
    const struct bk_node *key, *first;
};

struct bk_yaml {
    struct bk_optmem *mem;
    struct bk_ynode *root;
    size_t filled; /* bytes that ${...} made: limited like the file itself */
    bool is_public;
};

/* Text that must not reach libyaml, which would not say where it is: bytes that are not UTF-8, NUL
 * and other control characters. False: reported. */
bool bk_yaml_check_text(const char *text, size_t n, struct bk_diags *diags);

/* Completes a map: duplicate keys are noted, "<<" is resolved. 0, 1 (reported) or negative. */
int bk_yaml_finish_map(struct bk_yaml *y, struct bk_ynode *map, struct bk_diags *diags,
                       struct bk_err *err);

#endif
