# Reading trees of containers; the last two with the tests' own daemon (tests/docker).
bake_unit_test(docker_tar DEPENDS bake_docker fakehost)
foreach(part tree prove)
  bake_unit_test(docker_${part} DEPENDS bake_docker fakehost TIMEOUT 300 LABELS docker heavy)
  set_tests_properties(unit.docker_${part} PROPERTIES FIXTURES_REQUIRED docker_bed
    RESOURCE_LOCK docker_bed # others look at all the containers there are
    ENVIRONMENT BAKE_TEST_DOCKER=${PROJECT_BINARY_DIR}/tests/docker/bed/docker.sock)
endforeach()
