/* The flow of restores as far as it needs no daemon: names, stages, where components go. */
#include "docker_kit.h"

#include "api_impl.h"
#include "restore_impl.h"

static struct rs_part part_of(const char *name, const char *group, const char *facts)
{
    struct bake_component c = {
        .struct_size = sizeof(c), .name = name, .group = group, .facts = facts, .size_hint = 7};
    struct rs_part p;
    assert_int_equal(rs_part_init(&p, &c, group), 0);
    return p;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void name(const char *text, const char *group, int kind, const char *service,
                 const char *label_text)
{
    struct rs_part p = part_of(text, group, NULL);
    if (kind < 0) {
        assert_false(p.known);
    } else {
        assert_true(p.known);
        assert_int_equal(p.kind, kind);
        assert_string_equal(p.service, service);
        assert_string_equal(p.label, label_text);
    }
    assert_int_equal(p.bytes, 7);
    rs_part_release(&p, NULL);
}

static void names(void **state)
{
    (void)state;
    name("shop/app/volumes/uploads", "shop", DK_PATH, "app", "uploads");
    name("shop/app/volumes/a.b-c", "shop", DK_PATH, "app", "a.b-c");
    name("shop/db/database/pg_dumpall.sql", "shop", DK_PG, "db", "");
    name("shop/db/mariadb_dump/all_databases.sql", "shop", DK_MARIA, "db", "");
    name("shop/config", "shop", DK_CONFIG, "", "");
    name("shop/definition.json", "shop", DK_DEFINITION, "", "");
    name("volumes/data", "volume-data", DK_VOLUME, "", "data");
    name("volumes/data", "shop", DK_VOLUME, "", "data");
    name("volumes/config", "volumes", DK_CONFIG, "", "");
    name("volumes/app/volumes/x", "volumes", DK_PATH, "app", "x");
    name("shop/config/volumes/x", "shop", DK_PATH, "config", "x");
    /* archives of others: whatever lies there */
    name("shop/app/logs", "shop", -1, NULL, NULL);
    name("shop/app/database/dump.bin", "shop", -1, NULL, NULL);
    name("shop/app/volumes/", "shop", -1, NULL, NULL);
    name("shop/app/volumes", "shop", -1, NULL, NULL);
    name("shop", "shop", -1, NULL, NULL);
}

static void facts(void **state)
{
    (void)state;
    struct rs_part p = part_of("shop/app/volumes/x", "shop",
                               "{\"path\":\"/x\",\"mount\":{\"type\":\"volume\",\"name\":\"v\"}}");
    assert_string_equal(rs_fact(&p, "path"), "/x");
    assert_string_equal(rs_fact_of_mount(&p, "name"), "v");
    assert_null(rs_fact(&p, "image"));
    rs_part_release(&p, NULL);
    p = part_of("shop/app/volumes/x", "shop", "no json");
    assert_null(rs_fact(&p, "path"));
    rs_part_release(&p, NULL);
}

/* ---- stages ---------------------------------------------------------------------------------- */

static void stages_of(const char *const *list, const uint32_t *expected)
{
    struct rs_part parts[8];
    bool has[RS_STEPS];
    size_t n = 0;
    for (; list[n]; n++)
        parts[n] = part_of(list[n], "s", NULL);
    rs_stages(parts, n, has);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(parts[i].stage, expected[i]);
        rs_part_release(&parts[i], NULL);
    }
}

#define STAGES(...) ((const uint32_t[]){__VA_ARGS__})

static void stages(void **state)
{
    (void)state;
    stages_of(LABELS("s/app/volumes/x", "s/definition.json", "s/db/database/pg_dumpall.sql"),
              STAGES(1, 0, 2));
    stages_of(LABELS("s/app/volumes/x", "s/db/database/pg_dumpall.sql"), STAGES(0, 1));
    stages_of(LABELS("s/app/volumes/x", "s/config", "s/app/other"), STAGES(0, 0, 0));
    stages_of(LABELS("s/definition.json", "s/db/mariadb_dump/all_databases.sql"), STAGES(0, 1));
    /* the engine switches before the second stage, and a dump needs that */
    stages_of(LABELS("s/db/database/pg_dumpall.sql"), STAGES(1));
    stages_of(LABELS("s/definition.json"), STAGES(0));
}

/* ---- where they go --------------------------------------------------------------------------- */

