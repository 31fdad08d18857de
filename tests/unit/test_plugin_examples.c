/* The plugins of examples/, driven as the engine drives them. */
#include "plugin/ctx.h"
#include "plugin_dir.h"

/* ---- sink-flat ----------------------------------------------------------------------------------
 */

struct sink {
    struct place *place;
    struct bk_registry *registry;
    const struct bake_sink_ops *ops;
    struct bk_ctx ctx;
    const char *cfg[1]; /* its config: the path */
    void *self;
};

static void sink_open(struct sink *s, struct place *place)
{
    const struct bk_plugin *p = NULL;
    memset(s, 0, sizeof(*s));
    s->place = place;
    free(place_copy(SINK_FLAT, place->a, "sink-flat.so"));
    s->registry = place_registry(place->a);
    assert_int_equal(bk_registry_get(s->registry, BK_SINK, "flat", &p, &place->err), 0);
    assert_int_equal(p->desc.config_size, sizeof(s->cfg));
    bk_ctx_init(&s->ctx, NULL, "sink 'flat'");
    s->cfg[0] = place->b;
    s->ops = p->desc.sink;
    assert_int_equal(s->ops->open(&s->ctx.base, s->cfg, &s->self), BAKE_OK);
}

static void sink_close(struct sink *s)
{
    s->ops->close(s->self);
    bk_registry_free(s->registry);
}

static int put(struct sink *s, const char *name, const char *text, uint32_t flags)
{
    void *p = NULL;
    struct bake_in in = {text, strlen(text), 0};
    int rc = s->ops->put_begin(s->self, &s->ctx.base, name, 0, flags, &p);
    if (rc != BAKE_OK)
        return rc;
    assert_int_equal(s->ops->put_write(p, &in), BAKE_OK);
    assert_int_equal(in.pos, in.size);
    return s->ops->put_end(p);
}

/* Two bytes at a time; "" and *ret_rc when it fails. */
static int get(struct sink *s, const char *name, uint64_t offset, uint64_t length, char text[100])
{
    void *g = NULL;
    size_t n = 0;
    text[0] = '\0';
    int rc = s->ops->get_begin(s->self, &s->ctx.base, name, offset, length, &g);
    if (rc != BAKE_OK)
        return rc;
    while (rc == BAKE_OK && n < 97) {
        struct bake_out out = {text + n, 2, 0};
        rc = s->ops->get_read(g, &out);
        assert_true(rc != BAKE_OK || out.pos > 0);
        n += out.pos;
    }
    text[n] = '\0';
    s->ops->get_close(g);
    return rc == BAKE_END ? BAKE_OK : rc;
}

static int note_name(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    (void)size;
    assert_true(mtime_ns > 0);
    return bk_strv_add(arg, name);
}

static size_t count(struct sink *s, const char *prefix, const char *one_of_them)
{
    struct bk_strv names = {0};
    assert_int_equal(s->ops->list(s->self, &s->ctx.base, prefix, note_name, &names), BAKE_OK);
    size_t n = names.n;
    if (one_of_them)
        assert_true(bk_strv_has(&names, one_of_them));
    bk_strv_free(&names);
    return n;
}

static void objects_come_back(void **state)
{
    struct sink s;
    char text[100];
    uint64_t size = 0;
    int64_t mtime = 0;
    sink_open(&s, *state);
    assert_int_equal(count(&s, "", NULL), 0);
    assert_int_equal(put(&s, "a/b%2F/.c", "hello", 0), BAKE_OK);
    assert_int_equal(put(&s, ".hidden", "", 0), BAKE_OK);
    assert_int_equal(put(&s, "a/b", "x", 0), BAKE_OK);
    assert_int_equal(count(&s, "", "a/b%2F/.c"), 3);
    assert_int_equal(count(&s, "a/b", "a/b"), 2);
    assert_int_equal(count(&s, ".h", ".hidden"), 1);
    assert_int_equal(get(&s, "a/b%2F/.c", 0, 0, text), BAKE_OK);
    assert_string_equal(text, "hello");
    assert_int_equal(get(&s, "a/b%2F/.c", 1, 3, text), BAKE_OK);
    assert_string_equal(text, "ell");
    assert_int_equal(get(&s, ".hidden", 0, 0, text), BAKE_OK);
    assert_string_equal(text, "");
    assert_int_equal(s.ops->stat(s.self, &s.ctx.base, "a/b%2F/.c", &size, &mtime), BAKE_OK);
    assert_int_equal(size, 5);
    assert_int_equal(put(&s, "a/b", "replaced", 0), BAKE_OK);
    assert_int_equal(get(&s, "a/b", 0, 0, text), BAKE_OK);
    assert_string_equal(text, "replaced");
    assert_int_equal(s.ops->space(s.self, &s.ctx.base, &size), BAKE_OK);
    assert_true(size > 0);
    sink_close(&s);
}

