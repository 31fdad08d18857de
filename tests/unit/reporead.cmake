# Reading a repository.
bake_unit_test(fetch DEPENDS store_kit TIMEOUT 180)
bake_unit_test(repo_read DEPENDS store_kit TIMEOUT 180)
