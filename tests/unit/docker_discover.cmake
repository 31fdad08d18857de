# Discovery, holding and promises of the Docker source, without a daemon.
set(docker ${PROJECT_SOURCE_DIR}/plugins/source-docker)
foreach(area discover hold options)
  bake_unit_test(docker_${area} DEPENDS bake_docker fakehost)
  target_compile_definitions(test_docker_${area} PRIVATE
    DOCKER_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data/docker")
endforeach()

# These parts alone: the daemon beneath them is the test's own.
file(GLOB docker_stop_parts CONFIGURE_DEPENDS ${docker}/hold.c ${docker}/hold_*.c
  ${docker}/discover*.c)
bake_unit_test(docker_stop DEPENDS fakehost bake_match PkgConfig::JANSSON)
target_sources(test_docker_stop PRIVATE ${docker_stop_parts} ${docker}/promise.c ${docker}/owner.c
  ${docker}/labels.c ${docker}/model.c)
target_include_directories(test_docker_stop PRIVATE ${docker})
