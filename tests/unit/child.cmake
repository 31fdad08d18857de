# Programs that are run, private directories, servers that are thrown away.
foreach(part child child_end child_secret scratch scratch_redeem)
  bake_unit_test(${part} DEPENDS bake_scratch fakehost TIMEOUT 180)
endforeach()

# Memory that runs out.
bake_unit_test(child_nomem DEPENDS bake_scratch fakehost)
target_sources(test_child_nomem PRIVATE failmalloc.c)
target_link_options(test_child_nomem PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)
