/* Discovery of stacks: from real inspections and from made-up ones to components. */
#include "docker_kit.h"

static json_t *load(const char *name)
{
    char path[512];
    json_error_t error;
    (void)snprintf(path, sizeof(path), "%s/%s", DOCKER_DATA, name);
    json_t *j = json_load_file(path, 0, &error);
    if (!j)
        fail_msg("%s: %s", path, error.text);
    return j;
}

static void load_shop(struct kit *k)
{
    json_t *volumes = load("volumes.json");
    json_decref(k->containers);
    json_decref(k->volumes);
    k->containers = load("containers.json");
    k->volumes = json_incref(json_object_get(volumes, "Volumes"));
    json_decref(volumes);
    k->cfg.definition = 1;
}

static void real_stack(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    build(k);
    assert_int_equal(k->world->n_containers, 4);
    assert_int_equal(k->world->n_items, 5);
    assert_int_equal(item(k, "shop/db/database/pg_dumpall.sql")->kind, DK_PG);
    assert_int_equal(item(k, "shop/mariadb/mariadb_dump/all_databases.sql")->kind, DK_MARIA);
    assert_int_equal(item(k, "shop/definition.json")->kind, DK_DEFINITION);
    const struct dk_item *i = item(k, "shop/app/volumes/uploads");
    assert_int_equal(i->kind, DK_PATH);
    assert_string_equal(i->group, "shop");
    assert_string_equal(i->path, "/data/uploads");
    assert_string_equal(i->container->name, "shop_app_1");
    assert_true(i->must_stand);
    assert_int_equal(i->consistency, DK_STOP);
    assert_true(container(k, "shop_db_1")->dumped);
    assert_false(container(k, "shop_cache_1")->enabled);
    assert_string_equal(dk_env(container(k, "shop_db_1"), "POSTGRES_USER"), "shop");
    assert_null(dk_env(container(k, "shop_db_1"), "POSTGRES_USE"));
    said(k, BAKE_NOTICE, "shop_app_1", "backup.stop-during-backup");
    assert_int_equal(k->host.n_reports, 1);
    for (size_t n = 1; n < k->world->n_items; n++)
        assert_true(strcmp(k->world->items[n - 1].name, k->world->items[n].name) < 0);
}

static void facts(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    build(k);
    json_t *f = json_loads(item(k, "shop/app/volumes/uploads")->facts, 0, NULL);
    json_t *m = json_object_get(f, "mount");
    assert_string_equal(dk_json_text(f, "engine"), "20.10.24");
    assert_string_equal(dk_json_text(f, "arch"), "amd64");
    assert_string_equal(dk_json_text(f, "service"), "app");
    assert_string_equal(dk_json_text(f, "container"), "shop_app_1");
    assert_string_equal(dk_json_text(f, "image"), "shop/app:1");
    assert_string_equal(dk_json_text(f, "path"), "/data/uploads");
    assert_string_equal(dk_json_text(m, "type"), "volume");
    assert_string_equal(dk_json_text(m, "name"), "shop_uploads");
    assert_string_equal(dk_json_text(m, "destination"), "/data/uploads");
    assert_string_equal(dk_json_text(m, "driver"), "local");
    assert_string_equal(dk_json_text(json_object_get(m, "labels"), "com.docker.compose.volume"),
                        "uploads");
    assert_null(json_object_get(m, "source"));
    json_decref(f);
}

static void no_secrets(void **state)
{
    struct kit *k = *state;
    static const char *const secrets[] = {"example-root", "example", "notsecret", NULL};
    load_shop(k);
    k->cfg.config = 1;
    k->list[0] = "all";
    k->cfg.volumes = k->list;
    build(k);
    for (size_t i = 0; i < k->world->n_items; i++)
        for (const char *const *s = secrets; *s; s++)
            assert_null(strstr(k->world->items[i].facts, *s));
    for (size_t i = 0; i < k->host.n_reports; i++)
        for (const char *const *s = secrets; *s; s++)
            assert_null(strstr(k->host.reports[i].text, *s));
}

