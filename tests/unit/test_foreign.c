/* store/foreign: names and folders of archives that other programs made. */
#include "storekit.h"

#include "store/foreign.h"

#include <stdlib.h>
#include <string.h>

static void names(void **state)
{
    static const struct {
        const char *object, *stack;
    } good[] = {
        {"backup-shop-20231105-120000-abc123.tar.zst", "shop"},
        {"backup_shop_20231105-120000_abc123.tar.zst", "shop"},
        {"backup_app_prod_20231105-120000_abc123.tar.zst", "app_prod"},
        {"backup-app-prod-2-20231105-120000-abc123.tar.zst", "app-prod-2"},
        {"backup-a-20231105-120000-550e8400-e29b-41d4-a716-446655440000.tar.zst", "a"},
        {"backup_a_20231105-120000_550E8400-E29B-41D4-A716-446655440000.tar.zst", "a"},
        {"backup-20221105-120000-x-20231105-120000-abc.tar.zst", "20221105-120000-x"},
        {"backup-20231105-20231105-120000-1.tar.zst", "20231105"},
        {"backup_x-y_20231105-120000-a.tar.zst", "x-y"},
    };
    static const char *const bad[] = {"backup-shop-20231105-120000-abc123.tar.gz",
                                      "backup-shop-20231105-120000.tar.zst",
                                      "backup-shop-20231105-120000-.tar.zst",
                                      "backup--20231105-120000-abc.tar.zst",
                                      "backup-20231105-120000-abc.tar.zst",
                                      "backup-shop-20231305-120000-abc.tar.zst",
                                      "backup-shop-20231105-250000-abc.tar.zst",
                                      "backup-shop-2023110-120000-abc.tar.zst",
                                      "backup-shop-20231105120000-abc.tar.zst",
                                      "backup-shop-20231105_120000-abc.tar.zst",
                                      "backup.shop-20231105-120000-abc.tar.zst",
                                      "dir/backup-shop-20231105-120000-abc.tar.zst",
                                      "backup-shop/x-20231105-120000-abc.tar.zst",
                                      "backup-sh\nop-20231105-120000-abc.tar.zst",
                                      "backup-shop-20231105-120000-a.b.tar.zst",
                                      "xbackup-shop-20231105-120000-abc.tar.zst",
                                      "backup-.tar.zst",
                                      "backup",
                                      ""};
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char *stack = NULL;
        int64_t ns = 0;

        assert_int_equal(bk_foreign_name(good[i].object, &stack, &ns), BAKE_OK);
        assert_string_equal(stack, good[i].stack);
        assert_true(ns == 1699185600000000000);
        free(stack);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *stack = NULL;
        int64_t ns;

        if (bk_foreign_name(bad[i], &stack, &ns) != BAKE_END)
            fail_msg("'%s' is taken for one", bad[i]);
    }
}

/* What of a path is its component's. */
static void folders(void **state)
{
    static const struct {
        const char *path, *component; /* NULL: none */
        bool dir;
    } cases[] = {
        {"web/volumes/uploads/a/b", "web/volumes/uploads", false},
        {"web/volumes/uploads", "web/volumes/uploads", true},
        {"web/volumes", NULL, true},
        {"web", NULL, true},
        {"db/database/pg_dumpall.sql", "db/database/pg_dumpall.sql", false},
        {"db/database", NULL, true},
        {"db/mariadb_dump/all_databases.sql", "db/mariadb_dump/all_databases.sql", false},
        {"web/logs/x/y", "web/logs", false},
        {"web/logs", "web/logs", true},
        {"web/note.txt", "web/note.txt", false},
        {"note.txt", "note.txt", false},
        {"definition.json", "definition.json", false},
        {"config/docker-compose.yml", "config", false},
        {"config", "config", true},
        {"config/volumes/x/y", "config/volumes/x", false}, /* a service of that name */
        {"config/volumes", NULL, true},
        {"volumes/data/x", "volumes/data", false},
        {"volumes", NULL, true},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = bk_foreign_split(cases[i].path, cases[i].dir);

        assert_int_equal(n, cases[i].component ? strlen(cases[i].component) : 0);
        assert_true(n <= strlen(cases[i].path));
    }
}

