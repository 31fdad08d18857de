/* Feeds bytes to the YAML reader, ${...} included, and walks the tree that comes out. */
#include "config/env.h"
#include "config/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The promises of yaml.h: every scalar has text, nothing is deeper or more than it says. */
static size_t walk(const struct bk_node *n, unsigned depth)
{
    size_t nodes = 1;
    if (n->type == BK_SCALAR) {
        if (!n->text)
            abort();
        return 1;
    }
    if (depth > BK_YAML_MAX_DEPTH)
        abort();
    for (size_t i = 0; i < n->n; i++) {
        nodes += walk(n->items[i], depth + 1);
        if (n->type == BK_MAP)
            nodes += walk(n->keys[i], depth + 1);
    }
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bk_diags *diags = NULL;
    struct bk_yaml *yaml = NULL;
    struct bk_env *env = NULL;
    struct bk_err err = {0};
    if (bk_diags_new("fuzz.yaml", &diags, &err) < 0 || bk_env_new(&env, &err) < 0)
        abort();
    if (bk_yaml_parse((const char *)data, size, env, diags, &yaml, &err) < 0)
        abort(); /* only memory may fail here */
    const struct bk_node *root = bk_yaml_root(yaml);
    if (!root && bk_diags_errors(diags) == 0)
        abort();
    if (root && walk(root, 1) > BK_YAML_MAX_NODES)
        abort();
    bk_yaml_free(yaml);
    bk_env_free(env);
    bk_diags_free(diags);
    return 0;
}
