/* Which components are restored together, and which choices go with that. */
#include "base/cleanup.h"
#include "run/names.h"
#include "run/restore_group.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define N 7

static int begin(void *self, struct bake_ctx *ctx, const struct bake_restore *how,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage)
{
    (void)self;
    (void)ctx;
    (void)how;
    (void)group;
    (void)chosen;
    (void)n;
    (void)ret_stage;
    return BAKE_OK;
}

/* Two Docker hosts, whose plugin knows groups, and files, whose plugin does not. */
struct fixture {
    struct bk_plugin docker, files;
    struct bk_part parts[3];
    struct bk_pipeline pipeline;
    struct bk_mcomp comps[N];
    const struct bk_mcomp *chosen[N];
    struct bk_restored results[N];
    struct bk_rgroup *groups;
    size_t n_groups, alone;
};

static void add(struct fixture *f, size_t i, const char *name, const char *group,
                const char *source, const char *plugin)
{
    f->comps[i].name = (char *)name;
    f->comps[i].group = (char *)group;
    f->comps[i].source = (char *)source;
    f->comps[i].plugin = (char *)plugin;
    f->chosen[i] = &f->comps[i];
}

static void set_up(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->docker.desc.name = "docker";
    f->docker.source.restore_begin = begin;
    f->files.desc.name = "files";
    f->parts[0] = (struct bk_part){.plugin = &f->files, .name = (char *)"system"};
    f->parts[1] = (struct bk_part){.plugin = &f->docker, .name = (char *)"one"};
    f->parts[2] = (struct bk_part){.plugin = &f->docker, .name = (char *)"two"};
    f->pipeline.sources = f->parts;
    f->pipeline.n_sources = 3;
    add(f, 0, "shop/a", "shop", "one", "docker");
    add(f, 1, "blog/a", "blog", "one", "docker");
    add(f, 2, "system", "a-group", "system", "files"); /* whose source does not know groups */
    add(f, 3, "shop/b", "shop", "two", "docker");      /* the same name on another host */
    add(f, 4, "shop/c", "shop", NULL, "docker");       /* a foreign archive's */
    add(f, 5, "lost/a", "lost", "gone", "docker");     /* of a source that is not there */
    add(f, 6, "blog/b", "blog", "one", "docker");
}

static void make(struct fixture *f, size_t n)
{
    struct bk_err err = {0};

    assert_int_equal(bk_rgroups_make(&f->pipeline, f->chosen, f->results, n, &f->groups,
                                     &f->n_groups, &f->alone, &err),
                     BAKE_OK);
}

static void names(const struct fixture *f, char *out, size_t cap)
{
    out[0] = '\0';
    for (size_t i = 0; i < N; i++)
        (void)snprintf(out + strlen(out), cap - strlen(out), "%s ", f->chosen[i]->name);
}

static void test_groups(void **state)
{
    struct fixture f;
    char got[200];

    (void)state;
    set_up(&f);
    make(&f, N);
    names(&f, got, sizeof(got));
    assert_string_equal(got, "system lost/a shop/a shop/c blog/a blog/b shop/b ");
    assert_int_equal(f.alone, 2);
    assert_int_equal(f.n_groups, 3);
    assert_string_equal(f.groups[0].name, "shop");
    assert_ptr_equal(f.groups[0].part, &f.parts[1]);
    assert_int_equal(f.groups[0].n, 2);
    assert_ptr_equal(f.groups[0].comps, &f.chosen[2]);
    assert_ptr_equal(f.groups[0].results, &f.results[2]);
    assert_string_equal(f.groups[1].name, "blog");
    assert_int_equal(f.groups[1].n, 2);
    assert_string_equal(f.groups[2].name, "shop");
    assert_ptr_equal(f.groups[2].part, &f.parts[2]);
    /* what was never reached is as it was */
    assert_int_equal(f.groups[2].status, BK_RGROUP_UNDONE);
    bk_rgroups_free(f.groups, f.n_groups);
}

static void test_part(void **state)
{
    struct fixture f;
    struct bk_mcomp c = {.name = (char *)"x", .source = (char *)"one", .plugin = (char *)"files"};

    (void)state;
    set_up(&f);
    assert_ptr_equal(bk_restore_part(&f.pipeline, &f.comps[0]), &f.parts[1]);
    assert_ptr_equal(bk_restore_part(&f.pipeline, &f.comps[4]), &f.parts[1]);
    assert_null(bk_restore_part(&f.pipeline, &f.comps[5]));
    assert_null(bk_restore_part(&f.pipeline, &c)); /* the name has another plugin now */
    f.pipeline.n_sources = 0;
    assert_null(bk_restore_part(&f.pipeline, &f.comps[0]));
}

