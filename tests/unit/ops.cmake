# Retention and schedules.
bake_unit_test(retention DEPENDS bake_run)
target_compile_definitions(test_retention PRIVATE
  BAKE_TEST_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data")
bake_unit_test(cron DEPENDS bake_run)
bake_unit_test(cron_real DEPENDS bake_run)
set_tests_properties(unit.cron_real PROPERTIES SKIP_RETURN_CODE 77 RESOURCE_LOCK crontab)
