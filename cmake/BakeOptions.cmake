# How everything is compiled: one function that each kind of target calls, no global flags.

option(BAKE_WERROR "Warnings are errors" OFF)
option(BAKE_HARDEN "Hardening flags, as a release wants them" OFF)
option(BAKE_FUZZ "Build the fuzz targets (clang)" OFF)
set(BAKE_SANITIZE "" CACHE STRING "Sanitizers for every target: address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The build tree is laid out as the installed one, so that plugins are found from the binary.
set(BAKE_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/bakengine/plugins)
set(BAKE_BUILD_BIN ${PROJECT_BINARY_DIR}/bin)
set(BAKE_BUILD_PLUGINS ${PROJECT_BINARY_DIR}/lib/bakengine/plugins)

function(bake_flags target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    CXX_STANDARD 11 CXX_STANDARD_REQUIRED ON
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE _FILE_OFFSET_BITS=64)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2
    -Wmissing-declarations
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>)
  if(BAKE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(BAKE_HARDEN)
    target_compile_options(${target} PRIVATE
      -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(${target} PRIVATE -Wl,-z,relro,-z,now,-z,noexecstack)
  endif()
  if(BAKE_FUZZ) # so that the fuzzers see which code an input reaches
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
  if(BAKE_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${BAKE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${BAKE_SANITIZE})
    if(BAKE_SANITIZE STREQUAL "thread") # it is by far the slowest
      target_compile_options(${target} PRIVATE -O1)
    endif()
  endif()
endfunction()
