# sink-local, through its .so as an engine has it. The faults need the test's own write(), fsync()
# and so on to stand before the C library's: its symbols are exported.
set(conformance ${PROJECT_SOURCE_DIR}/tests/conformance)
foreach(test sinklocal sinklocal_mounts sinklocal_faults)
  bake_unit_test(${test} DEPENDS bake_headers Threads::Threads ${CMAKE_DL_LIBS})
  add_dependencies(test_${test} sink-local)
  target_sources(test_${test} PRIVATE sinklocal_kit.c ${conformance}/host.c
    ${conformance}/options.c ${conformance}/report.c ${conformance}/subject.c)
  target_compile_definitions(test_${test} PRIVATE SINK_LOCAL="$<TARGET_FILE:sink-local>")
endforeach()
set_target_properties(test_sinklocal_faults PROPERTIES ENABLE_EXPORTS ON)
