# The HTTP client, and the Engine API, exec and dumps without a daemon.
bake_unit_test(http DEPENDS bake_http fakehost)
foreach(part api exec dump)
  bake_unit_test(docker_${part} DEPENDS bake_docker fakehost)
endforeach()
