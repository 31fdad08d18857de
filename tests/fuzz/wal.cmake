bake_fuzz_target(wal DEPENDS bake_run)