static void what_is_not_there(void **state)
{
    struct sink s;
    char text[100], name[400];
    uint64_t size = 0;
    int64_t mtime = 0;
    sink_open(&s, *state);
    assert_int_equal(get(&s, "none", 0, 0, text), BAKE_E_NOTFOUND);
    assert_int_equal(s.ops->stat(s.self, &s.ctx.base, "none", &size, &mtime), BAKE_E_NOTFOUND);
    assert_int_equal(s.ops->remove(s.self, &s.ctx.base, "none"), BAKE_E_NOTFOUND);
    assert_int_equal(put(&s, "short", "abc", 0), BAKE_OK);
    assert_int_equal(get(&s, "short", 2, 2, text), BAKE_E_CORRUPT);
    assert_int_equal(get(&s, "short", 4, 0, text), BAKE_E_CORRUPT);
    assert_int_equal(s.ops->remove(s.self, &s.ctx.base, "short"), BAKE_OK);
    assert_int_equal(count(&s, "", NULL), 0);
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(put(&s, name, "", 0), BAKE_E_UNSUPPORTED);
    sink_close(&s);
}

static void only_one_writer_wins(void **state)
{
    struct sink s;
    char text[100];
    sink_open(&s, *state);
    assert_int_equal(put(&s, "m", "first", BAKE_PUT_IF_ABSENT), BAKE_OK);
    assert_int_equal(put(&s, "m", "second", BAKE_PUT_IF_ABSENT), BAKE_E_EXISTS);
    assert_int_equal(get(&s, "m", 0, 0, text), BAKE_OK);
    assert_string_equal(text, "first");
    uint64_t removed = 9;
    assert_int_equal(s.ops->sweep(s.self, &s.ctx.base, 0, &removed), BAKE_OK);
    assert_int_equal(removed, 0); /* nothing was left behind */
    sink_close(&s);
}

static void nothing_is_visible_before_the_end(void **state)
{
    struct sink s;
    void *p = NULL, *left = NULL;
    uint64_t removed = 0;
    sink_open(&s, *state);
    struct bake_in in = {"abc", 3, 0};
    assert_int_equal(s.ops->put_begin(s.self, &s.ctx.base, "a", 3, 0, &p), BAKE_OK);
    assert_int_equal(s.ops->put_write(p, &in), BAKE_OK);
    assert_int_equal(count(&s, "", NULL), 0);
    s.ops->put_abort(p);
    assert_int_equal(s.ops->sweep(s.self, &s.ctx.base, 0, &removed), BAKE_OK);
    assert_int_equal(removed, 0);
    /* What a killed process leaves is swept once it is old enough. */
    assert_int_equal(s.ops->put_begin(s.self, &s.ctx.base, "a", 3, 0, &left), BAKE_OK);
    assert_int_equal(s.ops->sweep(s.self, &s.ctx.base, 3600000, &removed), BAKE_OK);
    assert_int_equal(removed, 0);
    struct timespec wait = {0, 20000000};
    (void)nanosleep(&wait, NULL);
    assert_int_equal(s.ops->sweep(s.self, &s.ctx.base, 0, &removed), BAKE_OK);
    assert_int_equal(removed, 1);
    assert_int_equal(s.ops->sweep(s.self, &s.ctx.base, UINT64_MAX, &removed), BAKE_OK);
    assert_int_equal(removed, 0);
    s.ops->put_abort(left);
    assert_int_equal(count(&s, "", NULL), 0);
    sink_close(&s);
}

/* ---- source-hostfacts ---------------------------------------------------------------------------
 */

static int worst;

static void note_report(void *arg, int severity, const char *subject, const char *text)
{
    (void)arg;
    (void)subject;
    (void)text;
    worst = severity > worst ? severity : worst;
}

