# The log archive: the store's part, PostgreSQL's names, gaps, what prune keeps.
bake_unit_test(wal DEPENDS store_kit)
bake_unit_test(wal_faults DEPENDS store_kit)
bake_unit_test(wal_name DEPENDS bake_run)
bake_unit_test(wal_chain DEPENDS bake_run store_kit)
bake_unit_test(wal_keep DEPENDS bake_run store_kit)

bake_unit_test(wal_nomem DEPENDS bake_run store_kit)
target_sources(test_wal_nomem PRIVATE failmalloc.c)
target_link_options(test_wal_nomem PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