static void test_nothing(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f);
    make(&f, 0);
    assert_int_equal(f.n_groups, 0);
    assert_int_equal(f.alone, 0);
    bk_rgroups_free(f.groups, f.n_groups);
    bk_rgroups_free(NULL, 0);
}

static int check(const struct fixture *f, size_t n, const struct bk_restore_opts *opts,
                 struct bk_err *err)
{
    bk_err_clear(err);
    return bk_rgroups_check(opts, f->groups, n, f->alone, err);
}

static void test_choices(void **state)
{
    struct bk_restore_opts as = {.as_project = "other"}, stop = {.skip_stop = true},
                           path = {.paths = {0}}, plain = {0};
    struct bk_err err;
    struct fixture f;

    (void)state;
    set_up(&f);
    make(&f, N);
    assert_int_equal(bk_strv_add(&path.paths, "data"), 0);
    assert_int_equal(check(&f, 3, &plain, &err), BAKE_OK);
    assert_int_equal(check(&f, 3, &stop, &err), BAKE_OK);
    assert_int_equal(check(&f, 0, &stop, &err), BK_E_USAGE);
    assert_int_equal(check(&f, 0, &path, &err), BAKE_OK);
    assert_int_equal(check(&f, 1, &path, &err), BK_E_USAGE);
    assert_non_null(strstr(err.text, "group 'shop' is restored as a whole"));
    assert_int_equal(check(&f, 2, &as, &err), BK_E_USAGE);
    assert_non_null(strstr(err.text, "'shop' and 'blog'"));
    assert_int_equal(check(&f, 1, &as, &err), BK_E_USAGE); /* others are beside it */
    f.alone = 0;
    assert_int_equal(check(&f, 1, &as, &err), BAKE_OK);
    assert_int_equal(check(&f, 0, &as, &err), BK_E_USAGE);
    bk_strv_free(&path.paths);
    bk_rgroups_free(f.groups, f.n_groups);
}

/* What goes with one source alone: another name, parts. */
static void test_own_names(void **state)
{
    struct bk_restore_opts as = {.as_name = "trial"}, path = {.paths = {0}};
    struct bk_err err;
    struct fixture f;

    (void)state;
    set_up(&f);
    make(&f, N);
    f.alone = 0;
    assert_int_equal(check(&f, 1, &as, &err), BK_E_USAGE);
    assert_non_null(strstr(err.text, "'--as-database' is not for what source 'one'"));
    f.docker.source.traits = BAKE_NAMES_BELOW;
    assert_int_equal(check(&f, 1, &as, &err), BAKE_OK);
    assert_int_equal(check(&f, 2, &as, &err), BK_E_USAGE);
    assert_int_equal(check(&f, 0, &as, &err), BK_E_USAGE);

    assert_int_equal(bk_strv_add(&path.paths, "orders"), 0);
    for (size_t i = 0; i < f.groups[0].n; i++)
        ((struct bk_mcomp *)f.groups[0].comps[i])->kind = BAKE_BLOB;
    assert_int_equal(check(&f, 1, &path, &err), BK_E_USAGE);
    f.docker.source.traits = BAKE_HAS_PARTS;
    assert_int_equal(check(&f, 1, &path, &err), BAKE_OK);
    ((struct bk_mcomp *)f.groups[0].comps[0])->kind = BAKE_TREE;
    assert_int_equal(check(&f, 1, &path, &err), BK_E_USAGE);
    bk_strv_free(&path.paths);
    bk_rgroups_free(f.groups, f.n_groups);
}

