# Stores, against sinks and transforms within the test programs (flow.cmake).
add_library(store_kit STATIC storekit.c)
target_link_libraries(store_kit PUBLIC fake_plugins bake_store PkgConfig::CMOCKA)
target_include_directories(store_kit PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
bake_flags(store_kit)

foreach(part sink store filesum layout listing listing_mtree manifest
    manifest_bad manifest_groups objw lag objr comp comp_damage catalog spool bundle foreign)
  bake_unit_test(${part} DEPENDS store_kit)
endforeach()

# Memory that runs out: the calls of everything that is linked statically.
bake_unit_test(store_nomem DEPENDS store_kit)
target_sources(test_store_nomem PRIVATE failmalloc.c)
target_link_options(test_store_nomem PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup)

# Transforms that only a manifest names, loaded as plugins.
bake_plugin(transform-needs-key NO_INSTALL DIRECTORY ${PROJECT_BINARY_DIR}/tests/store-plugins
  SOURCES transform-needs-key.c)
bake_unit_test(transforms DEPENDS store_kit)
add_dependencies(test_transforms transform-zstd transform-needs-key)
set_tests_properties(unit.transforms PROPERTIES ENVIRONMENT
  "BAKENGINE_PLUGIN_PATH=${BAKE_BUILD_PLUGINS}:${PROJECT_BINARY_DIR}/tests/store-plugins")
set_tests_properties(unit.bundle PROPERTIES TIMEOUT 180) # under ThreadSanitizer
