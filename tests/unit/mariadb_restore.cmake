# The MariaDB source's way back without a server.
bake_unit_test(my_restore_split DEPENDS bake_mariadb fakehost)
bake_unit_test(my_restore_text DEPENDS bake_mariadb fakehost)
