/* Looking into dumps without a server: what is sound, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "ops.h"
#include <stdlib.h>
#include <string.h>

#define BODY                                                                                       \
    "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.t (x integer);\n\n"                \
    "COPY public.t (x) FROM stdin;\n1\n2\n\\.\n\n"
#define END "--\n-- PostgreSQL database dump complete\n--\n\n"

#define FACTS(tables, rows)                                                                        \
    "{\"database\":\"shop\",\"format\":\"plain\",\"tables\":{" tables "},\"rows\":" rows           \
    ",\"large_objects\":0}"

/* In pieces of `step` bytes; the first result that is not OK. */
static int inspect(struct fakehost *f, const char *name, const char *facts, const char *text,
                   size_t step)
{
    struct pg_config cfg = {.bin = "/nonexistent"};
    struct pg_source src = {.ctx = &f->ctx, .cfg = &cfg};
    struct bake_component c = {
        .struct_size = sizeof(c), .name = name, .group = ".", .kind = BAKE_BLOB, .facts = facts};
    struct pg_writer *w = NULL;
    size_t n = strlen(text);
    assert_int_equal(pg_inspect_open(&src, &f->ctx, &c, &w), BAKE_OK);
    int rc = BAKE_OK;
    for (size_t at = 0; at < n && rc == BAKE_OK; at += step) {
        struct bake_in in = {.data = text + at, .size = n - at < step ? n - at : step};
        rc = w->write(w, &in);
        assert_true(rc != BAKE_OK || in.pos == in.size);
    }
    if (rc == BAKE_OK)
        rc = w->commit(w);
    w->close(w);
    return rc;
}

struct seen {
    const char *name, *facts, *text;
    int rc;
    const char *why;
};

static const struct seen cases[] = {
    {"shop.sql", FACTS("\"public.t\":2", "2"), BODY END, BAKE_OK, NULL},
    {"shop.sql", NULL, BODY END, BAKE_OK, NULL},
    {"shop.sql", "{}", BODY END, BAKE_OK, NULL},
    {"shop.sql", FACTS("\"public.t\":2", "2"), BODY, BAKE_E_CORRUPT, "is not whole"},
    {"shop.sql", FACTS("\"public.t\":2", "2"), "", BAKE_E_CORRUPT, "is not whole"},
    {"shop.sql", FACTS("\"public.t\":3", "3"), BODY END, BAKE_E_CORRUPT,
     "holds 2 rows of table 'public.t', and 3 were recorded"},
    {"shop.sql", FACTS("\"public.t\":2,\"public.u\":0", "2"), BODY END, BAKE_E_CORRUPT,
     "does not hold table 'public.u'"},
    {"shop.sql", FACTS("", "2"), BODY END, BAKE_E_CORRUPT, "1 tables, and 0 were recorded"},
    {"shop.sql", "{\"rows\":5}", BODY END, BAKE_E_CORRUPT, "rows is 2, not 5"},
    {"shop.dump", "{\"format\":\"custom\"}", BODY END, BAKE_E_CORRUPT, "is not whole"},
    {"shop.dump", NULL, "PGDMP", BAKE_E_CORRUPT, "is not whole"},
    {"globals.sql", NULL,
     "--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE x;\n\n"
     "--\n-- PostgreSQL database cluster dump complete\n--\n\n",
     BAKE_OK, NULL},
    {"globals.sql", NULL, "--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE x;\n",
     BAKE_E_CORRUPT, "is not whole"},
};

static void dumps(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 7, 100000};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
            const struct seen *c = &cases[i];
            struct fakehost f;
            fakehost_init(&f);
            int rc = inspect(&f, c->name, c->facts, c->text, steps[k]);
            if (rc != c->rc || (c->why && !strstr(f.fail, c->why)))
                print_error("case %zu: %d, '%s'\n", i, rc, f.fail);
            assert_int_equal(rc, c->rc);
            assert_true(!c->why || strstr(f.fail, c->why));
            fakehost_free(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dumps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
