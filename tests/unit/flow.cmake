# Rings, flows, chains. The plugins within the test programs serve the store's tests too.
add_library(fake_plugins STATIC memsink.c faketransform.c)
target_link_libraries(fake_plugins PUBLIC bake_flow)
target_include_directories(fake_plugins PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
bake_flags(fake_plugins)

bake_unit_test(ring DEPENDS bake_flow)
bake_unit_test(flow DEPENDS bake_flow)
bake_unit_test(chain DEPENDS fake_plugins)
bake_unit_test(chain_zstd DEPENDS fake_plugins)
add_dependencies(test_chain_zstd transform-zstd)
set_tests_properties(unit.chain_zstd PROPERTIES
  ENVIRONMENT "BAKENGINE_PLUGIN_PATH=${BAKE_BUILD_PLUGINS}")
