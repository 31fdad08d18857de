# The MariaDB source without a server: what looks into dumps and streams, names, options, rights.
foreach(part scan xb names options login)
  bake_unit_test(my_${part} DEPENDS bake_mariadb fakehost)
endforeach()
