bake_fuzz_target(pg_scan DEPENDS bake_postgres)
