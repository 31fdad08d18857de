# bakengine_add_plugin(sink-flat SOURCES a.c b.c [LIBRARIES CURL::libcurl ...]
#                      [DESTINATION dir] [NO_INSTALL])
#
# A loadable module <kind>-<name>.so that exports its entry point alone and refers to nothing that
# its libraries do not have. Installed to DESTINATION, by default where the engine that was found
# looks for plugins.
function(bakengine_add_plugin name)
  cmake_parse_arguments(P "NO_INSTALL" "DESTINATION" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT name MATCHES "^(source|transform|sink)-[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    message(FATAL_ERROR "bakengine_add_plugin: '${name}' is not <kind>-<name>, with kind source, "
                        "transform or sink")
  endif()
  if(NOT P_SOURCES OR P_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "bakengine_add_plugin: usage: ${name} SOURCES file... [LIBRARIES target...] "
                        "[DESTINATION dir] [NO_INSTALL]")
  endif()
  add_library(${name} MODULE ${P_SOURCES})
  target_link_libraries(${name} PRIVATE Bakengine::headers ${P_LIBRARIES})
  set_target_properties(${name} PROPERTIES
    PREFIX "" SUFFIX ".so" POSITION_INDEPENDENT_CODE ON
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  # The sanitizers' own functions come from the program.
  if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS} ${CMAKE_MODULE_LINKER_FLAGS}" MATCHES "-fsanitize")
    target_link_options(${name} PRIVATE -Wl,-z,defs)
  endif()
  if(NOT P_NO_INSTALL)
    if(NOT P_DESTINATION)
      set(P_DESTINATION ${Bakengine_PLUGIN_DIR})
    endif()
    install(TARGETS ${name} LIBRARY DESTINATION ${P_DESTINATION} NAMELINK_SKIP)
  endif()
endfunction()
