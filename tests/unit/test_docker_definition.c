/* A stack's definition: made of real inspections, the same bytes for the same stack, and under
 * another name. */
#include "docker_kit.h"

#include "definition.h"

static void load_shop(struct kit *k)
{
    json_error_t error;
    json_decref(k->containers);
    k->containers = json_load_file(DOCKER_DATA "/containers.json", 0, &error);
    assert_non_null(k->containers);
    build(k);
}

static json_t *raw(struct kit *k, const char *name)
{
    size_t i;
    json_t *c;
    json_array_foreach(k->containers, i,
                       c) if (strcmp(dk_json_text(c, "Name") + 1, name) == 0) return c;
    fail_msg("no '%s'", name);
    return NULL;
}

static json_t *path(const json_t *o, const char *a, const char *b)
{
    return json_object_get(json_object_get(o, a), b);
}

static json_t *network(const char *name, const char *project, const char *subnet)
{
    json_t *n = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:n, s:[{s:s}]}, s:b, s:{}, s:{}, s:{}}",
                          "Name", name, "Id", "1234", "Created", "2026-01-01T00:00:00Z", "Driver",
                          "bridge", "IPAM", "Driver", "default", "Options", "Config", "Subnet",
                          subnet, "Internal", 0, "Containers", "Options", "Labels");
    if (project)
        json_object_set_new(json_object_get(n, "Labels"), "com.docker.compose.project",
                            json_string(project));
    return n;
}

static json_t *one_volume(const char *name, const char *project, json_t *options)
{
    json_t *v = json_pack("{s:s, s:s, s:s, s:s, s:{}, s:o}", "Name", name, "CreatedAt", "2026",
                          "Driver", "local", "Mountpoint", "/x", "Labels", "Options",
                          options ? options : json_null());
    if (project)
        json_object_set_new(json_object_get(v, "Labels"), "com.docker.compose.project",
                            json_string(project));
    return v;
}

/* As the reader makes it, with answers that are made up. */
static json_t *document(struct kit *k, json_t *volume_options)
{
    json_t *containers = json_object(), *volumes = json_object(), *networks = json_object();
    json_t *needs_v = json_object(), *needs_n = json_object(), *v;
    const char *name;
    for (size_t i = 0; i < k->world->n_containers; i++) {
        json_t *c = dk_def_container(k->world, &k->world->containers[i]);
        assert_non_null(c);
        assert_int_equal(dk_def_needs(c, needs_v, needs_n), 0);
        json_object_set_new(containers, k->world->containers[i].name, c);
    }
    json_object_foreach(needs_v, name, v)
    {
        json_t *got = one_volume(name, "shop", json_incref(volume_options));
        json_object_set_new(volumes, name, dk_def_volume(got, "shop"));
        json_decref(got);
    }
    json_object_foreach(needs_n, name, v)
    {
        bool own = strncmp(name, "shop", 4) == 0;
        json_t *got = network(name, own ? "shop" : NULL, "172.18.0.0/16");
        json_object_set_new(networks, name, dk_def_network(got, "shop"));
        json_decref(got);
    }
    json_decref(needs_v);
    json_decref(needs_n);
    return json_pack("{s:i, s:s, s:b, s:o, s:o, s:o, s:{}}", "version", 1, "stack", "shop",
                     "compose", 1, "containers", containers, "networks", networks, "volumes",
                     volumes, "images");
}

static void what_a_container_is_made_of(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_t *c = dk_def_container(k->world, container(k, "shop_db_1"));
    assert_string_equal(dk_json_text(c, "service"), "db");
    assert_int_equal(json_integer_value(json_object_get(c, "number")), 1);
    assert_null(path(c, "config", "Hostname")); /* it was its id */
    assert_string_equal(dk_json_text(path(c, "config", "Labels"), "com.docker.compose.config-hash"),
                        dk_label(container(k, "shop_db_1"), "com.docker.compose.config-hash"));
    assert_true(json_is_array(path(c, "config", "Env")));
    assert_non_null(path(c, "host_config", "Binds"));
    json_t *aliases = path(json_object_get(c, "networks"), "shop_default", "Aliases");
    assert_int_equal(json_array_size(aliases), 1);
    assert_string_equal(json_string_value(json_array_get(aliases, 0)), "db");
    char *text = json_dumps(c, 0);
    assert_null(strstr(text, "StartedAt"));
    assert_null(strstr(text, container(k, "shop_db_1")->id));
    assert_null(strstr(text, "EndpointID"));
    free(text);
    json_decref(c);
}

