/* Whole pipelines with the real plugins: what is loaded, shown, left alone. (Every message stands
 * in tests/config.) */
#include "config_testing.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "config/options.h"
#include "config/pipeline.h"

static const char *const files[] = {"p.yaml", ".env", "pw", NULL};

struct fixture {
    struct scratch scratch;
    struct bk_registry *reg;
    struct bk_diags *diags;
    struct bk_pipeline *p;
    struct bk_err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    scratch_make(&f->scratch);
    assert_int_equal(bk_registry_new(&f->reg, &f->err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bk_pipeline_free(f->p);
    bk_diags_free(f->diags);
    bk_registry_free(f->reg);
    scratch_remove(&f->scratch, files);
    free(f);
    bk_mask_forget();
    return 0;
}

static int load(struct fixture *f, unsigned flags, const char *text)
{
    const char *path = write_file(&f->scratch, "p.yaml", 0600, text, strlen(text));
    bk_diags_free(f->diags);
    f->diags = NULL;
    assert_int_equal(bk_diags_new(path, &f->diags, &f->err), 0);
    return bk_pipeline_load(f->reg, path, flags, f->diags, &f->p, &f->err);
}

#define SINK "sinks: [{plugin: local, path: ./backups}]\n"

static void test_what_is_loaded(void **state)
{
    struct fixture *f = *state;
    write_file(&f->scratch, ".env", 0600, "PW=correct-horse\n", 17);
    int rc = load(f, BK_LOAD_ALL,
                  "pipeline: all-of-it\nenv_file: .env\nparallel: 3\n"
                  "parallel_groups: 2\nhold: {max: 90s}\n"
                  "sources:\n  - {name: etc, plugin: files, paths: /etc}\n"
                  "  - {name: s, plugin: sampler, optional: true, password: '${PW}', count: 4}\n"
                  "transforms: [{plugin: zstd, level: 5}, {plugin: seal}]\n"
                  "sinks: [{plugin: local, path: ./b}, {plugin: local, name: two, path: /c}]\n"
                  "require: any\nretention: {keep_last: 2, keep_within: 1d}\n"
                  "verify: {after_run: quick}\nschedule: {full: '@weekly', prune: 5  4 * * *}\n");
    assert_mistakes(f->diags, "");
    assert_int_equal(rc, 0);
    const struct bk_pipeline *p = f->p;
    assert_string_equal(p->name, "all-of-it");
    assert_string_equal(p->dir, f->scratch.dir);
    assert_int_equal(p->parallel, 3);
    assert_int_equal(p->parallel_groups, 2);
    assert_int_equal(p->hold_max_ms, 90000);
    assert_int_equal(p->n_sources, 2);
    assert_string_equal(p->sources[0].name, "etc");
    assert_int_equal(p->sources[0].optional, 0);
    assert_int_equal(p->sources[0].at.line, 7);
    assert_string_equal(p->sources[1].plugin->full_name, "source-sampler");
    assert_int_equal(p->sources[1].optional, 1);
    assert_int_equal(p->n_transforms, 2);
    assert_string_equal(p->transforms[0].name, "zstd");
    assert_int_equal(p->n_sinks, 2);
    assert_string_equal(p->sinks[0].name, "local");
    assert_string_equal(p->sinks[1].name, "two");
    assert_int_equal(p->format, BK_FORMAT_ARCHIVE);
    assert_int_equal(p->require, BK_REQUIRE_ANY);
    assert_int_equal(p->retention.keep_last, 2);
    assert_int_equal(p->retention.keep_daily, -1);
    assert_int_equal(p->retention.keep_within_ms, 86400000);
    assert_int_equal(p->verify_after_run, BK_VERIFY_QUICK);
    assert_string_equal(p->schedule.full, "0 0 * * 0");
    assert_string_equal(p->schedule.prune, "5 4 * * *");
    assert_null(p->schedule.incremental);
    assert_string_equal(bk_env_get(p->env, "PW"), "correct-horse");
}

static void test_shown(void **state)
{
    struct fixture *f = *state;
    write_file(&f->scratch, "pw", 0600, "correct-horse\n", 14);
    assert_int_equal(load(f, BK_LOAD_ALL,
                          "pipeline: shown\n"
                          "sources:\n  - {name: s, plugin: sampler, password_file: pw, "
                          "token: battery-staple, text: a correct-horse}\n" SINK),
                     0);
    char *text BK_FREE = json_dumps(f->p->shown, JSON_SORT_KEYS | JSON_COMPACT);
    char wanted[600];
    (void)snprintf(wanted, sizeof(wanted),
                   "{\"pipeline\":\"shown\",\"sinks\":[{\"name\":\"local\",\"path\":\"%s/backups\","
                   "\"plugin\":\"local\"}],\"sources\":[{\"name\":\"s\",\"password\":\"***\","
                   "\"plugin\":\"sampler\",\"text\":\"a ***\",\"token\":\"***\"}],"
                   "\"store\":{\"format\":\"archive\"},\"transforms\":[]}",
                   f->scratch.dir);
    assert_string_equal(text, wanted);
    char *part BK_FREE = json_dumps(f->p->sources[0].shown, JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(part, "{\"password\":\"***\",\"text\":\"a ***\",\"token\":\"***\"}");
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, BK_LOAD_ALL,
                          "pipeline: p\nsources: [{name: e, plugin: files, paths: /etc}]\n" SINK),
                     0);
    assert_in_range(f->p->parallel, 1, 64);
    assert_int_equal(f->p->parallel_groups, 1);
    assert_int_equal(f->p->hold_max_ms, 3600000);
    assert_int_equal(f->p->require, BK_REQUIRE_ANY);
    assert_int_equal(f->p->retention.keep_last, -1);
    assert_int_equal(f->p->retention.keep_within_ms, -1);
    assert_int_equal(f->p->verify_after_run, BK_VERIFY_NONE);
    assert_int_equal(f->p->n_transforms, 0);
}

/* The worst day: what is not needed to read a store may be as wrong as it likes. */
static void test_store_only(void **state)
{
    struct fixture *f = *state;
    const char *text = "pipeline: p\nenv_file: gone.env\nfrobnicate: 1\nparallel: many\n"
                       "sources: [{name: 'b a d', plugin: nothing, x: '${S_UNSET}', x: 2}]\n"
                       "sources: []\nrequire: 9\nretention: 5\nschedule: never\n"
                       "transforms: [{plugin: zstd}]\n" SINK;
    assert_int_equal(unsetenv("S_UNSET"), 0);
    assert_int_equal(load(f, BK_LOAD_STORE, text), 0);
    assert_int_equal(bk_diags_errors(f->diags), 0);
    char *said BK_FREE = mistakes(f->diags);
    assert_non_null(strstr(said, "2:11: notice: 'env_file': cannot read"));
    assert_string_equal(f->p->name, "p");
    assert_int_equal(f->p->n_sources, 0);
    assert_int_equal(f->p->n_transforms, 1);
    assert_int_equal(f->p->n_sinks, 1);
    bk_pipeline_free(f->p);
    f->p = NULL;
    assert_int_equal(load(f, BK_LOAD_ALL, text), BAKE_E_CONFIG);
    assert_string_equal(f->err.text, ""); /* the diags say it all */
    assert_true(bk_diags_errors(f->diags) >= 8);
    assert_null(f->p);
}

static void test_store_only_still_checks_sinks(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(load(f, BK_LOAD_STORE,
                          "pipeline: p\nsinks: [{plugin: local, path: '${S_UNSET}', pth: 1}]\n"
                          "sinks: []\n"),
                     BAKE_E_CONFIG);
    assert_int_equal(bk_diags_errors(f->diags), 3);
    assert_int_equal(load(f, BK_LOAD_STORE, "pipeline: p\nstore: {format: zip}\n" SINK),
                     BAKE_E_CONFIG);
    assert_mistakes(f->diags, "2:17: 'format' must be 'archive' or 'repository', got 'zip'\n");
}

static void test_no_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(bk_diags_new("x", &f->diags, &f->err), 0);
    assert_int_equal(
        bk_pipeline_load(f->reg, "/nonexistent/p.yaml", BK_LOAD_ALL, f->diags, &f->p, &f->err),
        BAKE_E_CONFIG);
    assert_int_equal(bk_diags_errors(f->diags), 0);
    assert_non_null(strstr(f->err.text, "/nonexistent/p.yaml"));
}

