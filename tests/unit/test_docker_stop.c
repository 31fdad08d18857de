/* Stopping and starting again, against a daemon of a few lines whose failures are chosen: what is
 * promised before anything is done, what is undone after failures, two groups that need the same
 * container. (The real daemon is met in the integration tests.) */
#include "docker_kit.h"

#include "api.h"
#include "hold_impl.h"
#include "ops.h"
#include "promise.h"
#include "restore.h"
#include <pthread.h>
#include <unistd.h>

/* ---- the daemon ------------------------------------------------------------------------------ */

struct dk_api {
    pthread_mutex_t lock;
    struct kit *k;
    struct dk_source *s;
    char log[4096];
    const char *fail_on; /* "stop b": this call fails with fail_rc, fail_times times */
    int fail_rc, fail_times;
    int clock;
    bool unkept; /* a container was stopped before that was promised */
};

static void note(struct dk_api *api, const char *verb, const char *id)
{
    size_t n = strlen(api->log);
    (void)snprintf(api->log + n, sizeof(api->log) - n, "%s %s; ", verb, id);
}

static json_t *find(struct dk_api *api, const char *id)
{
    for (size_t i = 0; i < json_array_size(api->k->containers); i++)
        if (strcmp(dk_json_text(json_array_get(api->k->containers, i), "Id"), id) == 0)
            return json_array_get(api->k->containers, i);
    return NULL;
}

static bool fails(struct dk_api *api, const char *verb, const char *id)
{
    char call[128];
    (void)snprintf(call, sizeof(call), "%s %s", verb, id);
    return api->fail_on && strcmp(api->fail_on, call) == 0 && api->fail_times-- > 0;
}

static bool promised(struct dk_api *api, const char *id)
{
    struct fakehost *f = &api->k->host;
    char text[128];
    bool found = false;
    (void)snprintf(text, sizeof(text), "\"id\":\"%s\"", id);
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
        found = found || (f->duties[i] && strstr(f->duties[i], text));
    (void)pthread_mutex_unlock(&f->lock);
    return found;
}

static int change(struct dk_api *api, const char *verb, const char *id, bool running, bool paused)
{
    char time[32];
    (void)pthread_mutex_lock(&api->lock);
    json_t *c = find(api, id);
    int rc = !c ? BAKE_E_NOTFOUND : fails(api, verb, id) ? api->fail_rc : BAKE_OK;
    note(api, verb, id);
    if ((!running || paused) && !promised(api, id))
        api->unkept = true;
    if (rc == BAKE_OK) {
        json_t *state = json_object_get(c, "State");
        bool ran = json_is_true(json_object_get(state, "Running"));
        (void)snprintf(time, sizeof(time), "T%d", ++api->clock);
        if (ran != running)
            json_object_set_new(state, running ? "StartedAt" : "FinishedAt", json_string(time));
        json_object_set_new(state, "Running", json_boolean(running));
        json_object_set_new(state, "Paused", json_boolean(paused));
    }
    (void)pthread_mutex_unlock(&api->lock);
    return rc;
}

int dk_stop(struct dk_api *api, struct bake_ctx *ctx, const char *id, int64_t seconds,
            bool *ret_changed)
{
    (void)ctx, (void)seconds, (void)ret_changed;
    return change(api, "stop", id, false, false);
}

int dk_start(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    (void)ctx, (void)ret_changed;
    return change(api, "start", id, true, false);
}

int dk_pause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    (void)ctx, (void)ret_changed;
    return change(api, "pause", id, true, true);
}

int dk_unpause(struct dk_api *api, struct bake_ctx *ctx, const char *id, bool *ret_changed)
{
    (void)ctx, (void)ret_changed;
    return change(api, "unpause", id, true, false);
}

int dk_wait_healthy(struct dk_api *api, struct bake_ctx *ctx, const char *id, uint64_t timeout_ms)
{
    (void)ctx, (void)timeout_ms;
    (void)pthread_mutex_lock(&api->lock);
    int rc = fails(api, "health", id) ? api->fail_rc : BAKE_OK;
    (void)pthread_mutex_unlock(&api->lock);
    return rc;
}

int dk_inspect(struct dk_api *api, struct bake_ctx *ctx, const char *id, json_t **ret)
{
    (void)ctx;
    (void)pthread_mutex_lock(&api->lock);
    json_t *c = find(api, id);
    *ret = c ? json_deep_copy(c) : NULL;
    (void)pthread_mutex_unlock(&api->lock);
    return c ? BAKE_OK : BAKE_E_NOTFOUND;
}

