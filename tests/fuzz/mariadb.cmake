bake_fuzz_target(my_scan DEPENDS bake_mariadb)
bake_fuzz_target(my_xb DEPENDS bake_mariadb)
