# Reading a repository.
bake_unit_test(fetch DEPENDS store_kit TIMEOUT 180)
