# Definitions of stacks and the flow of restores, without a daemon.
foreach(area definition files restore)
  bake_unit_test(docker_${area} DEPENDS bake_docker fakehost)
  target_compile_definitions(test_docker_${area} PRIVATE
    DOCKER_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data/docker")
endforeach()