/* In a catalog: by time, apart from backups; those that a manifest names are none. */
static void listed(void **state)
{
    struct kit k;
    struct bk_catalog *c = NULL;
    const struct bk_backup *b;
    (void)state;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    ms_set(&k.ms[0], "backup_app_prod_20231105-120000_b.tar.zst", "xyz", 3);
    ms_set(&k.ms[0], "backup-app-20231104-120000-a.tar.zst", "x", 1);
    ms_set(&k.ms[0], "backup-app-20231106-120000-0badcafe.tar.zst", "x", 1);
    ms_set(&k.ms[0], "backup-notes.txt", "x", 1);
    assert_int_equal(bk_catalog_load(&k.store->sinks[0], "nightly", "h", 0, &c, &k.err), 0);
    assert_int_equal(c->n_foreign, 0);
    bk_catalog_free(c);
    assert_int_equal(
        bk_catalog_load(&k.store->sinks[0], "nightly", "h", BK_CATALOG_FOREIGN, &c, &k.err), 0);
    assert_int_equal(c->n, 0);
    assert_int_equal(c->n_foreign, 3);
    assert_string_equal(c->foreign[0].id, "backup-app-20231104-120000-a");
    assert_string_equal(c->foreign[1].foreign->stack, "app_prod");
    assert_int_equal(c->foreign[1].foreign->size, 3);
    assert_int_equal(bk_catalog_find(c, "latest", 0, &b, &k.err), 0); /* there is nothing else */
    assert_ptr_equal(b, &c->foreign[2]);
    assert_int_equal(bk_catalog_find(c, "latest", 1699185600000000000, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[1]);
    assert_int_equal(bk_catalog_find(c, "backup_app", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[1]);
    assert_int_equal(bk_catalog_find(c, "backup-app-", 0, &b, &k.err), BK_E_USAGE);
    assert_int_equal(bk_catalog_find(c, "backup-app-20231104-120000-a.tar.zst", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[0]);
    assert_int_equal(bk_catalog_latest_with(c, "app", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[2]);
    assert_int_equal(bk_catalog_latest_with(c, "app", 1699185600000000000, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[0]);
    assert_int_equal(bk_catalog_latest_with(c, "app_prod", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[1]);
    assert_int_equal(bk_catalog_latest_with(c, "ap", 0, &b, &k.err), BK_E_NOSTORE);
    bk_catalog_free(c);
    kit_release(&k);
}

static void put_own(struct kit *k)
{
    struct bk_manifest *m =
        kit_manifest("nightly-20231105T130000Z-3f9c2a", "nightly", "h", 1699189200000000000, 1);

    free(m->comps[0].name);
    m->comps[0].name = bk_strdup("app/db/x.sql");
    m->bundles = calloc(1, sizeof(*m->bundles));
    assert_non_null(m->bundles);
    m->n_bundles = 1;
    m->bundles[0].name = bk_strdup("backup-app-20231106-120000-0badcafe.tar.zst");
    memcpy(m->bundles[0].sha256, m->comps[0].sha256, BK_SHA256_HEX);
    memcpy(m->bundles[0].plain_sha256, m->comps[0].sha256, BK_SHA256_HEX);
    kit_put_manifest(&k->ms[0], m);
    bk_manifest_free(m);
}

/* A backup of ours that has one of them as its bundle, and a component of the stack. */
static void beside_own(void **state)
{
    struct kit k;
    struct bk_catalog *c = NULL;
    const struct bk_backup *b;
    (void)state;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    ms_set(&k.ms[0], "backup-app-20231104-120000-a.tar.zst", "x", 1);
    ms_set(&k.ms[0], "backup_app_prod_20231105-120000_b.tar.zst", "xyz", 3);
    ms_set(&k.ms[0], "backup-app-20231106-120000-0badcafe.tar.zst", "x", 1);
    put_own(&k);
    /* of another pipeline they are ours all the same */
    assert_int_equal(
        bk_catalog_load(&k.store->sinks[0], "other", "h", BK_CATALOG_FOREIGN, &c, &k.err), 0);
    assert_int_equal(c->n, 0);
    assert_int_equal(c->n_foreign, 2);
    bk_catalog_free(c);
    assert_int_equal(
        bk_catalog_load(&k.store->sinks[0], "nightly", "h", BK_CATALOG_FOREIGN, &c, &k.err), 0);
    assert_int_equal(c->n, 1);
    assert_int_equal(c->n_foreign, 2);
    assert_int_equal(bk_catalog_find(c, "latest", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->backups[0]);
    assert_int_equal(bk_catalog_latest_with(c, "app", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->backups[0]);
    c->backups[0].manifest->comps[0].status = BK_STATUS_FAILED;
    assert_int_equal(bk_catalog_latest_with(c, "app", 0, &b, &k.err), 0);
    assert_ptr_equal(b, &c->foreign[0]);
    bk_catalog_free(c);
    kit_release(&k);
}

/* A bundle of a run that is under way, or was killed, is nobody's; one that has lost its manifest
 * is as good as a foreign archive. */
static void unfinished(void **state)
{
    static const char bundle[] = "backup-app-20231106-120000-0badcafe.tar.zst";
    static const char marker[] =
        "backups/" KIT_ID "/bundles/0badcafe/backup-app-20231106-120000-0badcafe.tar.zst";
    struct kit k;
    (void)state;

    kit_init(&k, 1, 0);
    kit_must_open(&k);
    for (int step = 0; step < 5; step++) {
        static const size_t want[] = {1, 0, 0, 0, 1};
        struct bk_catalog *c = NULL;

        if (step == 0)
            ms_set(&k.ms[0], bundle, "x", 1);
        if (step == 1)
            ms_set(&k.ms[0], marker, "{}", 2);
        if (step == 2)
            ms_set(&k.ms[0], "writers/" KIT_ID, "x", 1);
        if (step == 3)
            ms_set(&k.ms[0], "backups/" KIT_ID "/SHA256SUMS", "x", 1);
        if (step == 4)
            ms_drop(&k.ms[0], "writers/" KIT_ID);
        assert_int_equal(
            bk_catalog_load(&k.store->sinks[0], NULL, NULL, BK_CATALOG_FOREIGN, &c, &k.err), 0);
        assert_int_equal(c->n_foreign, want[step]);
        bk_catalog_free(c);
    }
    kit_release(&k);
}

/* Reading needs no bakengine.json where there is an archive; writing makes a store beside it. */
static void bare_sink(void **state)
{
    struct kit k;
    (void)state;

    kit_init(&k, 2, 0);
    assert_int_equal(kit_open(&k, BK_STORE_READ), BK_E_NOSTORE);
    ms_set(&k.ms[1], "backup-app-20231104-120000-a.tar.zst", "x", 1);
    k.pipeline.format = BK_FORMAT_REPOSITORY;
    assert_int_equal(kit_open(&k, BK_STORE_READ), 0);
    assert_int_equal(k.store->format, BK_FORMAT_ARCHIVE);
    assert_ptr_equal(bk_store_base(k.store), &k.store->sinks[1]);
    assert_int_equal(ms_count(&k.ms[1], ""), 1);
    k.pipeline.format = BK_FORMAT_ARCHIVE;
    kit_must_open(&k);
    assert_int_equal(ms_count(&k.ms[1], ""), 2);
    kit_release(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),      cmocka_unit_test(folders),    cmocka_unit_test(listed),
        cmocka_unit_test(beside_own), cmocka_unit_test(unfinished), cmocka_unit_test(bare_sink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
