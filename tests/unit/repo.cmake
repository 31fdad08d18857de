# The parts of the repository format (store.cmake has the kit).
bake_unit_test(codec DEPENDS bake_base)
foreach(part chunker pack stream entrycodec index_run index_table)
  bake_unit_test(${part} DEPENDS bake_store)
endforeach()
bake_unit_test(sealed DEPENDS store_kit)
foreach(part index index_fit index_mark index_replace)
  bake_unit_test(${part} DEPENDS store_kit TIMEOUT 300)
endforeach()
bake_unit_test(packer DEPENDS store_kit TIMEOUT 300)
add_dependencies(test_packer transform-zstd)
set_tests_properties(unit.packer PROPERTIES
  ENVIRONMENT "BAKENGINE_PLUGIN_PATH=${BAKE_BUILD_PLUGINS}")

# Memory and time of lookups among 10,000 and 10,000,000 chunks.
add_executable(index_memory ${PROJECT_SOURCE_DIR}/bench/index_memory.c)
target_link_libraries(index_memory PRIVATE bake_store)
bake_flags(index_memory)
set_target_properties(index_memory PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_test(NAME bench.index_memory COMMAND index_memory 1000000)
set_tests_properties(bench.index_memory PROPERTIES TIMEOUT 60 LABELS "bench")
if(BAKE_SANITIZE) # which would be measured too
  set_tests_properties(bench.index_memory PROPERTIES LABELS "bench;heavy")
endif()
add_test(NAME bench.index_memory_long COMMAND index_memory)
set_tests_properties(bench.index_memory_long PROPERTIES TIMEOUT 300 LABELS "bench;long")
