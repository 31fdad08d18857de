bake_fuzz_target(pg_base DEPENDS bake_postgres)
