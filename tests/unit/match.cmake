bake_unit_test(match DEPENDS bake_match)
bake_unit_test(match_git DEPENDS bake_match TIMEOUT 120)
