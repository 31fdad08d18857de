# The files source, driven through its ops table by a host of our own.
add_library(fakehost STATIC fakehost.c)
target_link_libraries(fakehost PUBLIC bake_headers Threads::Threads)
target_include_directories(fakehost PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
bake_flags(fakehost)

file(GLOB files_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/plugins/source-files/*.c)
add_library(files_under_test STATIC ${files_sources})
target_link_libraries(files_under_test PUBLIC fakehost bake_match bake_tree bake_walk)
target_include_directories(files_under_test PUBLIC ${PROJECT_SOURCE_DIR}/plugins/source-files)
bake_flags(files_under_test)

foreach(area parts entries rules change restore)
  bake_unit_test(files_${area} DEPENDS files_under_test TIMEOUT 120)
endforeach()
