/* A restored base backup takes its place, or does not: killed between any two steps, the obligation
 * puts everything back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base_files.h"
#include "base_way.h"
#include "fakehost.h"
#include "text.h"
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bed {
    struct fakehost host;
    struct bake_host table; /* the fake host's, with an oblige() that may "die" */
    char dir[64];
    struct pg_config cfg;
    struct pg_way way;
    struct pg_tablespace space;
    const char *mapping[2];
};

static char *in(const struct bed *b, const char *name) { return pg_text("%s/%s", b->dir, name); }

static void put(const struct bed *b, const char *name, const char *text)
{
    char *path = in(b, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    free(path);
}

static void make(const struct bed *b, const char *name)
{
    char *path = in(b, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static bool has(const struct bed *b, const char *name, const char *text)
{
    char *path = in(b, name), got[64] = "";
    FILE *f = fopen(path, "r");
    free(path);
    if (!f)
        return false;
    size_t n = fread(got, 1, sizeof(got) - 1, f);
    (void)fclose(f);
    return n == strlen(text) && strcmp(got, text) == 0;
}

/* Directories with a name of ours, anywhere. */
static int ours(const struct bed *b)
{
    char *const roots[] = {(char *)(uintptr_t)b->dir, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    int n = 0;
    assert_non_null(walk);
    for (FTSENT *e; (e = fts_read(walk));)
        n += e->fts_info == FTS_D && strstr(e->fts_name, "bakengine-") != NULL;
    (void)fts_close(walk);
    return n;
}

static int up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    if (!b)
        return -1;
    fakehost_init(&b->host);
    b->table = *b->host.ctx.host;
    b->host.ctx.host = &b->table;
    (void)snprintf(b->dir, sizeof(b->dir), "/tmp/pgbase-switch-XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    b->cfg.data_directory = in(b, "data");
    b->cfg.tablespaces = b->mapping;
    b->space = (struct pg_tablespace){.oid = strdup("16384"), .path = in(b, "space")};
    b->way = (struct pg_way){.ctx = &b->host.ctx, .cfg = &b->cfg};
    b->way.known.tablespaces = &b->space;
    b->way.known.n_tablespaces = 1;
    *state = b;
    return 0;
}

static void forget_way(struct bed *b)
{
    for (size_t i = 0; i < b->way.n_stages; i++) {
        struct pg_stage *s = &b->way.stages[i];
        free(s->stage);
        free(s->aside);
        free(s->target);
        free(s->root);
        free(s->oid);
        free(s->version);
    }
    free(b->way.stages);
    b->way.stages = NULL;
    b->way.n_stages = 0;
    b->way.duty = 0;
}

static int down(void **state)
{
    struct bed *b = *state;
    int rc = pg_remove_tree(&b->host.ctx, b->dir);
    forget_way(b);
    free((void *)(uintptr_t)b->cfg.data_directory);
    free(b->space.oid);
    free(b->space.path);
    fakehost_free(&b->host);
    free(b);
    return rc;
}

/* What is in use: a data directory whose tablespace is there too. */
static void old_cluster(struct bed *b)
{
    make(b, "data");
    put(b, "data/PG_VERSION", "old");
    make(b, "data/pg_tblspc");
    make(b, "space");
    make(b, "space/PG_15_1");
    put(b, "space/PG_15_1/file", "old");
    char *link = in(b, "data/pg_tblspc/16384");
    assert_int_equal(symlink(b->space.path, link), 0);
    free(link);
}

static void is_old(struct bed *b)
{
    assert_true(has(b, "data/PG_VERSION", "old"));
    assert_true(has(b, "space/PG_15_1/file", "old"));
    assert_int_equal(ours(b), 0);
}

static void is_new(struct bed *b)
{
    assert_true(has(b, "data/PG_VERSION", "new"));
    assert_true(has(b, "space/PG_15_1/file", "new"));
    assert_int_equal(ours(b), 0);
}

static void put_at(const char *dir, const char *name, const char *text)
{
    char *path = pg_text("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* Up to where everything is written beside its place. */
static void stage(struct bed *b)
{
    assert_int_equal(pg_way_places(&b->way), BAKE_OK);
    assert_int_equal(pg_way_oblige(&b->way, PG_STAGING), BAKE_OK);
    assert_int_equal(pg_way_make(&b->way), BAKE_OK);
    assert_int_equal(pg_way_oblige(&b->way, PG_STAGING), BAKE_OK);
    assert_int_equal(b->way.n_stages, 2);
    b->way.stages[1].version = strdup("PG_15_1");
    b->way.stages[1].target = pg_text("%s/PG_15_1", b->way.stages[1].root);
    put_at(b->way.stages[0].stage, "PG_VERSION", "new");
    put_at(b->way.stages[1].stage, "file", "new");
}

static bool promised(const struct bed *b) { return b->host.duties[b->host.last_duty - 1] != NULL; }

static void fresh(void **state)
{
    struct bed *b = *state;
    stage(b);
    assert_true(promised(b));
    assert_int_equal(pg_way_switch(&b->way), BAKE_OK);
    is_new(b);
    assert_false(promised(b));
}

static void replaced(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    b->way.force = true;
    stage(b);
    assert_int_equal(ours(b), 2);
    assert_int_equal(pg_way_undo(&b->way), BAKE_OK);
    is_old(b);
    forget_way(b);
    stage(b);
    assert_int_equal(pg_way_switch(&b->way), BAKE_OK);
    is_new(b);
    assert_false(promised(b));
}

/* What has come since the beginning is not replaced, not even by force. */
static void filled_meanwhile(void **state)
{
    struct bed *b = *state;
    for (size_t i = 0; i < 2; i++) {
        b->way.force = i == 1;
        stage(b);
        const char *place = b->way.stages[i].target;
        assert_int_equal(mkdir(place, 0700), 0);
        put_at(place, "theirs", "x");
        char *theirs = pg_text("%s/theirs", place);
        fakehost_clear(&b->host);
        assert_int_equal(pg_way_switch(&b->way), BAKE_E_EXISTS);
        assert_non_null(strstr(b->host.fail, "meanwhile"));
        assert_int_equal(pg_way_undo(&b->way), BAKE_OK);
        assert_int_equal(access(theirs, F_OK), 0);
        assert_int_equal(ours(b), 0);
        assert_false(promised(b));
        assert_int_equal(unlink(theirs), 0);
        assert_int_equal(rmdir(place), 0);
        free(theirs);
        forget_way(b);
    }
}

static void refused(struct bed *b, const char *words)
{
    fakehost_clear(&b->host);
    assert_true(pg_way_places(&b->way) < 0);
    assert_non_null(strstr(b->host.fail, words));
    forget_way(b);
}

static void refusals(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    refused(b, "is not empty");
    b->way.force = true;
    char *link = in(b, "data/pg_tblspc/16384");
    assert_int_equal(unlink(link), 0); /* the tablespace is another server's */
    free(link);
    refused(b, "the tablespace's directory");
    char *inside = pg_text("%s=%s/in", b->space.path, b->cfg.data_directory);
    b->mapping[0] = inside;
    refused(b, "one lies in the other");
    free(inside);
    b->mapping[0] = NULL;
    free(b->space.path);
    b->space.path = in(b, "no/such/parent");
    refused(b, "cannot restore to");
    free((void *)(uintptr_t)b->cfg.data_directory);
    b->cfg.data_directory = NULL;
    refused(b, "data_directory");
    is_old(b);
}

/* A process that works in the directory, as a server does. */
static void in_use(void **state)
{
    struct bed *b = *state;
    char here[4096];
    old_cluster(b);
    b->way.force = true;
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir(b->cfg.data_directory), 0);
    refused(b, "a server is running");
    assert_int_equal(chdir(here), 0);
    assert_int_equal(pg_way_places(&b->way), BAKE_OK);
}

/* ---- killed ---------------------------------------------------------------------------------- */

/* Undoes, in another process, what the first one promised. */
static void redeem(struct bed *b)
{
    bool mine = false;
    const char *what = b->host.duties[b->host.last_duty - 1];
    assert_non_null(what);
    assert_int_equal(pg_way_redeem(&b->host.ctx, what, &mine), BAKE_OK);
    assert_true(mine);
    assert_int_equal(pg_way_redeem(&b->host.ctx, what, &mine), BAKE_OK); /* again */
}

static void killed_while_staging(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    b->way.force = true;
    stage(b);
    redeem(b);
    is_old(b);
}

/* Moves as the switch makes them, up to one of them. */
static void killed_while_switching(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    b->way.force = true;
    for (unsigned steps = 0; steps <= 4; steps++) {
        stage(b);
        assert_int_equal(pg_way_oblige(&b->way, PG_SWITCHING), BAKE_OK);
        for (unsigned i = 0; i < steps; i++) {
            struct pg_stage *s = &b->way.stages[i < 2 ? 1 : 0];
            assert_int_equal(i % 2 ? rename(s->stage, s->target) : rename(s->target, s->aside), 0);
        }
        redeem(b);
        is_old(b);
        forget_way(b);
    }
}

static void killed_when_done(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    b->way.force = true;
    stage(b);
    for (int i = 1; i >= 0; i--) {
        struct pg_stage *s = &b->way.stages[i];
        assert_int_equal(rename(s->target, s->aside), 0);
        assert_int_equal(rename(s->stage, s->target), 0);
    }
    assert_int_equal(pg_way_oblige(&b->way, PG_DONE), BAKE_OK);
    redeem(b);
    is_new(b);
}

/* Somebody else's directory that has come to stand there is not ours to move. */
static void not_ours(void **state)
{
    struct bed *b = *state;
    stage(b);
    assert_int_equal(pg_way_oblige(&b->way, PG_SWITCHING), BAKE_OK);
    assert_int_equal(pg_remove_tree(&b->host.ctx, b->way.stages[0].stage), BAKE_OK);
    make(b, "data");
    put(b, "data/PG_VERSION", "theirs");
    redeem(b);
    assert_true(has(b, "data/PG_VERSION", "theirs"));
}

static int no_oblige(struct bake_ctx *ctx, const char *what, uint64_t *id)
{
    (void)what;
    (void)id;
    return bake_fail(ctx, BAKE_E_IO, "the promise cannot be kept");
}

static void no_promise(void **state)
{
    struct bed *b = *state;
    old_cluster(b);
    b->way.force = true;
    stage(b);
    b->table.oblige = no_oblige;
    assert_int_equal(pg_way_switch(&b->way), BAKE_E_IO);
    assert_int_equal(pg_way_undo(&b->way), BAKE_OK);
    is_old(b);
}

static void strange(void **state)
{
    struct bed *b = *state;
    static const char *const bad[] = {
        "{\"kind\": \"base\", \"phase\": \"done\", \"stages\": [{\"stage\": \"/etc\", \"aside\": "
        "\"/usr\"}]}",
        "{\"kind\": \"base\", \"phase\": \"done\", \"stages\": [{}]}",
        "{\"kind\": \"base\", \"phase\": \"staging\", \"stages\": [{\"stage\": "
        "\"x.bakengine-new-1\", \"aside\": \"x.bakengine-old-1\"}]}",
    };
    bool mine = true;
    assert_int_equal(pg_way_redeem(&b->host.ctx, "{\"kind\": \"scratch\"}", &mine), BAKE_OK);
    assert_false(mine);
    assert_int_equal(pg_way_redeem(&b->host.ctx, "nonsense", &mine), BAKE_OK);
    assert_false(mine);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pg_way_redeem(&b->host.ctx, bad[i], &mine), BAKE_E_CORRUPT);
}

/* Removing follows no link. */
static void removing(void **state)
{
    struct bed *b = *state;
    make(b, "keep");
    put(b, "keep/file", "x");
    make(b, "gone");
    make(b, "gone/deep");
    put(b, "gone/deep/file", "y");
    char *link = in(b, "gone/deep/link"), *keep = in(b, "keep"), *gone = in(b, "gone");
    assert_int_equal(symlink(keep, link), 0);
    assert_int_equal(pg_remove_tree(&b->host.ctx, gone), BAKE_OK);
    assert_int_equal(pg_remove_tree(&b->host.ctx, gone), BAKE_OK);
    assert_true(has(b, "keep/file", "x"));
    assert_int_equal(symlink(keep, gone), 0);
    assert_true(pg_remove_tree(&b->host.ctx, gone) < 0);
    assert_true(has(b, "keep/file", "x"));
    free(link);
    free(keep);
    free(gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fresh, up, down),
        cmocka_unit_test_setup_teardown(replaced, up, down),
        cmocka_unit_test_setup_teardown(filled_meanwhile, up, down),
        cmocka_unit_test_setup_teardown(refusals, up, down),
        cmocka_unit_test_setup_teardown(in_use, up, down),
        cmocka_unit_test_setup_teardown(killed_while_staging, up, down),
        cmocka_unit_test_setup_teardown(killed_while_switching, up, down),
        cmocka_unit_test_setup_teardown(killed_when_done, up, down),
        cmocka_unit_test_setup_teardown(not_ours, up, down),
        cmocka_unit_test_setup_teardown(no_promise, up, down),
        cmocka_unit_test_setup_teardown(strange, up, down),
        cmocka_unit_test_setup_teardown(removing, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
