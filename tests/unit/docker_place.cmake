# Places: directories that a restore of the docker source replaces.
bake_unit_test(docker_place_fs DEPENDS bake_docker)
bake_unit_test(docker_place_scan DEPENDS bake_docker)
bake_unit_test(docker_place_plan DEPENDS bake_docker fakehost)
if(TARGET docker-helper)
  bake_unit_test(docker_place_helper DEPENDS bake_docker)
  add_dependencies(test_docker_place_helper docker-helper)
  target_compile_definitions(test_docker_place_helper PRIVATE
    HELPER="$<TARGET_FILE:docker-helper>")
endif()
