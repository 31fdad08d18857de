# Discovery, holding and promises of the Docker source, without a daemon.
foreach(area discover hold)
  bake_unit_test(docker_${area} DEPENDS bake_docker fakehost)
  target_compile_definitions(test_docker_${area} PRIVATE
    DOCKER_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data/docker")
endforeach()
