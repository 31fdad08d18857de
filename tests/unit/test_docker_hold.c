/* Who is held and in which order, what redeeming decides, and who this process says it is. */
#include "docker_kit.h"

#include "hold_impl.h"
#include "promise.h"
#include "self.h"

/* ---- who is held ----------------------------------------------------------------------------- */

/* Holds all components of the group; "stop:a pause:b keep:c" in order. */
static const char *plan_of(struct kit *k, const char *group)
{
    static char text[512]; /* of the last call */
    const struct dk_item *items[32];
    struct dk_hold_plan p;
    size_t n = 0, used = 0;
    for (size_t i = 0; i < k->world->n_items; i++)
        if (strcmp(k->world->items[i].group, group) == 0)
            items[n++] = &k->world->items[i];
    assert_true(n > 0);
    assert_int_equal(dk_hold_plan_make(&k->host.ctx, &k->cfg, k->world, items, n, k->quiet, &p),
                     BAKE_OK);
    text[0] = '\0';
    for (size_t i = 0; i < p.n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s:%s ",
                                 p.list[i].pause ? "pause" : "stop", p.list[i].c->name);
    for (size_t i = 0; i < p.n_keeps; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "keep:%s ", p.keeps[i]->name);
    dk_hold_plan_release(&p);
    return text;
}

static json_t *owner(struct kit *k)
{
    json_t *c = add(k, "app", "s", "app", LABELS(ENABLE, "backup.volume-path.d=/data"));
    mount(c, "v", "/data", true);
    return c;
}

static void set(json_t *c, const char *object, const char *key, json_t *value)
{
    json_object_set_new(json_object_get(c, object), key, value);
}

static void owner_and_writers(void **state)
{
    struct kit *k = *state;
    owner(k);
    mount(add(k, "other", "t", "x", NULL), "v", "/elsewhere", true);
    mount(add(k, "reader", "s", "r", NULL), "v", "/data", false);
    mount(add(k, "apart", "s", "p", NULL), "w", "/data", true);
    json_t *c = add(k, "ended", "t", "e", NULL);
    mount(c, "v", "/data", true);
    set(c, "State", "Running", json_false());
    c = add(k, "frozen", "t", "f", NULL);
    mount(c, "v", "/data", true);
    set(c, "State", "Paused", json_true());
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:app stop:other keep:apart keep:reader ");
    assert_int_equal(k->host.n_reports, 0);
}

static void binds(void **state)
{
    struct kit *k = *state;
    json_t *c = add(k, "app", "s", "app", LABELS(ENABLE, "backup.volume-path.d=/data/sub"));
    mount(c, "/srv/app", "/data", true);
    mount(add(k, "above", "t", "a", NULL), "/srv", "/x", true);
    mount(add(k, "beside", "t", "b", NULL), "/srv/app2", "/x", true);
    mount(add(k, "inside", "t", "c", NULL), "/srv/app/deep", "/x", true);
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:above stop:app stop:inside ");
}

static void volumes_made_of_directories(void **state)
{
    struct kit *k = *state;
    owner(k);
    volume(k, "v", NULL);
    json_object_set_new(
        json_array_get(k->volumes, 0), "Options",
        json_pack("{s:s, s:s, s:s}", "type", "none", "o", "bind", "device", "/srv/v"));
    mount(add(k, "direct", "t", "a", NULL), "/srv/v/x", "/x", true);
    mount(add(k, "beside", "t", "b", NULL), "/srv/vv", "/x", true);
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:app stop:direct ");
}

static void mounts_below_the_path(void **state)
{
    struct kit *k = *state;
    json_t *c = owner(k);
    mount(c, "inner", "/data/in", true);
    mount(add(k, "writer", "t", "w", NULL), "inner", "/x", true);
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:app stop:writer ");
}

static void dumped_and_own(void **state)
{
    struct kit *k = *state;
    owner(k);
    mount(add(k, "db", "s", "db", LABELS(ENABLE, "backup.database.pg_dumpall=true")), "v", "/v",
          true);
    mount(add(k, "self", NULL, NULL, NULL), "v", "/v", true);
    k->own = "self";
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:app keep:db ");
    said(k, BAKE_WARNING, "s/app/volumes/d", "'db' can write there and keeps running");
    said(k, BAKE_WARNING, "s/app/volumes/d", "'self' can write there and keeps running");
}

static void never_the_own(void **state)
{
    struct kit *k = *state;
    owner(k);
    k->own = "app";
    build(k);
    assert_string_equal(plan_of(k, "s"), "keep:app ");
    said(k, BAKE_WARNING, "s/app/volumes/d", "bakengine is in it");
}

