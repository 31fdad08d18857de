# The extractor of common/tree.
bake_unit_test(tree_safe DEPENDS bake_tree)
bake_unit_test(tree_meta DEPENDS bake_tree)
bake_unit_test(tree_limits DEPENDS bake_tree)
bake_unit_test(tree_threads DEPENDS bake_tree)