static void test_how(void **state)
{
    struct bk_restore_opts opts = {
        .force = true, .skip_start = true, .as_project = "other", .as_name = "trial", .at_ns = 5};
    struct bk_manifest m = {.id = (char *)"id-1"};
    struct bk_restore_env env = {.opts = &opts, .manifest = &m};
    struct fixture f;
    struct bake_restore how;

    (void)state;
    set_up(&f);
    assert_int_equal(bk_strv_add(&opts.paths, "orders"), 0);
    how = bk_restore_how(&env, &f.parts[1]);
    assert_int_equal(how.purpose, BAKE_RESTORE);
    assert_int_equal(how.force, 1);
    assert_int_equal(how.flags, BAKE_RESTORE_KEEP_STOPPED);
    assert_string_equal(how.backup, "id-1");
    assert_string_equal(how.as_group, "other");
    assert_string_equal(how.as_name, "trial");
    assert_null(how.parts); /* it has neither */
    assert_int_equal(how.at_ns, 0);
    f.docker.source.traits = BAKE_HAS_PARTS | BAKE_HAS_LOGS;
    how = bk_restore_how(&env, &f.parts[1]);
    assert_string_equal(how.parts[0], "orders");
    assert_null(how.parts[1]);
    assert_int_equal(how.at_ns, 5);
    opts.dry_run = true;
    opts.skip_stop = true;
    how = bk_restore_how(&env, &f.parts[1]);
    assert_int_equal(how.purpose, BAKE_INSPECT);
    assert_int_equal(how.flags, BAKE_RESTORE_KEEP_STOPPED | BAKE_RESTORE_KEEP_RUNNING);
    env.purpose = BAKE_DRILL;
    how = bk_restore_how(&env, &f.parts[1]);
    assert_int_equal(how.purpose, BAKE_DRILL);
    bk_strv_free(&opts.paths);
}

/* To and fro; what was another's is refused. */
static void test_names(void **state)
{
    static const char *const own[] = {".", "shop.sql", "a/b", "one"};
    static const char *const full[] = {"one", "one/shop.sql", "one/a/b", "one/one"};
    struct bake_component c;
    struct bk_err err = {0};
    struct fixture f;
    char *facts = NULL;

    (void)state;
    set_up(&f);
    for (size_t i = 0; i < BK_LEN(own); i++) {
        char *name BK_FREE = NULL, *group BK_FREE = NULL, *plain BK_FREE = NULL;

        f.docker.source.traits = BAKE_NAMES_BELOW;
        name = bk_name_from_source(&f.parts[1], own[i]);
        group = bk_group_from_source(&f.parts[1], own[i]);
        assert_string_equal(name, full[i]);
        assert_string_equal(group, full[i]);
        assert_string_equal(bk_name_to_source(&f.parts[1], full[i]), own[i]);
        assert_string_equal(bk_group_to_source(&f.parts[1], full[i]), own[i]);
        f.docker.source.traits = 0;
        plain = bk_group_from_source(&f.parts[1], own[i]);
        assert_string_equal(plain, own[i]);
    }
    f.docker.source.traits = BAKE_NAMES_BELOW;
    assert_null(bk_name_to_source(&f.parts[1], "ones/x"));
    assert_null(bk_name_to_source(&f.parts[1], "shop/a"));
    assert_int_equal(bk_restore_describe(&f.parts[1], &f.comps[0], &c, &facts, &err),
                     BAKE_E_CORRUPT);
    f.comps[0].name = (char *)"one/a";
    f.comps[0].group = (char *)"one";
    f.comps[0].kind = BAKE_TREE;
    f.comps[0].unordered = 1;
    assert_int_equal(bk_restore_describe(&f.parts[1], &f.comps[0], &c, &facts, &err), BAKE_OK);
    assert_string_equal(c.name, "a");
    assert_string_equal(c.group, ".");
    assert_int_equal(c.flags, BAKE_UNORDERED);
}

static void test_describe(void **state)
{
    struct bake_component c;
    struct bk_err err = {0};
    struct fixture f;
    char *facts BK_FREE = NULL;

    (void)state;
    set_up(&f);
    f.comps[2].bytes_in = 42;
    f.comps[2].kind = BAKE_TREE;
    assert_int_equal(bk_restore_describe(&f.parts[0], &f.comps[2], &c, &facts, &err), BAKE_OK);
    assert_string_equal(c.name, "."); /* named as its source */
    assert_int_equal(c.size_hint, 42);
    assert_null(c.facts);
    f.comps[0].facts = json_pack("{s:s}", "path", "/srv");
    assert_int_equal(bk_restore_describe(&f.parts[1], &f.comps[0], &c, &facts, &err), BAKE_OK);
    assert_string_equal(c.name, "shop/a");
    assert_string_equal(c.group, "shop");
    assert_string_equal(c.facts, "{\"path\":\"/srv\"}");
    json_decref(f.comps[0].facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),  cmocka_unit_test(test_part),
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_choices),
        cmocka_unit_test(test_how),     cmocka_unit_test(test_describe),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_own_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
