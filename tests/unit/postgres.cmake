# The PostgreSQL source without a server.
foreach(part scan scan_custom names options tools said words inspect conn)
  bake_unit_test(pg_${part} DEPENDS bake_postgres fakehost)
endforeach()

# Memory that runs out.
bake_unit_test(pg_nomem DEPENDS bake_postgres fakehost)
target_sources(test_pg_nomem PRIVATE failmalloc.c)
target_link_options(test_pg_nomem PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