static void labels_of_consistency(void **state)
{
    struct kit *k = *state;
    label(owner(k), "backup.consistency", "pause");
    json_t *c = add(k, "stops", "t", "x", NULL);
    mount(c, "v", "/x", true);
    label(c, "backup.consistency", "stop");
    c = add(k, "runs", "t", "y", NULL);
    mount(c, "v", "/x", true);
    label(c, "backup.consistency", "none");
    mount(add(k, "plain", "t", "z", NULL), "v", "/x", true);
    build(k);
    assert_string_equal(plan_of(k, "s"), "pause:app pause:plain stop:stops ");
}

static void nothing_is_held(void **state)
{
    struct kit *k = *state;
    owner(k);
    mount(add(k, "other", "t", "x", NULL), "v", "/x", true);
    k->cfg.consistency = DK_NONE;
    build(k);
    assert_string_equal(plan_of(k, "s"), "keep:app ");
}

static void what_cannot_be_stopped(void **state)
{
    struct kit *k = *state;
    owner(k);
    json_t *c = add(k, "rm", "t", "x", NULL);
    mount(c, "v", "/x", true);
    set(c, "HostConfig", "AutoRemove", json_true());
    c = add(k, "job", "t", "x", NULL);
    mount(c, "v", "/x", true);
    label(c, "com.docker.compose.oneoff", "True");
    c = add(k, "task", NULL, NULL, NULL);
    mount(c, "v", "/x", true);
    label(c, "com.docker.swarm.task.id", "1");
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:app pause:job pause:rm pause:task ");
}

static void lodgers(void **state)
{
    struct kit *k = *state;
    owner(k);
    json_t *c = add(k, "a_lodger", NULL, NULL, NULL);
    set(c, "HostConfig", "NetworkMode", json_string("container:app"));
    c = add(k, "its_lodger", NULL, NULL, NULL);
    set(c, "HostConfig", "PidMode", json_string("container:a_lodger"));
    build(k);
    assert_string_equal(plan_of(k, "s"), "stop:its_lodger stop:a_lodger stop:app ");
}

static void a_lodger_with_a_dump(void **state)
{
    struct kit *k = *state;
    owner(k);
    json_t *c = add(k, "db", "s", "db", LABELS(ENABLE, "backup.database.pg_dumpall=true"));
    set(c, "HostConfig", "NetworkMode", json_string("container:app"));
    build(k);
    assert_string_equal(plan_of(k, "s"), "pause:app keep:db ");
}

static void a_volume_by_itself(void **state)
{
    struct kit *k = *state;
    const char *all[] = {"all", NULL};
    volume(k, "v", NULL);
    json_object_set_new(json_array_get(k->volumes, 0), "Mountpoint",
                        json_string("/var/lib/docker/volumes/v/_data"));
    mount(add(k, "a", NULL, NULL, NULL), "v", "/x", true);
    mount(add(k, "b", NULL, NULL, NULL), "v", "/x", false);
    mount(add(k, "c", NULL, NULL, NULL), "/var/lib/docker/volumes", "/x", true);
    mount(add(k, "d", NULL, NULL, NULL), "/", "/host", false); /* who watches the host */
    k->cfg.volumes = all;
    build(k);
    assert_string_equal(plan_of(k, "volume-v"), "stop:a stop:b stop:c ");
}

/* ---- order ----------------------------------------------------------------------------------- */

static const char *order_of(struct kit *k, const char *stack)
{
    static char text[512]; /* of the last call */
    const struct dk_container *list[16];
    size_t used = 0;
    build(k);
    size_t n = dk_stack_order(k->world, stack, list);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", list[i]->name);
    return text;
}

static void dependents_first(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a", NULL);
    label(add(k, "b", "s", "b", NULL), "com.docker.compose.depends_on",
          "a:service_started:false,c:service_healthy:true");
    label(add(k, "c", "s", "c", NULL), "com.docker.compose.depends_on", "a:service_started:false");
    add(k, "x", "t", "b", NULL);
    assert_string_equal(order_of(k, "s"), "b c a ");
}

static void databases_last(void **state)
{
    struct kit *k = *state;
    env(add(k, "a_db", "s", "db", NULL), "PGDATA=/x");
    json_t *c = add(k, "b_my", "s", "my", NULL);
    set(c, "Config", "Image", json_string("registry:5000/mariadb:10.11"));
    add(k, "z_app", "s", "app", NULL);
    add(k, "y_app", "s", "app2", NULL);
    assert_string_equal(order_of(k, "s"), "y_app z_app a_db b_my ");
}

