# What a run writes of a repository.
bake_unit_test(packlist DEPENDS store_kit)
bake_unit_test(manifest_stream DEPENDS store_kit)