static json_t *listed(struct dk_api *api)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(api->k->containers); i++) {
        const json_t *c = json_array_get(api->k->containers, i);
        const json_t *state = json_object_get(c, "State");
        json_array_append_new(
            list, json_pack("{s:s, s:[s], s:s}", "Id", dk_json_text(c, "Id"), "Names",
                            dk_json_text(c, "Name"), "State",
                            json_is_true(json_object_get(state, "Paused"))    ? "paused"
                            : json_is_true(json_object_get(state, "Running")) ? "running"
                                                                              : "exited"));
    }
    return list;
}

int dk_get(struct dk_api *api, struct bake_ctx *ctx, const char *path, json_t **ret)
{
    (void)ctx;
    (void)pthread_mutex_lock(&api->lock);
    *ret = strncmp(path, "/volumes", 8) == 0
               ? json_pack("{s:o}", "Volumes", json_deep_copy(api->k->volumes))
               : listed(api);
    (void)pthread_mutex_unlock(&api->lock);
    return BAKE_OK;
}

int dk_post(struct dk_api *api, struct bake_ctx *ctx, const char *path, const json_t *body,
            json_t **ret)
{
    (void)ctx;
    assert_string_equal(path, "/volumes/create");
    (void)pthread_mutex_lock(&api->lock);
    json_array_append_new(api->k->volumes, json_deep_copy(body));
    *ret = NULL;
    (void)pthread_mutex_unlock(&api->lock);
    return BAKE_OK;
}

int dk_delete(struct dk_api *api, struct bake_ctx *ctx, const char *path)
{
    int rc = BAKE_E_NOTFOUND;
    (void)ctx;
    (void)pthread_mutex_lock(&api->lock);
    for (size_t i = json_array_size(api->k->volumes); i-- > 0;)
        if (strcmp(dk_json_text(json_array_get(api->k->volumes, i), "Name"), path + 9) == 0)
            rc = json_array_remove(api->k->volumes, i);
    (void)pthread_mutex_unlock(&api->lock);
    return rc;
}

char *dk_quote(const char *text) { return strdup(text); }
const char *dk_api_host(const struct dk_api *api) { return api ? "unix:///x" : ""; }
const char *dk_api_engine(const struct dk_api *api) { return api ? "20.10.24" : ""; }
const char *dk_api_arch(const struct dk_api *api) { return api ? "amd64" : ""; }

/* What the rest of the source does is no part of this. */
int dk_source_new(struct bake_ctx *ctx, const void *cfg, const char *host, struct dk_source **ret)
{
    (void)cfg, (void)host, (void)ret;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "not here");
}
void dk_source_free(struct dk_source *s) { assert_null(s); }
int dk_restore_redeem(struct dk_source *s, struct bake_ctx *ctx, const json_t *what)
{
    (void)s, (void)what;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "not here");
}
int dk_restore_tidy(struct dk_source *s, struct bake_ctx *ctx)
{
    (void)s, (void)ctx;
    return BAKE_OK;
}

/* ---- a source on it -------------------------------------------------------------------------- */

struct bed {
    struct kit *k;
    struct dk_source s;
    struct dk_api api;
};

static struct bed *open_bed(struct kit *k)
{
    struct bed *b = calloc(1, sizeof(*b));
    b->k = k;
    b->api = (struct dk_api){.k = k, .s = &b->s, .clock = 10};
    assert_int_equal(pthread_mutex_init(&b->api.lock, NULL), 0);
    assert_int_equal(pthread_mutex_init(&b->s.lock, NULL), 0);
    k->cfg.health_timeout = 1000;
    b->s.ctx = &k->host.ctx;
    b->s.cfg = &k->cfg;
    b->s.api = &b->api;
    for (size_t i = 0; i < json_array_size(k->containers); i++) {
        json_t *state = json_object_get(json_array_get(k->containers, i), "State");
        json_object_set_new(state, "StartedAt", json_string("T1"));
        json_object_set_new(state, "FinishedAt", json_string("T0"));
    }
    build(k);
    b->s.world = k->world;
    return b;
}

static void close_bed(struct bed *b)
{
    assert_false(b->api.unkept);
    dk_held_free(&b->s);
    (void)pthread_mutex_destroy(&b->s.lock);
    (void)pthread_mutex_destroy(&b->api.lock);
    free(b);
}