static struct dk_restore restore_of(struct kit *k, struct rs_part *parts, size_t n)
{
    struct dk_restore r = {.group = (char *)"shop",
                           .stack = (char *)"shop",
                           .as = (char *)"shop",
                           .parts = parts,
                           .n_parts = n,
                           .worlds = {k->world},
                           .n_worlds = 1};
    return r;
}

static void find(struct kit *k, struct rs_part *parts, size_t n, const char *as)
{
    struct dk_restore r = restore_of(k, parts, n);
    if (as) {
        r.as = (char *)as;
        r.renamed = true;
    }
    assert_int_equal(rs_find(&r, &k->host.ctx), BAKE_OK);
}

static void stack(struct kit *k)
{
    json_t *app = add(k, "shop_app_1", "shop", "app",
                      LABELS(ENABLE, "backup.volume-path.uploads=/data/uploads",
                             "backup.volume-path.sub=/data/uploads/sub"));
    mount(app, "shop_uploads", "/data/uploads", true);
    mount(app, "/srv/conf", "/etc/app", false);
    json_t *db =
        add(k, "shop_db_1", "shop", "db", LABELS(ENABLE, "backup.database.pg_dumpall=true"));
    mount(db, "shop_pgdata", "/var/lib/postgresql/data", true);
    json_t *other = add(k, "proxy", NULL, NULL, NULL);
    mount(other, "shop_uploads", "/up", false);
    build(k);
}

static void keys(void **state)
{
    struct kit *k = *state;
    stack(k);
    const struct dk_container *app = container(k, "shop_app_1");
    char *key = rs_key(app, "/data/uploads", NULL);
    assert_string_equal(key, "v:shop_uploads");
    free(key);
    key = rs_key(app, "/data/uploads/a/b/", NULL);
    assert_string_equal(key, "v:shop_uploads/a/b");
    free(key);
    key = rs_key(app, "/etc/app/x", NULL);
    assert_string_equal(key, "b:/srv/conf/x");
    free(key);
    key = rs_key(app, "/var/www", NULL);
    assert_string_equal(key, "c:shop_app_1/var/www");
    assert_true(rs_mounts(app, key));
    assert_false(rs_mounts(container(k, "shop_db_1"), key));
    free(key);
    key = rs_key(NULL, NULL, "data");
    assert_string_equal(key, "v:data");
    free(key);
    assert_true(rs_within("v:a", "v:a"));
    assert_true(rs_within("v:a/b", "v:a"));
    assert_false(rs_within("v:ab", "v:a"));
    assert_false(rs_within("v:a", "v:a/b"));
    assert_true(rs_mounts(app, "v:shop_uploads/sub"));
    assert_true(rs_mounts(container(k, "proxy"), "v:shop_uploads"));
    assert_false(rs_mounts(app, "v:shop_pgdata"));
    assert_true(rs_mounts(app, "b:/srv"));
    assert_false(rs_mounts(app, "b:/srv/other"));
}

static void by_label(void **state)
{
    struct kit *k = *state;
    stack(k);
    struct rs_part p[3] = {part_of("shop/app/volumes/uploads", "shop", NULL),
                           part_of("shop/db/database/pg_dumpall.sql", "shop", NULL),
                           part_of("shop/app/volumes/moved", "shop", NULL)};
    find(k, p, 3, NULL);
    assert_int_equal(p[0].found, RS_HERE);
    assert_string_equal(p[0].path, "/data/uploads");
    assert_ptr_equal(p[0].container, container(k, "shop_app_1"));
    assert_int_equal(p[1].found, RS_HERE);
    assert_ptr_equal(p[1].container, container(k, "shop_db_1"));
    assert_int_equal(p[2].found, RS_GONE); /* neither a label nor a fact says where */
    assert_non_null(strstr(p[2].why, "backup.volume-path.moved"));
    for (size_t i = 0; i < 3; i++)
        rs_part_release(&p[i], NULL);
}

static void by_fact(void **state)
{
    struct kit *k = *state;
    stack(k);
    struct rs_part p[2] = {
        part_of("shop/app/volumes/old", "shop", "{\"service\":\"app\",\"path\":\"/old\"}"),
        part_of("shop/app/volumes/uploads", "shop", "{\"service\":\"app\",\"path\":\"/before\"}")};
    find(k, p, 2, NULL);
    assert_string_equal(p[0].path, "/old");
    assert_string_equal(p[1].path, "/data/uploads"); /* where it belongs today */
    said(k, BAKE_NOTICE, "shop/app/volumes/uploads", "it was '/before'");
    rs_part_release(&p[0], NULL);
    rs_part_release(&p[1], NULL);
}

