# What authors of plugins need of an installed engine: a pkg-config file and a CMake package. Include
# after GNUInstallDirs, BakeOptions and project(), before the first add_subdirectory().
include(CMakePackageConfigHelpers)

# The engine refuses plugins in a directory that others can write to, whatever the umask is.
if(NOT DEFINED CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS)
  set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
endif()

# The header is the one place that knows the interface's version.
set(bake_abi_header ${PROJECT_SOURCE_DIR}/include/bakengine/plugin.h)
foreach(part MAJOR MINOR)
  file(STRINGS ${bake_abi_header} line REGEX "^#define BAKE_ABI_${part} ")
  string(REGEX REPLACE "^#define BAKE_ABI_${part} ([0-9]+).*" "\\1" BAKE_ABI_${part} "${line}")
  if(NOT BAKE_ABI_${part} MATCHES "^[0-9]+$")
    message(FATAL_ERROR "plugin.h has no BAKE_ABI_${part}")
  endif()
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${bake_abi_header})

# ---- pkg-config: absolute directories stay, the others are found from the file's own place ----
set(bake_pc_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(IS_ABSOLUTE ${bake_pc_dir})
  set(BAKE_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH bake_up /p/${bake_pc_dir} /p)
  string(REGEX REPLACE "/$" "" bake_up "${bake_up}")
  set(BAKE_PC_PREFIX "\${pcfiledir}/${bake_up}")
endif()
function(bake_pc_path result dir)
  if(IS_ABSOLUTE ${dir})
    set(${result} ${dir} PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${dir}" PARENT_SCOPE)
  endif()
endfunction()
bake_pc_path(BAKE_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
bake_pc_path(BAKE_PC_PLUGINDIR ${BAKE_PLUGIN_DIR})
configure_file(${CMAKE_CURRENT_LIST_DIR}/bakengine.pc.in ${PROJECT_BINARY_DIR}/bakengine.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/bakengine.pc DESTINATION ${bake_pc_dir})

# ---- CMake package ----
set(bake_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Bakengine)
set(BAKE_PKG_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
set(BAKE_PKG_PLUGINDIR ${BAKE_PLUGIN_DIR})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/BakengineConfig.cmake.in
  ${PROJECT_BINARY_DIR}/BakengineConfig.cmake
  INSTALL_DESTINATION ${bake_cmake_dir}
  PATH_VARS BAKE_PKG_INCLUDEDIR BAKE_PKG_PLUGINDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/BakengineConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMajorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/BakengineConfig.cmake
  ${PROJECT_BINARY_DIR}/BakengineConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/BakengineAddPlugin.cmake
  DESTINATION ${bake_cmake_dir})