static void a_chosen_hostname_stays(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_object_set_new(json_object_get(raw(k, "shop_db_1"), "Config"), "Hostname",
                        json_string("database"));
    build(k);
    json_t *c = dk_def_container(k->world, container(k, "shop_db_1"));
    assert_string_equal(dk_json_text(json_object_get(c, "config"), "Hostname"), "database");
    json_decref(c);
}

/* What changes by itself must not change the bytes. */
static void unchanged_is_equal(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_t *before = document(k, NULL);
    json_t *app = raw(k, "shop_app_1");
    json_object_set_new(json_object_get(app, "State"), "StartedAt", json_string("2030"));
    json_object_set_new(json_object_get(app, "State"), "Running", json_false());
    json_t *e = json_object_get(path(app, "NetworkSettings", "Networks"), "shop_default");
    json_t *aliases = json_object_get(e, "Aliases");
    json_t *first = json_incref(json_array_get(aliases, 0));
    json_array_remove(aliases, 0);
    json_array_append_new(aliases, first);
    build(k);
    json_t *after = document(k, NULL);
    char *a = json_dumps(before, JSON_SORT_KEYS), *b = json_dumps(after, JSON_SORT_KEYS);
    assert_string_equal(a, b);
    free(a);
    free(b);
    json_decref(before);
    json_decref(after);
}

static void names_instead_of_ids(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_t *host = json_object_get(raw(k, "shop_app_1"), "HostConfig");
    const char *id = container(k, "shop_db_1")->id;
    json_object_set_new(host, "NetworkMode", json_sprintf("container:%s", id));
    json_object_set_new(host, "VolumesFrom", json_pack("[s]", "x"));
    json_array_set_new(json_object_get(host, "VolumesFrom"), 0, json_sprintf("%s:ro", id));
    json_object_set_new(host, "Links", json_pack("[s]", "/shop_db_1:/shop_app_1/base"));
    build(k);
    json_t *c = dk_def_container(k->world, container(k, "shop_app_1"));
    host = json_object_get(c, "host_config");
    assert_string_equal(dk_json_text(host, "NetworkMode"), "container:shop_db_1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(host, "VolumesFrom"), 0)),
                        "shop_db_1:ro");
    assert_string_equal(json_string_value(json_array_get(json_object_get(host, "Links"), 0)),
                        "shop_db_1:base");
    json_decref(c);
}

static void needs(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_t *host = json_object_get(raw(k, "shop_app_1"), "HostConfig");
    json_object_set_new(host, "Mounts",
                        json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}, {s:s, s:s}]", "Type",
                                  "volume", "Source", "long", "Target", "/l", "Type", "bind",
                                  "Source", "/srv", "Target", "/s", "Type", "volume", "Target",
                                  "/anonymous"));
    build(k);
    json_t *c = dk_def_container(k->world, container(k, "shop_app_1"));
    json_t *volumes = json_object(), *networks = json_object();
    assert_int_equal(dk_def_needs(c, volumes, networks), 0);
    assert_non_null(json_object_get(volumes, "shop_uploads"));
    assert_non_null(json_object_get(volumes, "shop_config"));
    assert_non_null(json_object_get(volumes, "long"));
    assert_int_equal(json_object_size(volumes), 3); /* no bind, nothing anonymous */
    assert_non_null(json_object_get(networks, "shop_default"));
    assert_int_equal(json_object_size(networks), 1);
    json_decref(volumes);
    json_decref(networks);
    json_decref(c);
}

