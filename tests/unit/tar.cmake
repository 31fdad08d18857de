# The tar writer and reader of engine/store.
bake_unit_test(tar DEPENDS bake_store TIMEOUT 120)
bake_unit_test(tar_gnu DEPENDS bake_store bake_tree TIMEOUT 120)
