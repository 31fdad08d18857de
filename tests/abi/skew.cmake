# Writes ${next_include}/bakengine/plugin.h: the header as its next minor could be, with a member
# appended to every struct that carries its size. Fails when the header no longer has those ends.
file(READ ${PROJECT_SOURCE_DIR}/include/bakengine/plugin.h header)

function(bake_append struct member)
  string(REGEX MATCH "\nstruct ${struct} {[^}]*\n};" body "${header}")
  if(NOT body)
    message(FATAL_ERROR "plugin.h has no 'struct ${struct}' that could be appended to")
  endif()
  string(REGEX REPLACE "\n};$" "\n    ${member}\n};" longer "${body}")
  string(REPLACE "${body}" "${longer}" header "${header}")
  set(header "${header}" PARENT_SCOPE)
endfunction()

bake_append(bake_plugin "int (*next_call)(struct bake_ctx *);")
bake_append(bake_option "const char *next_text;")
bake_append(bake_source_ops "int (*next_call)(void *self);")
bake_append(bake_transform_ops "int (*next_call)(void *self);")
bake_append(bake_sink_ops "int (*next_call)(void *self);")
if(NOT header MATCHES "#define BAKE_ABI_MINOR ([0-9]+)")
  message(FATAL_ERROR "plugin.h has no BAKE_ABI_MINOR")
endif()
math(EXPR next_minor "${CMAKE_MATCH_1} + 1")
string(REGEX REPLACE "#define BAKE_ABI_MINOR [0-9]+" "#define BAKE_ABI_MINOR ${next_minor}"
       header "${header}")
file(CONFIGURE OUTPUT ${next_include}/bakengine/plugin.h CONTENT "${header}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/include/bakengine/plugin.h)