static size_t duties(struct kit *k)
{
    size_t n = 0;
    for (size_t i = 0; i < FAKEHOST_DUTIES; i++)
        n += k->host.duties[i] != NULL;
    return n;
}

static int hold(struct bed *b, const char *group, uint32_t flags, struct bake_result *ret)
{
    struct bake_component list[16];
    const struct bake_component *chosen[16];
    size_t n = 0;
    for (size_t i = 0; i < b->s.world->n_items; i++) {
        if (strcmp(b->s.world->items[i].group, group) != 0)
            continue;
        list[n] = (struct bake_component){.struct_size = sizeof(list[n]),
                                          .name = b->s.world->items[i].name};
        chosen[n] = &list[n];
        n++;
    }
    *ret = (struct bake_result){.struct_size = sizeof(*ret)};
    return dk_hold(&b->s, &b->k->host.ctx, group, chosen, n, flags, ret);
}

static int release(struct bed *b, const char *group, struct bake_result *ret)
{
    *ret = (struct bake_result){.struct_size = sizeof(*ret)};
    return dk_release(&b->s, &b->k->host.ctx, group, ret);
}

/* b depends on a; both write to v; c of another stack does, too. */
static struct bed *three(struct kit *k)
{
    mount(add(k, "a", "s", "a", LABELS(ENABLE, "backup.volume-path.d=/d")), "v", "/d", true);
    json_t *c = add(k, "b", "s", "b", NULL);
    label(c, "com.docker.compose.depends_on", "a:service_started:false");
    mount(c, "v", "/d", true);
    mount(add(k, "c", "t", "c", LABELS(ENABLE, "backup.volume-path.d=/d")), "v", "/d", true);
    return open_bed(k);
}