/* Reads the one component, `step` bytes at a time; returns what finish() says. */
static int read_all(struct place *place, const struct bake_path *files, size_t step,
                    struct bk_buf *b, struct bk_ctx *ctx)
{
    const struct bake_path *cfg[1] = {files};
    const struct bk_plugin *p = NULL;
    void *self = NULL, *reader = NULL;
    struct bake_component c = {.struct_size = sizeof(c)};
    struct bake_result result = {.struct_size = sizeof(result)};
    struct bk_registry *r = place_registry(place->a);
    assert_int_equal(bk_registry_get(r, BK_SOURCE, "hostfacts", &p, &place->err), 0);
    const struct bake_source_ops *o = p->desc.source;
    worst = 0;
    ctx->report = note_report;
    assert_int_equal(o->open(&ctx->base, cfg, &self), BAKE_OK);
    assert_int_equal(o->plan(self, &c), BAKE_OK);
    assert_string_equal(c.name, ".");
    assert_int_equal(c.kind, BAKE_BLOB);
    assert_int_equal(o->plan(self, &c), BAKE_END);
    assert_int_equal(o->plan(self, &c), BAKE_OK); /* from the start again */
    assert_int_equal(o->reader_open(self, &ctx->base, &c, &reader), BAKE_OK);
    int rc = BAKE_OK;
    while (rc == BAKE_OK) {
        char data[64];
        struct bake_out out = {data, step, 0};
        rc = o->read(reader, &out);
        assert_true(rc != BAKE_OK || out.pos > 0);
        assert_int_equal(bk_buf_add(b, data, out.pos), 0);
    }
    if (rc == BAKE_END)
        rc = o->finish(reader, &result);
    if (rc == BAKE_OK)
        assert_non_null(strstr(result.facts, "\"files\": "));
    o->reader_close(reader);
    o->close(self);
    bk_registry_free(r);
    return rc;
}

static void facts_are_read(void **state)
{
    struct place *s = *state;
    free(place_copy(SOURCE_HOSTFACTS, s->a, "source-hostfacts.so"));
    char *one BK_FREE = bk_asprintf("%s/one", s->b);
    char *none BK_FREE = bk_asprintf("%s/none", s->b);
    assert_int_equal(bk_write_file(one, "1\n", 2, 0600, &s->err), 0);
    char *expected BK_FREE = bk_asprintf("=== %s ===\n1\n\n", one);
    const struct bake_path optional[] = {{none, 1}, {one, 0}, {NULL, 0}};
    const struct bake_path needed[] = {{one, 0}, {none, 0}, {NULL, 0}};
    for (size_t step = 1; step <= 64; step += 21) {
        struct bk_buf b = BK_BUF_INIT;
        struct bk_ctx ctx;
        bk_ctx_init(&ctx, NULL, "source 'facts'");
        assert_int_equal(read_all(s, optional, step, &b, &ctx), BAKE_OK);
        assert_string_equal(b.data, expected);
        assert_int_equal(worst, BAKE_NOTICE);
        bk_buf_clear(&b);
        assert_int_equal(read_all(s, needed, step, &b, &ctx), BAKE_OK);
        assert_string_equal(b.data, expected);
        assert_int_equal(worst, BAKE_PARTIAL);
        bk_buf_free(&b);
    }
}

static void no_facts_at_all(void **state)
{
    struct place *s = *state;
    struct bk_buf b = BK_BUF_INIT;
    struct bk_ctx ctx;
    struct bk_err err = {0};
    free(place_copy(SOURCE_HOSTFACTS, s->a, "source-hostfacts.so"));
    char *none BK_FREE = bk_asprintf("%s/none", s->b);
    const struct bake_path files[] = {{none, 1}, {NULL, 0}};
    bk_ctx_init(&ctx, NULL, "source 'facts'");
    int rc = read_all(s, files, 64, &b, &ctx);
    assert_int_equal(rc, BAKE_E_NOTFOUND);
    (void)bk_ctx_fail(&ctx, rc, &err);
    assert_string_equal(err.text, "source 'facts': none of the files can be read");
    bk_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(objects_come_back, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(only_one_writer_wins, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(nothing_is_visible_before_the_end, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(facts_are_read, place_setup, place_teardown),
        cmocka_unit_test_setup_teardown(no_facts_at_all, place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
