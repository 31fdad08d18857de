# Reading a repository.
foreach(part fetch streamr repo_read)
  bake_unit_test(${part} DEPENDS store_kit TIMEOUT 300)
endforeach()
