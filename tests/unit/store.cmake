# Stores, against sinks and transforms within the test programs (flow.cmake).
add_library(store_kit STATIC storekit.c)
target_link_libraries(store_kit PUBLIC fake_plugins bake_store PkgConfig::CMOCKA)
target_include_directories(store_kit PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
bake_flags(store_kit)

foreach(part sink store filesum layout listing listing_mtree manifest
    manifest_bad objw objr comp comp_damage)
  bake_unit_test(${part} DEPENDS store_kit)
endforeach()
