bake_fuzz_target(pack DEPENDS bake_store)
