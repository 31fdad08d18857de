# What runs share: threads, leases, garbage, reports, the lock.
foreach(part lanes intent garbage report diff)
  bake_unit_test(${part} DEPENDS bake_run store_kit)
endforeach()
bake_unit_test(diff_entry DEPENDS bake_run)
bake_unit_test(lock DEPENDS bake_run)
bake_unit_test(hands DEPENDS bake_run)
bake_unit_test(duty_file DEPENDS bake_run)
bake_unit_test(restore_groups DEPENDS bake_run)