static void networks_and_volumes(void **state)
{
    (void)state;
    json_t *got = network("shop_default", "shop", "10.0.0.0/24");
    json_t *n = dk_def_network(got, "shop");
    assert_true(json_is_true(json_object_get(n, "own")));
    assert_string_equal(dk_json_text(json_object_get(n, "create"), "Driver"), "bridge");
    assert_null(path(n, "create", "Id"));
    assert_null(path(n, "create", "Created"));
    assert_null(path(n, "create", "Containers"));
    json_decref(n);
    n = dk_def_network(got, "other");
    assert_true(json_is_false(json_object_get(n, "own")));
    json_decref(n);
    json_decref(got);
    got = one_volume("nfs", NULL, json_pack("{s:s}", "device", ":/srv"));
    json_t *v = dk_def_volume(got, "shop");
    assert_string_equal(dk_json_text(path(v, "create", "DriverOpts"), "device"), ":/srv");
    assert_null(path(v, "create", "CreatedAt"));
    assert_null(path(v, "create", "Mountpoint"));
    json_decref(v);
    json_decref(got);
}

static void checks(void **state)
{
    struct kit *k = *state;
    load_shop(k);
    json_t *def = document(k, NULL);
    assert_null(dk_def_check(def));
    json_t *bad = json_deep_copy(def);
    json_object_set_new(bad, "version", json_integer(2));
    assert_non_null(dk_def_check(bad));
    json_decref(bad);
    bad = json_deep_copy(def);
    json_object_del(bad, "networks");
    assert_non_null(dk_def_check(bad));
    json_decref(bad);
    bad = json_deep_copy(def);
    json_object_del(path(bad, "containers", "shop_db_1"), "host_config");
    assert_non_null(dk_def_check(bad));
    json_decref(bad);
    bad = json_deep_copy(def);
    json_object_set_new(json_object_get(bad, "volumes"), "shop_uploads", json_integer(1));
    assert_non_null(dk_def_check(bad));
    json_decref(bad);
    bad = json_array();
    assert_non_null(dk_def_check(bad));
    json_decref(bad);
    json_decref(def);
}

/* ---- under another name ---------------------------------------------------------------------- */

static void new_name(const char *name, const char *expected)
{
    char *got = dk_def_new_name("shop", "test", name);
    assert_string_equal(got, expected);
    free(got);
}

static void new_names(void **state)
{
    (void)state;
    new_name("shop_uploads", "test_uploads");
    new_name("shop-db-1", "test-db-1");
    new_name("shop", "test");
    new_name("shopping_list", "test_shopping_list");
    new_name("other", "test_other");
}

static json_t *renamed(struct kit *k, struct dk_renamed *what)
{
    json_t *def = document(k, NULL);
    json_t *before = json_deep_copy(def);
    json_t *ret = dk_def_rename(def, "test", what);
    assert_true(json_equal(def, before)); /* a copy */
    json_decref(before);
    json_decref(def);
    return ret;
}

static void another_project(void **state)
{
    struct kit *k = *state;
    struct dk_renamed what;
    load_shop(k);
    json_t *def = renamed(k, &what);
    assert_non_null(def);
    assert_null(dk_def_check(def));
    assert_string_equal(dk_json_text(def, "stack"), "test");
    json_t *app = path(def, "containers", "test_app_1");
    assert_non_null(app);
    assert_null(path(def, "containers", "shop_app_1"));
    json_t *labels = path(app, "config", "Labels");
    assert_string_equal(dk_json_text(labels, "com.docker.compose.project"), "test");
    assert_null(json_object_get(labels, "com.docker.compose.config-hash"));
    assert_string_equal(dk_json_text(labels, "com.docker.compose.service"), "app");
    assert_string_equal(dk_json_text(json_object_get(app, "host_config"), "NetworkMode"),
                        "test_default");
    json_t *e = path(app, "networks", "test_default");
    assert_string_equal(json_string_value(json_array_get(json_object_get(e, "Aliases"), 0)), "app");
    json_t *net = path(def, "networks", "test_default");
    assert_string_equal(dk_json_text(path(net, "create", "Labels"), "com.docker.compose.project"),
                        "test");
    assert_null(path(json_object_get(net, "create"), "IPAM", "Config"));
    json_t *v = path(def, "volumes", "test_uploads");
    assert_string_equal(dk_json_text(path(v, "create", "Labels"), "com.docker.compose.project"),
                        "test");
    char *text = json_dumps(path(app, "host_config", "Binds"), 0);
    assert_non_null(strstr(text, "test_uploads:/data/uploads"));
    assert_null(strstr(text, "shop_"));
    free(text);
    json_decref(def);
}

