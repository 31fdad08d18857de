bake_fuzz_target(manifest DEPENDS bake_store)
bake_fuzz_target(listing DEPENDS bake_store)
