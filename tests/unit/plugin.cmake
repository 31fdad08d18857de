bake_unit_test(plugin_ctx DEPENDS bake_plugin)
bake_unit_test(plugin_search DEPENDS bake_plugin)
bake_unit_test(plugin_describe DEPENDS bake_plugin)
# These load plugins that tests/abi builds.
bake_unit_test(plugin_registry DEPENDS bake_plugin)
bake_unit_test(plugin_trust DEPENDS bake_plugin)
foreach(test plugin_registry plugin_trust)
  add_dependencies(test_${test} sink-sound source-sound)
  target_compile_definitions(test_${test} PRIVATE
    SOUND_SINK="$<TARGET_FILE:sink-sound>" SOUND_SOURCE="$<TARGET_FILE:source-sound>")
endforeach()

# The plugins of examples/, built here as well so that they are tested under the sanitizers.
set(examples ${PROJECT_SOURCE_DIR}/examples)
file(GLOB flat_sources CONFIGURE_DEPENDS ${examples}/sink-flat/*.c)
bake_plugin(sink-flat NO_INSTALL DIRECTORY ${PROJECT_BINARY_DIR}/tests/examples
  SOURCES ${flat_sources})
bake_plugin(source-hostfacts NO_INSTALL DIRECTORY ${PROJECT_BINARY_DIR}/tests/examples
  SOURCES ${examples}/source-hostfacts/hostfacts.c)
bake_unit_test(plugin_examples DEPENDS bake_plugin)
add_dependencies(test_plugin_examples sink-flat source-hostfacts)
target_compile_definitions(test_plugin_examples PRIVATE
  SINK_FLAT="$<TARGET_FILE:sink-flat>" SOURCE_HOSTFACTS="$<TARGET_FILE:source-hostfacts>")