static void service_is_gone(void **state)
{
    struct kit *k = *state;
    stack(k);
    struct rs_part p[5] = {
        part_of("shop/web/volumes/data", "shop",
                "{\"path\":\"/d\",\"mount\":{\"type\":\"volume\",\"name\":\"shop_web\","
                "\"destination\":\"/d\"}}"),
        part_of("shop/web/volumes/part", "shop",
                "{\"path\":\"/d/part\",\"mount\":{\"type\":\"volume\",\"name\":\"shop_web\","
                "\"destination\":\"/d\"}}"),
        part_of("shop/web/volumes/bind", "shop",
                "{\"path\":\"/b\",\"mount\":{\"type\":\"bind\",\"source\":\"/srv\"}}"),
        part_of("shop/web/database/pg_dumpall.sql", "shop", NULL),
        part_of("shop/web/logs", "shop", NULL)};
    find(k, p, 5, NULL);
    assert_int_equal(p[0].found, RS_ALONE);
    assert_string_equal(p[0].volume, "shop_web");
    assert_string_equal(p[0].key, "v:shop_web");
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(p[i].found, RS_GONE);
    for (size_t i = 0; i < 5; i++)
        rs_part_release(&p[i], NULL);
}

/* Two components that hold the same files: one of them is written. */
static void doubles(void **state)
{
    struct kit *k = *state;
    stack(k);
    struct rs_part p[3] = {part_of("shop/app/volumes/sub", "shop", NULL),
                           part_of("shop/app/volumes/uploads", "shop", NULL),
                           part_of("volumes/shop_uploads", "shop",
                                   "{\"mount\":{\"type\":\"volume\",\"name\":\"shop_uploads\"}}")};
    find(k, p, 3, NULL);
    assert_int_equal(p[0].found, RS_WITHIN);
    assert_int_equal(p[1].found, RS_HERE);
    assert_int_equal(p[2].found, RS_WITHIN);
    for (size_t i = 0; i < 3; i++)
        rs_part_release(&p[i], NULL);
}

static void another_name(void **state)
{
    struct kit *k = *state;
    json_t *app = add(k, "test_app_1", "test", "app",
                      LABELS(ENABLE, "backup.volume-path.uploads=/data/uploads",
                             "backup.volume-path.conf=/etc/app"));
    mount(app, "test_uploads", "/data/uploads", true);
    mount(app, "/srv/conf", "/etc/app", false);
    build(k);
    struct rs_part p[4] = {
        part_of("shop/app/volumes/uploads", "shop", NULL),
        part_of("shop/app/volumes/conf", "shop", NULL),
        part_of("shop/web/volumes/data", "shop",
                "{\"path\":\"/d\",\"mount\":{\"type\":\"volume\",\"name\":\"shop_web\","
                "\"destination\":\"/d\"}}"),
        part_of("volumes/shop_more", "shop", NULL)};
    find(k, p, 4, "test");
    assert_string_equal(p[0].key, "v:test_uploads");
    assert_int_equal(p[1].found, RS_GONE); /* the old stack's own directory */
    assert_string_equal(p[2].volume, "test_web");
    assert_string_equal(p[3].volume, "test_more");
    for (size_t i = 0; i < 4; i++)
        rs_part_release(&p[i], NULL);
}

static void replicas(void **state)
{
    struct kit *k = *state;
    json_t *one = add(k, "shop_web_1", "shop", "web", NULL);
    json_t *two = add(k, "shop_web_2", "shop", "web", NULL);
    label(one, "com.docker.compose.container-number", "1");
    label(two, "com.docker.compose.container-number", "2");
    build(k);
    struct rs_part p[2] = {part_of("shop/web/volumes/d", "shop", "{\"path\":\"/d\"}"),
                           part_of("shop/web-2/volumes/d", "shop", "{\"path\":\"/d\"}")};
    find(k, p, 2, NULL);
    assert_ptr_equal(p[0].container, container(k, "shop_web_1"));
    assert_ptr_equal(p[1].container, container(k, "shop_web_2"));
    rs_part_release(&p[0], NULL);
    rs_part_release(&p[1], NULL);
}

/* ---- containers around it -------------------------------------------------------------------- */

