# What prune does in a repository (store.cmake has the kit).
foreach(part sweep sweep_rewrite moves)
  bake_unit_test(${part} DEPENDS bake_run store_kit TIMEOUT 120)
endforeach()
bake_unit_test(sweep_kill DEPENDS bake_run store_kit TIMEOUT 600)
# One thread, killed before each write: minutes under ThreadSanitizer, which has nothing to see.
if(BAKE_SANITIZE STREQUAL "thread")
  set_tests_properties(unit.sweep_kill PROPERTIES LABELS "unit;heavy")
endif()
