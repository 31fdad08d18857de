# The parts of the repository format (store.cmake has the kit).
bake_unit_test(codec DEPENDS bake_base)
foreach(part chunker pack stream entrycodec index_run)
  bake_unit_test(${part} DEPENDS bake_store)
endforeach()
bake_unit_test(packer DEPENDS store_kit TIMEOUT 300)
bake_unit_test(index DEPENDS store_kit TIMEOUT 120)
add_dependencies(test_packer transform-zstd)
set_tests_properties(unit.packer PROPERTIES
  ENVIRONMENT "BAKENGINE_PLUGIN_PATH=${BAKE_BUILD_PLUGINS}")
