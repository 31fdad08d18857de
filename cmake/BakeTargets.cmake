# One function per kind of target.

# bake_layer(base DEPENDS OpenSSL::Crypto): a static library from the sources in this folder.
function(bake_layer name)
  cmake_parse_arguments(P "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  add_library(bake_${name} STATIC ${sources})
  target_link_libraries(bake_${name} PUBLIC bake_headers ${P_DEPENDS})
  target_compile_definitions(bake_${name} PRIVATE BAKE_VERSION="${PROJECT_VERSION}")
  bake_flags(bake_${name})
endfunction()

# bake_plugin(sink-local DEPENDS bake_common): a loadable module from the sources in this folder.
# NO_INSTALL and DIRECTORY serve the tests' own plugins.
function(bake_plugin name)
  cmake_parse_arguments(P "NO_INSTALL" "DIRECTORY" "SOURCES;DEPENDS" ${ARGN})
  if(NOT P_SOURCES)
    file(GLOB P_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  endif()
  if(NOT P_DIRECTORY)
    set(P_DIRECTORY ${BAKE_BUILD_PLUGINS})
  endif()
  add_library(${name} MODULE ${P_SOURCES})
  target_link_libraries(${name} PRIVATE bake_headers ${P_DEPENDS})
  bake_flags(${name})
  set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${P_DIRECTORY})
  if(NOT BAKE_SANITIZE)
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  if(NOT P_NO_INSTALL)
    install(TARGETS ${name} LIBRARY DESTINATION ${BAKE_PLUGIN_DIR} NAMELINK_SKIP)
  endif()
endfunction()

# bake_unit_test(ring DEPENDS bake_flow): one cmocka program, one test, from unit/test_ring.c.
function(bake_unit_test name)
  cmake_parse_arguments(P "" "SOURCE;TIMEOUT" "DEPENDS;LABELS" ${ARGN})
  if(NOT P_SOURCE)
    set(P_SOURCE test_${name}.c)
  endif()
  if(NOT P_TIMEOUT)
    set(P_TIMEOUT 60)
  endif()
  if(BAKE_SANITIZE) # ten times the work
    math(EXPR P_TIMEOUT "${P_TIMEOUT} * 4")
  endif()
  add_executable(test_${name} ${P_SOURCE})
  target_link_libraries(test_${name} PRIVATE ${P_DEPENDS} PkgConfig::CMOCKA)
  bake_flags(test_${name})
  set_target_properties(test_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME unit.${name} COMMAND test_${name})
  set_tests_properties(unit.${name} PROPERTIES TIMEOUT ${P_TIMEOUT} LABELS "unit;${P_LABELS}")
endfunction()

# bake_fuzz_target(yaml DEPENDS bake_config): libFuzzer over fuzz_yaml.c and its corpus folder. In
# every other preset the same source replays the corpus, so that it cannot rot.
function(bake_fuzz_target name)
  cmake_parse_arguments(P "" "" "DEPENDS" ${ARGN})
  add_executable(fuzz_${name} fuzz_${name}.c)
  target_link_libraries(fuzz_${name} PRIVATE ${P_DEPENDS})
  bake_flags(fuzz_${name})
  set_target_properties(fuzz_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  if(BAKE_FUZZ)
    target_compile_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(fuzz_${name} PRIVATE replay.c)
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 60 LABELS "fuzz")
  endif()
endfunction()

# bake_slots(): at the end of a folder of tests. ctest counts slots, of which a processor has two: a
# test takes both, but for those that say PROCESSORS 1, which mostly wait for others (a Docker Engine).
function(bake_slots)
  get_directory_property(tests TESTS)
  foreach(test ${tests})
    get_test_property(${test} PROCESSORS slots)
    if(NOT slots)
      set_tests_properties(${test} PROPERTIES PROCESSORS 2)
    endif()
  endforeach()
endfunction()