static void what_would_collide_is_left_out(void **state)
{
    struct kit *k = *state;
    struct dk_renamed what;
    load_shop(k);
    json_t *app = raw(k, "shop_app_1"), *host = json_object_get(app, "HostConfig");
    json_object_set_new(host, "PortBindings",
                        json_pack("{s:[{s:s}]}", "80/tcp", "HostPort", "8080"));
    json_t *e = json_object_get(path(app, "NetworkSettings", "Networks"), "shop_default");
    json_object_set_new(e, "IPAMConfig", json_pack("{s:s}", "IPv4Address", "172.18.0.9"));
    build(k);
    json_t *def = renamed(k, &what);
    assert_int_equal(what.ports, 1);
    assert_int_equal(what.addresses, 1);
    app = path(def, "containers", "test_app_1");
    assert_null(path(app, "host_config", "PortBindings"));
    assert_null(path(json_object_get(app, "networks"), "test_default", "IPAMConfig"));
    json_decref(def);
}

static void others_networks_stay(void **state)
{
    struct kit *k = *state;
    struct dk_renamed what;
    load_shop(k);
    json_t *nets = path(raw(k, "shop_app_1"), "NetworkSettings", "Networks");
    json_object_set_new(nets, "proxy", json_pack("{s:[s]}", "Aliases", "shop_db_1"));
    build(k);
    json_t *def = renamed(k, &what);
    json_t *e = path(path(def, "containers", "test_app_1"), "networks", "proxy");
    assert_string_equal(json_string_value(json_array_get(json_object_get(e, "Aliases"), 0)),
                        "test_db_1");
    assert_non_null(path(def, "networks", "proxy"));
    json_decref(def);
}

static void a_name_of_its_own(void **state)
{
    struct kit *k = *state;
    struct dk_renamed what;
    load_shop(k);
    json_object_set_new(raw(k, "shop_db_1"), "Name", json_string("/my-database"));
    json_t *host = json_object_get(raw(k, "shop_app_1"), "HostConfig");
    json_object_set_new(host, "PidMode", json_string("container:my-database"));
    build(k);
    json_t *def = renamed(k, &what);
    assert_non_null(path(def, "containers", "test_db_1"));
    assert_string_equal(
        dk_json_text(json_object_get(path(def, "containers", "test_app_1"), "host_config"),
                     "PidMode"),
        "container:test_db_1");
    json_decref(def);
}

static void the_same_data_twice(void **state)
{
    struct kit *k = *state;
    struct dk_renamed what;
    load_shop(k);
    json_t *options = json_pack("{s:s, s:s}", "type", "nfs", "device", ":/srv");
    json_t *def = document(k, options);
    assert_null(dk_def_rename(def, "test", &what));
    assert_non_null(what.elsewhere);
    free(what.elsewhere);
    json_decref(def);
    json_decref(options);
    options = json_pack("{s:s, s:s}", "type", "tmpfs", "device", "tmpfs");
    def = document(k, options);
    json_t *to = dk_def_rename(def, "test", &what);
    assert_non_null(to);
    json_decref(to);
    json_decref(def);
    json_decref(options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_container_is_made_of, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chosen_hostname_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(unchanged_is_equal, setup, teardown),
        cmocka_unit_test_setup_teardown(names_instead_of_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(needs, setup, teardown),
        cmocka_unit_test_setup_teardown(networks_and_volumes, setup, teardown),
        cmocka_unit_test_setup_teardown(checks, setup, teardown),
        cmocka_unit_test_setup_teardown(new_names, setup, teardown),
        cmocka_unit_test_setup_teardown(another_project, setup, teardown),
        cmocka_unit_test_setup_teardown(what_would_collide_is_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(others_networks_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(the_same_data_twice, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
