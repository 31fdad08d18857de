/* What the store's tests share. */
#include "storekit.h"

#include "base/clock.h"
#include "bytewise.h"

#include <stdlib.h>
#include <string.h>

static char *name_of(size_t i)
{
    static const char *const names[KIT_PARTS] = {"first", "second", "third"};

    return (char *)(uintptr_t)names[i];
}

void kit_init(struct kit *k, size_t n_sinks, size_t n_transforms)
{
    memset(k, 0, sizeof(*k));
    k->pipeline.name = (char *)(uintptr_t) "nightly";
    k->pipeline.sinks = k->sinks;
    k->pipeline.n_sinks = n_sinks;
    k->pipeline.transforms = k->transforms;
    k->pipeline.n_transforms = n_transforms;
    for (size_t i = 0; i < KIT_PARTS; i++) {
        ms_init(&k->ms[i]);
        k->ms_cfgs[i].sink = &k->ms[i];
        k->sinks[i].plugin = ms_plugin();
        k->sinks[i].cfg = &k->ms_cfgs[i];
        k->sinks[i].name = name_of(i);
        k->ft_cfgs[i] = (struct ft_cfg)FT_CFG;
        k->ft_cfgs[i].open = &k->transforms_open;
        k->transforms[i].plugin = ft_plugin();
        k->transforms[i].cfg = &k->ft_cfgs[i];
        k->transforms[i].name = (char *)(uintptr_t) "fake";
    }
    assert_int_equal(bk_cancel_new(NULL, &k->cancel, &k->err), 0);
}

int kit_open(struct kit *k, enum bk_store_mode mode)
{
    bk_store_close(k->store);
    k->store = NULL;
    bk_err_clear(&k->err);
    return bk_store_open(&k->pipeline, NULL, k->cancel, mode, NULL, &k->store, &k->err);
}

void kit_must_open(struct kit *k)
{
    if (kit_open(k, BK_STORE_WRITE) < 0)
        fail_msg("%s", k->err.text);
}

void kit_release(struct kit *k)
{
    bk_store_close(k->store);
    for (size_t i = 0; i < KIT_PARTS; i++) {
        assert_int_equal(k->ms[i].puts_open, 0);
        assert_int_equal(k->ms[i].gets_open, 0);
        ms_release(&k->ms[i]);
    }
    assert_int_equal(atomic_load(&k->transforms_open), 0);
    bk_cancel_free(k->cancel);
}

void *kit_fire(void *arg)
{
    struct kit *k = arg;

    (void)bk_cancel_sleep(k->cancel, 50);
    k->fired_ms = bk_monotonic_ms();
    bk_cancel_fire(k->cancel);
    return NULL;
}

BYTEWISE uint64_t kit_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

BYTEWISE char *kit_bytes(size_t n, uint64_t seed)
{
    char *data = malloc(n ? n : 1);
    uint64_t state = seed * 2654435761u + 88172645463325252u;

    assert_non_null(data);
    for (size_t i = 0; i < n; i++)
        data[i] = (char)(kit_random(&state) >> 24);
    return data;
}

static void blob(struct bk_mcomp *c, size_t i)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "c%zu", i);
    c->name = bk_strdup(text);
    c->source = bk_strdup("system");
    c->plugin = bk_strdup("files");
    c->kind = BAKE_BLOB;
    c->objects = calloc(1, sizeof(*c->objects));
    assert_non_null(c->objects);
    c->n_objects = 1;
    c->objects[0].name = bk_strdup(text);
    c->objects[0].role = bk_strdup("data");
    c->objects[0].size = 4;
    assert_int_equal(bk_sha256_hex_of("data", 4, c->objects[0].sha256), 0);
    assert_int_equal(bk_sha256_hex_of("data", 4, c->sha256), 0);
}

struct bk_manifest *kit_manifest(const char *id, const char *pipeline, const char *host,
                                 int64_t start_ns, size_t n)
{
    struct bk_manifest *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    m->id = bk_strdup(id);
    m->pipeline = bk_strdup(pipeline);
    m->type = bk_strdup("full");
    m->host = bk_strdup(host);
    m->engine = bk_strdup("0.1.0");
    m->start_ns = start_ns;
    m->end_ns = start_ns + 1000000000;
    m->comps = calloc(n + 1, sizeof(*m->comps));
    assert_non_null(m->comps);
    m->n_comps = n;
    for (size_t i = 0; i < n; i++)
        blob(&m->comps[i], i);
    return m;
}

void kit_put_manifest(struct memsink *s, const struct bk_manifest *m)
{
    struct bk_buf text = BK_BUF_INIT;
    struct bk_err err = {0};
    char *name = bk_backup_object(m->id, BK_MANIFEST_NAME);

    assert_non_null(name);
    assert_int_equal(bk_manifest_write(m, &text, &err), 0);
    ms_set(s, name, text.data, text.len);
    free(name);
    bk_buf_free(&text);
}