static void boxes(void **state)
{
    struct kit *k = *state;
    stack(k);
    static const char *const keys_of[] = {"v:shop_uploads"};
    struct rs_box *list = NULL;
    size_t n = 0;
    assert_int_equal(rs_boxes_find(&k->host.ctx, k->world, "shop", keys_of, 1, &list, &n), BAKE_OK);
    assert_int_equal(n, 3);
    assert_string_equal(list[n - 1].c->name, "shop_db_1"); /* the database goes last */
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list[i].ours, strcmp(list[i].c->name, "proxy") != 0);
    rs_boxes_free(list, n);
    assert_int_equal(rs_boxes_find(&k->host.ctx, k->world, "shop", NULL, 0, &list, &n), BAKE_OK);
    assert_int_equal(n, 2);
    rs_boxes_free(list, n);
}

static void not_our_own(void **state)
{
    struct kit *k = *state;
    k->own = "shop_app_1";
    stack(k);
    static const char *const keys_of[] = {"v:shop_uploads"};
    struct rs_box *list = NULL;
    size_t n = 0;
    assert_int_equal(rs_boxes_find(&k->host.ctx, k->world, "shop", keys_of, 1, &list, &n), BAKE_OK);
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(list[i].c->name, "shop_app_1");
    said(k, BAKE_WARNING, "shop_app_1", "own container");
    rs_boxes_free(list, n);
}

static void removed_when_stopped(void **state)
{
    struct kit *k = *state;
    json_t *app = add(k, "shop_app_1", "shop", "app", NULL);
    json_object_set_new(json_object_get(app, "HostConfig"), "AutoRemove", json_true());
    build(k);
    struct rs_box *list = NULL;
    size_t n = 0;
    assert_int_equal(rs_boxes_find(&k->host.ctx, k->world, "shop", NULL, 0, &list, &n),
                     BAKE_E_UNSUPPORTED);
    assert_non_null(strstr(k->host.fail, "--rm"));
}

static void who_runs_at_the_end(void **state)
{
    struct kit *k = *state;
    stack(k);
    struct dk_restore r = restore_of(k, NULL, 0);
    struct rs_box ran = {.c = container(k, "shop_app_1"), .ran = true, .ours = true};
    struct rs_box stood = {.c = container(k, "shop_db_1"), .ours = true};
    struct rs_box foreign = {.c = container(k, "proxy"), .ran = true};
    assert_true(rs_shall_run(&r, &ran));
    assert_true(rs_shall_run(&r, &stood));
    assert_true(rs_shall_run(&r, &foreign));
    r.flags = BAKE_RESTORE_KEEP_STOPPED;
    assert_true(rs_shall_run(&r, &ran));
    assert_false(rs_shall_run(&r, &stood));
}

/* ---- promises ----------------------------------------------------------------------------------
 */

static void promised(void **state)
{
    struct kit *k = *state;
    struct dk_api api = {.host = (char *)"unix:///x"};
    struct dk_source source = {.api = &api};
    stack(k);
    struct rs_box list[] = {
        {.c = container(k, "shop_app_1"), .ran = true, .paused = true, .ours = true},
        {.c = container(k, "shop_db_1"),
         .ran = true,
         .ours = true,
         .stopped = true,
         .started_at = (char *)"2026-01-01",
         .finished_at = (char *)"2026-01-02"},
        {.c = container(k, "proxy")}};
    struct dk_restore r = restore_of(k, NULL, 0);
    r.s = &source;
    r.backup = (char *)"nightly-x";
    r.boxes = list;
    r.n_boxes = 3;
    r.made = json_pack("{s:{}, s:{}, s:{s:n}}", "containers", "networks", "volumes", "shop_new");
    json_t *doc = rs_document(&r, "switching");
    assert_non_null(doc);
    assert_string_equal(dk_json_text(doc, "kind"), "restore");
    assert_string_equal(dk_json_text(doc, "host"), "unix:///x");
    assert_string_equal(dk_json_text(doc, "phase"), "switching");
    assert_string_equal(dk_json_text(doc, "backup"), "nightly-x");
    assert_null(json_object_get(doc, "kept"));
    const json_t *boxes_of = json_object_get(doc, "containers");
    assert_int_equal(json_array_size(boxes_of), 3);
    const json_t *db = json_array_get(boxes_of, 1);
    assert_string_equal(dk_json_text(json_array_get(boxes_of, 0), "was"), "paused");
    assert_string_equal(dk_json_text(db, "was"), "running");
    assert_string_equal(dk_json_text(db, "started_at"), "2026-01-01");
    assert_string_equal(dk_json_text(db, "finished_at"), "2026-01-02");
    assert_true(json_is_true(json_object_get(db, "stopped")));
    assert_false(json_is_true(json_object_get(db, "started")));
    assert_string_equal(dk_json_text(json_array_get(boxes_of, 2), "was"), "stopped");
    assert_false(json_is_true(json_object_get(json_array_get(boxes_of, 2), "run")));
    char *text = json_dumps(doc, 0);
    assert_null(strstr(text, "Env")); /* nothing of an inspection */
    free(text);
    json_decref(doc);
    json_decref(r.made);
}

