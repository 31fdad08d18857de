# transform-zstd's sources are linked in, so that the fuzzer sees their branches.
set(plugin ${PROJECT_SOURCE_DIR}/plugins/transform-zstd)
bake_fuzz_target(zstd DEPENDS bake_base PkgConfig::ZSTD)
target_sources(fuzz_zstd PRIVATE ${plugin}/stream.c ${plugin}/params.c ${plugin}/memory.c
  ${PROJECT_SOURCE_DIR}/tests/conformance/host.c)