static void only_enabled(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a", LABELS("backup.volume-path.d=/d"));
    add(k, "b", "s", "b", LABELS("backup.enable=false", "backup.volume-path.d=/d"));
    add(k, "c", "s", "c", LABELS("backup.enable=ja", "backup.volume-path.d=/d"));
    add(k, "d", "s", "d", LABELS("backup.enable=True", "backup.volume-path.d=/d"));
    add(k, "e", "s", "e", LABELS(ENABLE));
    build(k);
    assert_int_equal(k->world->n_items, 1);
    assert_non_null(item(k, "s/d/volumes/d"));
    said(k, BAKE_PARTIAL, "c", "'ja'");
    said(k, BAKE_NOTICE, "e", "no label says what");
    assert_int_equal(k->host.n_reports, 2);
}

static void bad_paths(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a",
        LABELS(ENABLE, "backup.volume-path.r=/",
               "backup.volume-path.e=", "backup.volume-path.l=data",
               "backup.volume-path.u=/data/../etc", "backup.volume-path.s=//./",
               "backup.volume-path.=/x", "backup.volume-path.n=/ok//./deep/"));
    build(k);
    assert_int_equal(k->world->n_items, 1);
    assert_string_equal(item(k, "s/a/volumes/n")->path, "/ok/deep");
    said(k, BAKE_PARTIAL, "a", "'backup.volume-path.r': the path '/' is the whole container");
    said(k, BAKE_PARTIAL, "a", "'backup.volume-path.s': the path '//./' is the whole container");
    said(k, BAKE_PARTIAL, "a", "'backup.volume-path.e': the path '' is empty");
    said(k, BAKE_PARTIAL, "a", "'backup.volume-path.l': the path 'data' is not absolute");
    said(k, BAKE_PARTIAL, "a", "'/data/../etc' has a part '..'");
    said(k, BAKE_PARTIAL, "a", "lacks a name");
}

static void hostile_names(void **state)
{
    struct kit *k = *state;
    add(k, "a", "..", "x/../y",
        LABELS(ENABLE, "backup.volume-path.../../etc=/a", "backup.volume-path.\x01\\t=/b",
               "backup.volume-path...=/c"));
    build(k);
    assert_int_equal(k->world->n_items, 3);
    assert_string_equal(item(k, "__/x_.._y/volumes/.._.._etc")->path, "/a");
    assert_string_equal(item(k, "__/x_.._y/volumes/__t")->path, "/b");
    assert_string_equal(item(k, "__/x_.._y/volumes/__")->path, "/c");
    char *long_name = dk_safe_name("äääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää"
                                   "äääääääääääääää");
    assert_int_equal(strlen(long_name), 120); /* cut between two characters */
    free(long_name);
}

static void same_name_twice(void **state)
{
    struct kit *k = *state;
    add(k, "one", "s", "a",
        LABELS(ENABLE, "backup.volume-path.x/y=/1", "backup.volume-path.x_y=/2"));
    build(k);
    assert_int_equal(k->world->n_items, 1);
    assert_string_equal(item(k, "s/a/volumes/x_y")->path, "/1");
    said(k, BAKE_PARTIAL, "s/a/volumes/x_y", "'one'");
}

static void two_containers_one_name(void **state)
{
    struct kit *k = *state;
    add(k, "s", NULL, NULL, LABELS(ENABLE, "backup.volume-path.d=/d"));
    add(k, "s_s_1", "s", "s", LABELS(ENABLE, "backup.volume-path.d=/d"));
    build(k);
    assert_int_equal(k->world->n_items, 1);
    assert_string_equal(item(k, "s/s/volumes/d")->container->name, "s");
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, "s/s/volumes/d", "'s_s_1'"), 1);
    assert_int_equal(fakehost_count(&k->host, BAKE_PARTIAL, NULL, "of 's' has that name"), 1);
}

