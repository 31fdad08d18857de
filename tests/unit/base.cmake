foreach(name err buf str num clock digest io path log json cancel)
  bake_unit_test(${name} DEPENDS bake_base)
endforeach()