/* Of what the restore made nothing old can be kept. */
static void kept_or_not(void **state)
{
    (void)state;
    json_t *doc =
        json_pack("{s:[i,i,i,i,i], s:[s,s,s,s,s], s:{s:{s:s}, s:{}, s:{s:s}}}", "places", 0, 1, 2,
                  3, 4, "keys", "v:old", "v:new/sub", "b:/new", "c:abc/x", "v:newer", "made",
                  "containers", "shop_app_1", "abc", "networks", "volumes", "new", "new");
    json_t *dropped = NULL;
    assert_ptr_equal(rs_without_made(doc, &dropped), doc);
    json_t *places = json_pack("[i,i,i]", 0, 2, 4), *others = json_pack("[i,i]", 3, 1);
    assert_true(json_equal(json_object_get(doc, "places"), places));
    assert_int_equal(json_array_size(json_object_get(doc, "keys")), 3);
    assert_true(json_equal(dropped, others));
    json_decref(places);
    json_decref(others);
    json_decref(dropped);
    json_decref(doc);
}

/* A failure kept apart does not take the place of the one that is told of. */
static void hushed(void **state)
{
    struct kit *k = *state;
    struct rs_hush h, inner;
    fakehost_cancel(&k->host);
    rs_calm(&h, &k->host.ctx);
    rs_hush(&inner, &h.ctx);
    assert_int_equal(bake_fail(&inner.ctx, BAKE_E_IO, "no %s", "luck"), BAKE_E_IO);
    assert_string_equal(inner.text, "no luck");
    assert_int_equal(k->host.failed, 0);
    assert_string_equal(h.text, "");
    assert_false(inner.ctx.host->cancelled(&inner.ctx));
    assert_int_equal(inner.ctx.host->cancel_fd(&inner.ctx), -1);
    assert_int_equal(inner.ctx.host->sleep_ms(&inner.ctx, 1), BAKE_OK);
    rs_hush(&h, &k->host.ctx);
    assert_true(h.ctx.host->cancelled(&h.ctx));
    bake_report(&inner.ctx, BAKE_NOTICE, "x", "y");
    said(k, BAKE_NOTICE, "x", "y");
}

/* ---- versions -------------------------------------------------------------------------------- */

static void versions(void **state)
{
    (void)state;
    assert_int_equal(rs_compare_versions(DK_PG, "15.8", "15.2"), 0);
    assert_int_equal(rs_compare_versions(DK_PG, "14.8", "15.2"), -1);
    assert_int_equal(rs_compare_versions(DK_PG, "16.1 (Debian 16.1-1)", "15.2"), 1);
    assert_int_equal(rs_compare_versions(DK_PG, "9.4", "9.6"), -1);
    assert_int_equal(rs_compare_versions(DK_MARIA, "10.11.4-MariaDB", "10.6.1"), 1);
    assert_int_equal(rs_compare_versions(DK_MARIA, "10.6.1", "10.11.4"), -1);
    assert_int_equal(rs_compare_versions(DK_MARIA, "10.11.14", "10.11.3"), 0);
    assert_int_equal(rs_compare_versions(DK_MARIA, "8.0.30", "8.4.1"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(facts),
        cmocka_unit_test(stages),
        cmocka_unit_test_setup_teardown(keys, setup, teardown),
        cmocka_unit_test_setup_teardown(by_label, setup, teardown),
        cmocka_unit_test_setup_teardown(by_fact, setup, teardown),
        cmocka_unit_test_setup_teardown(service_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(doubles, setup, teardown),
        cmocka_unit_test_setup_teardown(another_name, setup, teardown),
        cmocka_unit_test_setup_teardown(replicas, setup, teardown),
        cmocka_unit_test_setup_teardown(boxes, setup, teardown),
        cmocka_unit_test_setup_teardown(not_our_own, setup, teardown),
        cmocka_unit_test_setup_teardown(removed_when_stopped, setup, teardown),
        cmocka_unit_test_setup_teardown(who_runs_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(promised, setup, teardown),
        cmocka_unit_test(kept_or_not),
        cmocka_unit_test_setup_teardown(hushed, setup, teardown),
        cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