static void a_service_called_config(void **state)
{
    struct kit *k = *state;
    add(k, "c", "s", "config",
        LABELS(ENABLE, "backup.volume-path.d=/d", "com.docker.compose.project.working_dir=/srv/s"));
    k->cfg.config = 1;
    build(k);
    assert_int_equal(k->world->n_items, 1);
    said(k, BAKE_PARTIAL, "s/config", "'s/config/volumes/d'");
}

static void replicas(void **state)
{
    struct kit *k = *state;
    const char *const labels[] = {ENABLE, "backup.volume-path.shared=/shared",
                                  "backup.volume-path.own=/own", "backup.volume-path.img=/img",
                                  NULL};
    const char *names[] = {"w_2", "w_10", "w_1"};
    for (size_t i = 0; i < 3; i++) {
        json_t *c = add(k, names[i], "s", "w", labels);
        label(c, "com.docker.compose.container-number", names[i] + 2);
        mount(c, "s_shared", "/shared", true);
        mount(c, names[i], "/own", true);
    }
    json_t *once = add(k, "w_run", "s", "w", labels);
    label(once, "com.docker.compose.oneoff", "True");
    label(once, "com.docker.compose.container-number", "1");
    build(k);
    assert_int_equal(k->world->n_items, 7);
    assert_string_equal(item(k, "s/w/volumes/shared")->container->name, "w_1");
    assert_string_equal(item(k, "s/w/volumes/own")->container->name, "w_1");
    assert_string_equal(item(k, "s/w-2/volumes/own")->container->name, "w_2");
    assert_string_equal(item(k, "s/w-10/volumes/own")->container->name, "w_10");
    assert_string_equal(item(k, "s/w-2/volumes/img")->container->name, "w_2");
    assert_int_equal(k->host.n_reports, 0);
}

static void outside_compose(void **state)
{
    struct kit *k = *state;
    add(k, "lonely", NULL, NULL, LABELS(ENABLE, "backup.volume-path.d=/d"));
    k->cfg.definition = k->cfg.config = 1;
    build(k);
    assert_int_equal(k->world->n_items, 2);
    assert_string_equal(item(k, "lonely/lonely/volumes/d")->group, "lonely");
    assert_non_null(item(k, "lonely/definition.json"));
}

static void dump_and_path(void **state)
{
    struct kit *k = *state;
    add(k, "db", "s", "db",
        LABELS(ENABLE, "backup.database.pg_dumpall=true", "backup.volume-path.d=/d"));
    add(k, "db2", "s", "db2",
        LABELS(ENABLE, "backup.database.pg_dumpall=true", "backup.volume-path.d=relative"));
    build(k);
    assert_int_equal(k->world->n_items, 2);
    assert_non_null(item(k, "s/db/volumes/d"));
    assert_false(container(k, "db")->dumped);
    said(k, BAKE_WARNING, "db", "the dump is skipped");
    assert_non_null(item(k, "s/db2/database/pg_dumpall.sql"));
}

static void old_labels(void **state)
{
    struct kit *k = *state;
    add(k, "app", "s", "app",
        LABELS(ENABLE, "backup.volumes=/a/data|/b/data/||/c", "backup.db.service=db"));
    json_t *db = add(k, "db", "s", "db", NULL);
    env(db, "PGDATA=/x");
    build(k);
    assert_int_equal(k->world->n_items, 4);
    assert_string_equal(item(k, "s/app/volumes/data")->path, "/a/data");
    assert_string_equal(item(k, "s/app/volumes/data-2")->path, "/b/data");
    assert_string_equal(item(k, "s/app/volumes/c")->path, "/c");
    assert_string_equal(item(k, "s/db/database/pg_dumpall.sql")->container->name, "db");
    said(k, BAKE_NOTICE, "app", "'backup.volumes' is old");
    said(k, BAKE_NOTICE, "app", "'backup.db.service' is old");
}

