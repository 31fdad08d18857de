# What runs share: threads, leases, garbage, reports, the lock.
foreach(part lanes intent garbage report)
  bake_unit_test(${part} DEPENDS bake_run store_kit)
endforeach()
bake_unit_test(lock DEPENDS bake_run)
