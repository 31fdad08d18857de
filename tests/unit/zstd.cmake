# transform-zstd, its sources linked into the tests: what it allocates is counted.
set(conformance ${PROJECT_SOURCE_DIR}/tests/conformance)
set(plugin ${PROJECT_SOURCE_DIR}/plugins/transform-zstd)
foreach(test zstd zstd_memory)
  bake_unit_test(${test} DEPENDS bake_headers PkgConfig::ZSTD Threads::Threads ${CMAKE_DL_LIBS}
    TIMEOUT 120)
  target_sources(test_${test} PRIVATE ${plugin}/stream.c ${plugin}/params.c ${plugin}/memory.c
    ${conformance}/host.c ${conformance}/options.c ${conformance}/report.c
    ${conformance}/subject.c)
endforeach()
# What a sanitizer allocates beside it says nothing of memory.
if(BAKE_SANITIZE)
  set_tests_properties(unit.zstd_memory PROPERTIES LABELS "unit;heavy")
endif()