static void old_database_kinds(void **state)
{
    struct kit *k = *state;
    add(k, "b", "s", "b", LABELS(ENABLE, "backup.db.service=my"));
    env(add(k, "my", "s", "my", NULL), "MYSQL_ROOT_PASSWORD=x");
    add(k, "c", "t", "c", LABELS(ENABLE, "backup.db.service=nobody"));
    add(k, "d", "u", "d", LABELS("backup.db.service=x"));
    build(k);
    assert_int_equal(k->world->n_items, 1);
    assert_non_null(item(k, "s/my/mariadb_dump/all_databases.sql"));
    said(k, BAKE_PARTIAL, "c", "no service 'nobody'");
    said(k, BAKE_WARNING, "d", "not 'backup.enable=true'");
}

static void allow_and_deny(void **state)
{
    struct kit *k = *state;
    const char *projects[] = {"web*", NULL}, *not [] = {"web-test", NULL};
    const char *paths[] = {"/data", "/srv/**", NULL}, *no_paths[] = {"/data/tmp", NULL};
    const char *const labels[] = {ENABLE,
                                  "backup.volume-path.a=/data/a",
                                  "backup.volume-path.b=/data/tmp/b",
                                  "backup.volume-path.c=/etc",
                                  "backup.volume-path.d=/srv/x/y",
                                  NULL};
    add(k, "1", "web", "a", labels);
    add(k, "2", "web-test", "a", labels);
    add(k, "3", "other", "a", labels);
    k->cfg.projects = projects;
    k->cfg.exclude_projects = not ;
    k->cfg.paths = paths;
    k->cfg.exclude_paths = no_paths;
    build(k);
    assert_int_equal(k->world->n_items, 2);
    assert_non_null(item(k, "web/a/volumes/a"));
    assert_non_null(item(k, "web/a/volumes/d"));
    said(k, BAKE_NOTICE, "1", "left out by 'exclude_paths'");
    said(k, BAKE_NOTICE, "1", "'/etc' is not among 'paths'");
}

static void misspelt(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a",
        LABELS(ENABLE, "backup.volumes-path.x=/x", "backup.database.pgdumpall=true",
               "backup.consistency=stopp", "backup.tool=x"));
    build(k);
    said(k, BAKE_WARNING, "a", "'backup.volumes-path.x' is not known");
    said(k, BAKE_WARNING, "a", "'backup.database.pgdumpall' is not known");
    said(k, BAKE_WARNING, "a", "'stopp'");
    said(k, BAKE_NOTICE, "a", "'backup.tool' is not known");
}

static void consistency(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a", LABELS(ENABLE, "backup.volume-path.x=/x", "backup.consistency=none"));
    add(k, "b", "s", "b", LABELS(ENABLE, "backup.volume-path.x=/x"));
    k->cfg.consistency = DK_PAUSE;
    build(k);
    assert_false(item(k, "s/a/volumes/x")->must_stand);
    assert_int_equal(item(k, "s/b/volumes/x")->consistency, DK_PAUSE);
    assert_true(item(k, "s/b/volumes/x")->must_stand);
}

static const char hex64[] = "afbaeb60d32c1b4c2e925b73228e6248a95f2221433792f56c9567f05ae17232";