static void test_relative_file(void **state)
{
    struct fixture *f = *state;
    char before[4096];
    assert_int_equal(load(f, BK_LOAD_STORE, "pipeline: p\n" SINK), 0);
    bk_pipeline_free(f->p);
    f->p = NULL;
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->scratch.dir), 0);
    int rc = bk_pipeline_load(f->reg, "p.yaml", BK_LOAD_STORE, f->diags, &f->p, &f->err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, 0);
    assert_string_equal(f->p->dir, f->scratch.dir);
    assert_string_equal(f->p->file, "p.yaml");
}

static void test_from_store(void **state)
{
    struct fixture *f = *state;
    char here[4096], wanted[4200];
    assert_int_equal(bk_pipeline_from_store(f->reg, "/srv/${x}/ba ckups", &f->p, &f->err), 0);
    assert_int_equal(f->p->n_sinks, 1);
    assert_int_equal(f->p->n_sources, 0);
    assert_int_equal(f->p->n_transforms, 0);
    assert_null(f->p->name);
    assert_string_equal(f->p->sinks[0].name, "local");
    assert_string_equal(json_string_value(json_object_get(f->p->sinks[0].shown, "path")),
                        "/srv/${x}/ba ckups");
    bk_pipeline_free(f->p);
    f->p = NULL;
    assert_int_equal(bk_pipeline_from_store(f->reg, "./b", &f->p, &f->err), 0);
    assert_non_null(getcwd(here, sizeof(here)));
    (void)snprintf(wanted, sizeof(wanted), "%s/b", here);
    assert_string_equal(json_string_value(json_object_get(f->p->sinks[0].shown, "path")), wanted);
}

static void test_from_no_store(void **state)
{
    struct fixture *f = *state;
    static const char *const wrong[] = {"", "backups", "s3://bucket/x", "file:///x", "~/x"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(bk_pipeline_from_store(f->reg, wrong[i], &f->p, &f->err), BK_E_USAGE);
        assert_null(f->p);
    }
    assert_non_null(strstr(f->err.text, "'~/x'"));
}

static void test_schema_is_an_object(void **state)
{
    struct fixture *f = *state;
    json_t *schema = NULL;
    assert_int_equal(bk_pipeline_schema(f->reg, &schema, &f->err), 0);
    assert_true(json_is_object(json_object_get(json_object_get(schema, "properties"), "sinks")));
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 3);
    json_decref(schema);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_loaded), CASE(test_shown),
        CASE(test_defaults),       CASE(test_store_only),
        CASE(test_no_file),        CASE(test_store_only_still_checks_sinks),
        CASE(test_relative_file),  CASE(test_from_store),
        CASE(test_from_no_store),  CASE(test_schema_is_an_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
