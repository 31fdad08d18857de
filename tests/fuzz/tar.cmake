bake_fuzz_target(tar DEPENDS bake_store)
