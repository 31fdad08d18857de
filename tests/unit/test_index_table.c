/* store/index_table: against a list, with many ids that want the same slot. */
#include "repokit.h"

#include "store/index_table.h"

#define IDS 700u

/* Their last bytes, which choose the slot, are few. */
static bk_id crowded(uint64_t number)
{
    bk_id id = rk_id(number);

    memset(id.b + 24, 0, 8);
    id.b[31] = (unsigned char)(number * 7 % 40);
    id.b[30] = number % 5 ? 0 : 3; /* the last slots of a table of 1024: it goes round */
    id.b[31] = number % 5 ? id.b[31] : (unsigned char)(0xf0 + number % 16);
    return id;
}

static void check(const struct bk_table *t, const uint32_t *want)
{
    size_t n = 0;

    for (uint32_t i = 0; i < IDS; i++) {
        bk_id id = crowded(i);
        const struct bk_located *e = bk_table_find(t, &id);

        n += want[i] != 0;
        if (want[i] == 0)
            assert_null(e);
        else
            assert_int_equal(e->loc.length, want[i]);
    }
    assert_int_equal(t->n, n);
}

static void against_list(void **state)
{
    struct bk_table t = {.n = 0};
    uint32_t want[IDS] = {0};
    uint64_t seed = 5;

    (void)state;
    for (uint32_t step = 1; step <= 20000; step++) {
        uint32_t i = (uint32_t)(rk_next(&seed) % IDS);
        struct bk_located e = {crowded(i), {1, 2, 3, step}};

        if (rk_next(&seed) % (step % 4000 < 2000 ? 3 : 2)) {
            assert_int_equal(bk_table_put(&t, &e), 0);
            want[i] = step;
        } else {
            bk_table_remove(&t, &e.id);
            want[i] = 0;
        }
        if (step % 97 == 0)
            check(&t, want);
    }
    bk_table_release(&t);
    memset(want, 0, sizeof(want));
    check(&t, want);
}

static void sorted(void **state)
{
    struct bk_table t = {.n = 0};
    struct bk_located *all;
    bk_id id = rk_id(1);

    (void)state;
    bk_table_remove(&t, &id);
    assert_int_equal(bk_table_sorted(&t, &all), 0);
    free(all);
    for (uint32_t i = 0; i < 3000; i++) {
        struct bk_located e = {rk_id(i), {i, 0, 0, 1}};

        assert_int_equal(bk_table_put(&t, &e), 0);
    }
    assert_int_equal(bk_table_sorted(&t, &all), 0);
    for (uint32_t i = 1; i < 3000; i++)
        assert_true(memcmp(&all[i - 1].id, &all[i].id, sizeof(bk_id)) < 0);
    assert_int_equal(t.n, 3000);
    free(all);
    bk_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_list), cmocka_unit_test(sorted)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