static void circles(void **state)
{
    struct kit *k = *state;
    label(add(k, "a", "s", "a", NULL), "com.docker.compose.depends_on", "b:x:y");
    label(add(k, "b", "s", "b", NULL), "com.docker.compose.depends_on", "a:x:y");
    label(add(k, "c", "s", "c", NULL), "com.docker.compose.depends_on", "c,,a:x");
    assert_string_equal(order_of(k, "s"), "c a b ");
}

static void old_links(void **state)
{
    struct kit *k = *state;
    add(k, "a", "s", "a", NULL);
    set(add(k, "b", "s", "b", NULL), "HostConfig", "Links", json_pack("[s]", "/a:/b/db"));
    add(k, "c", "s", "c", NULL);
    assert_string_equal(order_of(k, "s"), "b a c ");
}

/* ---- redeeming ------------------------------------------------------------------------------- */

static enum dk_redeem_act decide(const char *action, const char *finished, bool running,
                                 bool paused, const char *started_now, const char *finished_now,
                                 bool in_flight)
{
    json_t *p = json_pack("{s:s, s:s}", "action", action, "started_at", "T1");
    json_t *i = json_pack("{s:{s:b, s:b, s:s, s:s}}", "State", "Running", running, "Paused", paused,
                          "StartedAt", started_now, "FinishedAt", finished_now);
    if (finished)
        json_object_set_new(p, "finished_at", json_string(finished));
    enum dk_redeem_act act = dk_redeem_decide(p, i, in_flight);
    json_decref(p);
    json_decref(i);
    return act;
}

static void decisions(void **state)
{
    (void)state;
    /* as we left it */
    assert_int_equal(decide("start", "T2", false, false, "T1", "T2", false), DK_REDEEM_START);
    /* stopped by somebody else since, or started */
    assert_int_equal(decide("start", "T2", false, false, "T3", "T4", false), DK_REDEEM_NOTHING);
    assert_int_equal(decide("start", "T2", false, false, "T1", "T4", false), DK_REDEEM_NOTHING);
    assert_int_equal(decide("start", "T2", true, false, "T3", "T2", false), DK_REDEEM_NOTHING);
    /* never begun, or begun and not known to be done */
    assert_int_equal(decide("start", NULL, true, false, "T1", "T0", false), DK_REDEEM_NOTHING);
    assert_int_equal(decide("start", NULL, true, false, "T1", "T0", true), DK_REDEEM_WATCH);
    assert_int_equal(decide("start", NULL, false, false, "T1", "T2", true), DK_REDEEM_START);
    assert_int_equal(decide("start", NULL, false, false, "T1", "T2", false), DK_REDEEM_START);
    assert_int_equal(decide("start", NULL, true, false, "T3", "T2", true), DK_REDEEM_NOTHING);
    /* pauses */
    assert_int_equal(decide("unpause", "T0", true, true, "T1", "T0", false), DK_REDEEM_UNPAUSE);
    assert_int_equal(decide("unpause", NULL, true, false, "T1", "T0", false), DK_REDEEM_NOTHING);
    assert_int_equal(decide("unpause", NULL, true, false, "T1", "T0", true), DK_REDEEM_WATCH);
    assert_int_equal(decide("unpause", "T0", true, true, "T3", "T0", false), DK_REDEEM_NOTHING);
    assert_int_equal(decide("unpause", "T0", false, false, "T1", "T2", false), DK_REDEEM_NOTHING);
    /* nothing is known of it */
    json_t *none = json_object();
    assert_int_equal(dk_redeem_decide(none, none, true), DK_REDEEM_NOTHING);
    json_decref(none);
}

/* ---- who we are ------------------------------------------------------------------------------ */

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void own_container(void **state)
{
    (void)state;
    char id[DK_ID_SIZE], file[DK_FILE_SIZE];
    assert_true(dk_self_from_mount("655 643 8:1 /var/lib/docker/containers/" ID "/hostname "
                                   "/etc/hostname rw,relatime - ext4 /dev/sda1 rw",
                                   id, file));
    assert_string_equal(id, ID);
    assert_string_equal(file, "/containers/" ID "/hostname");
    assert_true(dk_self_from_mount("1 2 0:1 /containers/x/containers/" ID "/resolv.conf "
                                   "/etc/resolv.conf rw - x y z",
                                   id, file));
    /* a host sees its containers' mounts, but not as its own files */
    assert_false(dk_self_from_mount(
        "655 643 0:9 / /var/lib/docker/containers/" ID "/mounts/shm rw - tmpfs shm rw", id, file));
    assert_false(dk_self_from_mount("1 2 8:1 /containers/abc/hostname /etc/hostname rw", id, file));
    assert_false(dk_self_from_mount("1 2 8:1 /x/" ID "/hostname /etc/hostname rw", id, file));
    assert_false(dk_self_from_mount("", id, file));
    assert_true(dk_self_from_cgroup("9:memory:/docker/" ID "\n", id));
    assert_true(dk_self_from_cgroup("0::/system.slice/docker-" ID ".scope\n", id));
    assert_string_equal(id, ID);
    assert_false(dk_self_from_cgroup("0::/\n", id));
    assert_false(dk_self_from_cgroup("9:memory:/docker/" ID "ff\n", id));
    assert_false(dk_self_from_cgroup("0::/system.slice/docker.service\n", id));
}

