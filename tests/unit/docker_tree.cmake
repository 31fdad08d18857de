# Reading trees of containers. Where BAKE_TEST_DOCKER names a daemon's socket they are read.
bake_unit_test(docker_tar DEPENDS bake_docker fakehost)
foreach(part tree prove)
  bake_unit_test(docker_${part} DEPENDS bake_docker fakehost TIMEOUT 300)
  set_tests_properties(unit.docker_${part} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
