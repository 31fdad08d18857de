bake_fuzz_target(yaml DEPENDS bake_config)