static bool running(struct bed *b, const char *id)
{
    (void)pthread_mutex_lock(&b->api.lock);
    const json_t *state = json_object_get(find(&b->api, id), "State");
    bool is = json_is_true(json_object_get(state, "Running")) &&
              !json_is_true(json_object_get(state, "Paused"));
    (void)pthread_mutex_unlock(&b->api.lock);
    return is;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void there_and_back(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    assert_int_equal(hold(b, "s", BAKE_HOLD_PREVIEW, &r), BAKE_OK);
    assert_string_equal(r.facts, "{\"keeps\":[],\"pauses\":[],\"stops\":[\"b\",\"a\",\"c\"]}");
    assert_string_equal(b->api.log, "");
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_string_equal(b->api.log, "stop b; stop a; stop c; ");
    assert_int_equal(duties(k), 1);
    assert_non_null(strstr(k->host.duties[0], "\"finished_at\":\"T13\""));
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_string_equal(b->api.log, "stop b; stop a; stop c; start c; start a; start b; ");
    assert_int_equal(duties(k), 0);
    json_t *facts = json_loads(r.facts, 0, NULL);
    assert_int_equal(json_object_size(json_object_get(facts, "stopped")), 3);
    json_decref(facts);
    /* and once more */
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

static void no_promise_no_stop(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    k->host.last_duty = FAKEHOST_DUTIES; /* it cannot be kept */
    assert_true(hold(b, "s", 0, &r) < 0);
    assert_string_equal(b->api.log, "");
    k->host.last_duty = 0;
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_string_equal(b->api.log, "");
    close_bed(b);
}

static void a_stop_fails(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    b->api.fail_on = "stop a";
    b->api.fail_rc = BAKE_E_IO;
    b->api.fail_times = 1;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_E_IO);
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

static void removed_meanwhile(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    json_array_remove(k->containers, 1);
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_true(running(b, "a") && running(b, "c"));
    said(k, BAKE_WARNING, "b", "removed while it was held");
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

static void a_start_is_tried_again(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    b->api.fail_on = "start a";
    b->api.fail_rc = BAKE_E_IO;
    b->api.fail_times = 3;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    /* the failure did not keep b waiting */
    assert_non_null(strstr(b->api.log, "start c; start a; start b; start a; "));
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

static void a_start_that_never_works_stays_promised(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    b->api.fail_on = "start a";
    b->api.fail_rc = BAKE_E_IO;
    b->api.fail_times = 1000;
    fakehost_cancel(&k->host); /* which ends the waiting between tries */
    assert_true(release(b, "s", &r) < 0);
    assert_true(running(b, "b") && running(b, "c") && !running(b, "a"));
    said(k, BAKE_PARTIAL, "a", "could not be started again");
    assert_int_equal(duties(k), 1);
    assert_non_null(strstr(k->host.duties[0], "\"id\":\"a\""));
    assert_null(strstr(k->host.duties[0], "\"id\":\"b\""));
    /* whoever redeems it later */
    json_t *what = json_loads(k->host.duties[0], 0, NULL);
    b->api.fail_times = 0;
    assert_int_equal(dk_redeem_start(&b->s, &k->host.ctx, what), BAKE_OK);
    assert_true(running(b, "a"));
    json_decref(what);
    close_bed(b);
}

static void not_healthy(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    b->api.fail_on = "health a";
    b->api.fail_rc = BAKE_E_TIMEOUT;
    b->api.fail_times = 1;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_int_equal(release(b, "s", &r), BAKE_E_TIMEOUT);
    assert_non_null(strstr(k->host.fail, "container 'a' was started again, but"));
    assert_int_equal(duties(k), 0);
    assert_non_null(r.facts);
    close_bed(b);
}

static void paused_and_stopped_for_a_restore(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct dk_stopped *st = NULL;
    const struct dk_container *list[] = {container(k, "a"), container(k, "b")};
    json_object_set_new(json_object_get(find(&b->api, "a"), "State"), "Paused", json_true());
    json_object_set_new(json_object_get(find(&b->api, "b"), "State"), "Running", json_false());
    assert_int_equal(dk_stop_all(&b->s, &k->host.ctx, list, 2, DK_STOP, &st), BAKE_OK);
    assert_string_equal(b->api.log, "stop a; ");
    assert_int_equal(dk_start_again(&b->s, &k->host.ctx, st, true, NULL), BAKE_OK);
    assert_string_equal(b->api.log, "stop a; start a; pause a; ");
    assert_false(running(b, "b"));
    assert_int_equal(dk_stop_all(&b->s, &k->host.ctx, list, 2, DK_STOP, &st), BAKE_OK);
    assert_int_equal(duties(k), 1);
    assert_int_equal(dk_leave_stopped(&b->s, &k->host.ctx, st), BAKE_OK);
    assert_int_equal(duties(k), 0);
    assert_false(running(b, "a"));
    close_bed(b);
}

static void away(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    char nonce[DK_NONCE_SIZE];
    unsigned number = 0;
    b->s.where.away = true;
    b->s.where.owner = (char *)"me";
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_int_equal(json_array_size(k->volumes), 1);
    const json_t *v = json_array_get(k->volumes, 0);
    assert_true(dk_promise_parse(dk_json_text(v, "Name"), nonce, &number));
    assert_int_equal(number, 4); /* one before the first stop, one after each */
    assert_non_null(strstr(k->host.duties[0], nonce));
    assert_string_equal(dk_json_text(json_object_get(v, "Labels"), DK_LABEL_PROMISE),
                        k->host.duties[0]);
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_int_equal(json_array_size(k->volumes), 0);
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

static void tidying(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    b->s.where.away = true;
    b->s.where.owner = dk_owner(&b->s, &k->host.ctx);
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_int_equal(dk_tidy(&b->s, &k->host.ctx), BAKE_OK); /* our own */
    assert_int_equal(json_array_size(k->volumes), 1);
    json_t *labels = json_object_get(json_array_get(k->volumes, 0), "Labels");
    json_object_set_new(labels, DK_LABEL_HOLDER, json_string("{\"boot\":\"x\",\"pid\":1}"));
    assert_int_equal(dk_tidy(&b->s, &k->host.ctx), BAKE_OK);
    assert_int_equal(fakehost_count(&k->host, BAKE_NOTICE, "bakengine-promise-", "process 1"), 1);
    assert_int_equal(json_array_size(k->volumes), 1);
    /* of a container that is not there any more */
    json_object_set_new(labels, DK_LABEL_HOLDER,
                        json_string("{\"boot\":\"x\",\"pid\":1,\"container\":\"gone\"}"));
    assert_int_equal(dk_tidy(&b->s, &k->host.ctx), BAKE_OK);
    assert_int_equal(json_array_size(k->volumes), 0);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    free(b->s.where.owner);
    close_bed(b);
}

static void redeeming_twice_and_by_halves(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    json_t *what = json_loads(k->host.duties[0], 0, NULL);
    assert_int_equal(change(&b->api, "start", "a", true, false), BAKE_OK); /* by somebody else */
    assert_int_equal(change(&b->api, "stop", "a", false, false), BAKE_OK);
    assert_int_equal(dk_redeem_start(&b->s, &k->host.ctx, what), BAKE_OK);
    assert_true(!running(b, "a") && running(b, "b") && running(b, "c"));
    assert_int_equal(dk_redeem_start(&b->s, &k->host.ctx, what), BAKE_OK);
    assert_false(running(b, "a"));
    json_decref(what);
    close_bed(b);
}

struct runner {
    struct bed *b;
    const char *group;
    unsigned us;
    int bad;
};

static void *run_group(void *arg)
{
    struct runner *r = arg;
    struct bake_result res;
    for (int i = 0; i < 15; i++) { /* the host keeps 64 promises in all */
        int rc = hold(r->b, r->group, 0, &res);
        r->bad += rc != BAKE_OK;
        (void)usleep(r->us);
        r->bad += running(r->b, "a") || running(r->b, "b") || running(r->b, "c");
        rc = release(r->b, r->group, &res);
        r->bad += rc != BAKE_OK;
    }
    return NULL;
}

static void two_groups_at_once(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct runner one = {b, "s", 700, 0}, two = {b, "t", 1900, 0};
    pthread_t x, y;
    assert_int_equal(pthread_create(&x, NULL, run_group, &one), 0);
    assert_int_equal(pthread_create(&y, NULL, run_group, &two), 0);
    assert_int_equal(pthread_join(x, NULL), 0);
    assert_int_equal(pthread_join(y, NULL), 0);
    assert_int_equal(one.bad, 0);
    assert_int_equal(two.bad, 0);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    assert_int_equal(duties(k), 0);
    b->api.unkept = false;
    close_bed(b);
}

static void a_pause_that_fails_at_first(void **state)
{
    struct kit *k = *state;
    k->cfg.consistency = DK_PAUSE;
    struct bed *b = three(k);
    struct bake_result r;
    b->api.fail_on = "pause c";
    b->api.fail_rc = BAKE_E_IO;
    b->api.fail_times = 2;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_OK);
    assert_string_equal(b->api.log, "pause b; pause a; pause c; pause c; pause c; ");
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    close_bed(b);
}

static void *hold_other(void *arg)
{
    struct runner *r = arg;
    struct bake_result res;
    r->bad = hold(r->b, r->group, 0, &res) != BAKE_OK;
    return NULL;
}

/* The group that was to stop c fails at it: the other one, which waits for that, does it itself. */
static void left_to_the_other_group(void **state)
{
    struct kit *k = *state;
    struct bed *b = three(k);
    struct bake_result r;
    struct runner other = {b, "t", 0, 1};
    pthread_t x;
    b->api.fail_on = "stop c";
    b->api.fail_rc = BAKE_E_IO;
    b->api.fail_times = 1;
    assert_int_equal(hold(b, "s", 0, &r), BAKE_E_IO);
    assert_string_equal(b->api.log, "stop b; stop a; stop c; ");
    assert_int_equal(pthread_create(&x, NULL, hold_other, &other), 0);
    for (bool waits = false; !waits; (void)usleep(1000)) {
        (void)pthread_mutex_lock(&b->s.lock);
        waits = b->s.held->stopped->next != NULL;
        (void)pthread_mutex_unlock(&b->s.lock);
    }
    assert_int_equal(release(b, "s", &r), BAKE_OK);
    assert_int_equal(pthread_join(x, NULL), 0);
    assert_int_equal(other.bad, 0);
    assert_true(!running(b, "a") && !running(b, "b") && !running(b, "c"));
    assert_int_equal(duties(k), 1);
    assert_int_equal(release(b, "t", &r), BAKE_OK);
    assert_true(running(b, "a") && running(b, "b") && running(b, "c"));
    assert_int_equal(duties(k), 0);
    close_bed(b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_and_back),
        TEST(no_promise_no_stop),
        TEST(a_stop_fails),
        TEST(removed_meanwhile),
        TEST(a_start_is_tried_again),
        TEST(a_start_that_never_works_stays_promised),
        TEST(not_healthy),
        TEST(paused_and_stopped_for_a_restore),
        TEST(away),
        TEST(tidying),
        TEST(redeeming_twice_and_by_halves),
        TEST(a_pause_that_fails_at_first),
        TEST(left_to_the_other_group),
        TEST(two_groups_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