static void all_volumes(void **state)
{
    struct kit *k = *state;
    const char *all[] = {"all", NULL};
    json_t *c = add(k, "app", "s", "app", LABELS(ENABLE, "backup.volume-path.d=/d"));
    mount(c, "s_whole", "/d", true);
    json_t *db = add(k, "db", "s", "db", LABELS(ENABLE, "backup.database.pg_dumpall=true"));
    mount(db, "s_pg", "/var/lib/postgresql/data", true);
    volume(k, "s_whole", "s");
    volume(k, "s_pg", "s");
    volume(k, "s_other", "s");
    volume(k, "gone_data", "gone");
    volume(k, "plain", NULL);
    volume(k, hex64, NULL);
    volume(k, "bakengine-promise-1", NULL);
    json_object_set_new(json_array_get(k->volumes, 6), "Labels",
                        json_pack("{s:s}", "bakengine.promise", "{}"));
    k->cfg.volumes = all;
    build(k);
    assert_int_equal(k->world->n_items, 5);
    assert_string_equal(item(k, "volumes/s_other")->group, "s");
    assert_string_equal(item(k, "volumes/gone_data")->group, "volume-gone_data");
    assert_string_equal(item(k, "volumes/plain")->group, "volume-plain");
    assert_string_equal(item(k, "volumes/plain")->volume, "plain");
    assert_true(item(k, "volumes/plain")->must_stand);
    assert_null(item(k, "volumes/plain")->container);
}

static void some_volumes(void **state)
{
    struct kit *k = *state;
    const char *some[] = {"pl*", "afba*", NULL};
    volume(k, "plain", NULL);
    volume(k, "other", NULL);
    volume(k, hex64, NULL);
    k->cfg.volumes = some;
    build(k);
    assert_int_equal(k->world->n_items, 2);
    assert_non_null(item(k, "volumes/plain"));
}

static void longest_mount(void **state)
{
    struct kit *k = *state;
    const char *rest = NULL;
    json_t *c = add(k, "a", NULL, NULL, NULL);
    mount(c, "outer", "/data", true);
    mount(c, "inner", "/data/in", true);
    mount(c, "slash", "/trail/", true);
    build(k);
    const struct dk_container *a = container(k, "a");
    assert_string_equal(dk_mount_of(a, "/data/in/x/y", &rest)->name, "inner");
    assert_string_equal(rest, "x/y");
    assert_string_equal(dk_mount_of(a, "/data/in", &rest)->name, "inner");
    assert_string_equal(rest, "");
    assert_string_equal(dk_mount_of(a, "/data/inner", &rest)->name, "outer");
    assert_string_equal(rest, "inner");
    assert_string_equal(dk_mount_of(a, "/trail", &rest)->name, "slash");
    assert_null(dk_mount_of(a, "/database", &rest));
}

/* What cannot be is left out, not fallen over. */
static void nonsense(void **state)
{
    struct kit *k = *state;
    json_array_append_new(k->containers, json_string("x"));
    json_array_append_new(k->containers, json_object());
    json_array_append_new(k->containers, json_pack("{s:s}", "Id", "bare"));
    json_array_append_new(k->containers, json_pack("{s:s, s:n, s:n, s:n, s:[n, {}]}", "Id", "nulls",
                                                   "Config", "State", "HostConfig", "Mounts"));
    json_array_append_new(k->volumes, json_null());
    const char *all[] = {"all", NULL};
    k->cfg.volumes = all;
    build(k);
    assert_int_equal(k->world->n_containers, 2);
    assert_int_equal(k->world->n_items, 0);
}

static void quiet(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a",
        LABELS(ENABLE, "backup.volumes=/|x", "backup.db.service=q", "backup.volume-path.x=/",
               "backup.consistency=x", "backup.xyz=1"));
    k->quiet = true;
    build(k);
    assert_int_equal(k->host.n_reports, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(real_stack),
        TEST(facts),
        TEST(no_secrets),
        TEST(only_enabled),
        TEST(bad_paths),
        TEST(hostile_names),
        TEST(same_name_twice),
        TEST(two_containers_one_name),
        TEST(a_service_called_config),
        TEST(replicas),
        TEST(outside_compose),
        TEST(dump_and_path),
        TEST(old_labels),
        TEST(old_database_kinds),
        TEST(allow_and_deny),
        TEST(misspelt),
        TEST(consistency),
        TEST(all_volumes),
        TEST(some_volumes),
        TEST(longest_mount),
        TEST(nonsense),
        TEST(quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