static unsigned long long begins(long pid) { return pid == 7 ? 700 : 0; }

static enum dk_fate fate(const char *boot, const char *ns, const char *machine, int pid, int begin,
                         const char *container)
{
    json_t *own = json_pack("{s:s, s:s, s:s, s:i, s:i}", "boot", "B", "ns", "N", "machine", "M",
                            "pid", 9, "begin", 900);
    json_t *o = json_pack("{s:s, s:s, s:s, s:i, s:i}", "boot", boot, "ns", ns, "machine", machine,
                          "pid", pid, "begin", begin);
    if (container)
        json_object_set_new(o, "container", json_string(container));
    enum dk_fate is = dk_owner_fate(o, own, begins);
    json_decref(o);
    json_decref(own);
    return is;
}

static void fates(void **state)
{
    (void)state;
    assert_int_equal(fate("B", "N", "M", 7, 700, NULL), DK_FATE_ALIVE);
    assert_int_equal(fate("B", "N", "M", 7, 701, NULL), DK_FATE_DEAD); /* its number is reused */
    assert_int_equal(fate("B", "N", "M", 8, 800, NULL), DK_FATE_DEAD);
    assert_int_equal(fate("B", "O", "M", 7, 700, NULL), DK_FATE_UNKNOWN);
    assert_int_equal(fate("A", "N", "M", 7, 700, NULL), DK_FATE_DEAD); /* rebooted since */
    assert_int_equal(fate("A", "N", "L", 7, 700, NULL), DK_FATE_UNKNOWN);
    assert_int_equal(fate("A", "N", "", 7, 700, NULL), DK_FATE_UNKNOWN);
    assert_int_equal(fate("B", "O", "", 1, 10, "c"), DK_FATE_ASK);
    assert_int_equal(fate("A", "O", "M", 1, 10, "c"), DK_FATE_ASK);
    assert_int_equal(fate("B", "N", "", 7, 700, "c"), DK_FATE_ALIVE);
    assert_int_equal(fate("", "", "", 7, 700, NULL), DK_FATE_UNKNOWN);
    assert_int_equal(dk_owner_fate(NULL, NULL, begins), DK_FATE_UNKNOWN);
    assert_int_equal(dk_self_begin("12 (a) b (c) R 1 12 12 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 1 0 "
                                   "987654 1000 20"),
                     987654);
    assert_int_equal(dk_self_begin("12 (x"), 0);
}

static void promise_names(void **state)
{
    (void)state;
    char nonce[DK_NONCE_SIZE];
    unsigned n = 0;
    assert_true(dk_promise_parse("bakengine-promise-0123456789abcdef-12", nonce, &n));
    assert_string_equal(nonce, "0123456789abcdef");
    assert_int_equal(n, 12);
    assert_false(dk_promise_parse("bakengine-promise-0123456789abcdef", nonce, &n));
    assert_false(dk_promise_parse("bakengine-promise-0123456789abcde-1", nonce, &n));
    assert_false(dk_promise_parse("bakengine-promise-0123456789abcdef-1x", nonce, &n));
    assert_false(dk_promise_parse("shop_data", nonce, &n));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(owner_and_writers),
        TEST(binds),
        TEST(volumes_made_of_directories),
        TEST(mounts_below_the_path),
        TEST(dumped_and_own),
        TEST(never_the_own),
        TEST(labels_of_consistency),
        TEST(nothing_is_held),
        TEST(what_cannot_be_stopped),
        TEST(lodgers),
        TEST(a_lodger_with_a_dump),
        TEST(a_volume_by_itself),
        TEST(dependents_first),
        TEST(databases_last),
        TEST(circles),
        TEST(old_links),
        TEST(decisions),
        TEST(own_container),
        TEST(fates),
        TEST(promise_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
