/* The scanner of pg_dump's own format, with archives of every version that is known, made here. */
#include "pg_scan_kit.h"

struct archive {
    unsigned char bytes[8192];
    size_t n;
    int minor;
};

static void byte(struct archive *a, int b)
{
    assert_true(a->n < sizeof(a->bytes));
    a->bytes[a->n++] = (unsigned char)b;
}

static void number(struct archive *a, int value)
{
    unsigned v = value < 0 ? 0u - (unsigned)value : (unsigned)value;
    byte(a, value < 0);
    for (int i = 0; i < 4; i++)
        byte(a, (int)(v >> (8 * i) & 255));
}

static void text(struct archive *a, const char *s)
{
    number(a, s ? (int)strlen(s) : -1);
    for (; s && *s; s++)
        byte(a, *s);
}

static void head(struct archive *a, int minor, int items)
{
    *a = (struct archive){.minor = minor};
    for (const char *p = "PGDMP"; *p; p++)
        byte(a, *p);
    byte(a, 1);
    byte(a, minor);
    byte(a, 0);
    byte(a, 4);
    byte(a, 8);
    byte(a, 1);
    if (minor >= 15)
        byte(a, 0);
    else
        number(a, 0);
    for (int i = 0; i < 7; i++)
        number(a, 30 + i);
    text(a, "shop");
    text(a, "15.18");
    text(a, "15.18");
    number(a, items);
}

static void item(struct archive *a, int id, const char *desc, const char *schema, const char *name,
                 bool data)
{
    number(a, id);
    number(a, data);
    text(a, "1259");
    text(a, "16384");
    text(a, name);
    text(a, desc);
    number(a, 3);
    text(a, data ? "" : "CREATE TABLE ...;\n");
    text(a, "");
    text(a, data ? "COPY x (y) FROM stdin;\n" : "");
    text(a, schema);
    text(a, NULL);
    text(a, "");
    if (a->minor >= 16)
        number(a, 'r');
    text(a, "postgres");
    text(a, "false");
    text(a, "3");
    text(a, "214");
    text(a, NULL);
    byte(a, data ? 1 : 3);
    for (int i = 0; i < 8; i++)
        byte(a, 0);
}

static void chunk(struct archive *a, const char *data) { text(a, data); }

static void block(struct archive *a, int type, int id)
{
    byte(a, type);
    number(a, id);
}

static void good(struct archive *a, int minor)
{
    head(a, minor, 4);
    item(a, 200, "TABLE", "public", "t", false);
    item(a, 3001, "TABLE DATA", "public", "t", true);
    item(a, 3000, "TABLE DATA", "a.b", "odd \" name", true);
    item(a, 3002, "BLOBS", NULL, "BLOBS", true);
    block(a, 1, 3000);
    chunk(a, "1\n2");
    chunk(a, "\n3\n\\");
    chunk(a, ".\n\n\n");
    chunk(a, "");
    block(a, 1, 3001);
    chunk(a, "\\.\n\n\n");
    chunk(a, "");
    block(a, 3, 3002);
    number(a, 4711);
    chunk(a, "\\.\n");
    chunk(a, "x");
    chunk(a, "");
    number(a, 4712);
    chunk(a, "");
    number(a, 0);
}

static void expect(const struct archive *a, const char *facts)
{
    struct outcome o = scan_bytes(PG_CUSTOM, a->bytes, a->n);
    if (o.rc != BAKE_OK)
        fail_msg("%s", o.why);
    assert_string_equal(o.facts, facts);
    free(o.facts);
}

static void refuse(const struct archive *a, const char *why)
{
    struct outcome o = scan_bytes(PG_CUSTOM, a->bytes, a->n);
    assert_int_equal(o.rc, BAKE_E_CORRUPT);
    if (!strstr(o.why, why))
        fail_msg("'%s' is not in '%s'", why, o.why);
    free(o.facts);
}

static void versions(void **state)
{
    (void)state;
    struct archive a;
    for (int minor = 14; minor <= 16; minor++) {
        good(&a, minor);
        expect(&a, "{\"large_objects\":2,\"rows\":3,\"tables\":{\"\\\"a.b\\\".\\\"odd \\\"\\\" "
                   "name\\\"\":3,\"public.t\":0}}");
    }
}

static void unknown_versions(void **state)
{
    (void)state;
    static const int minors[] = {13, 17};
    for (int i = 0; i < 2; i++) {
        struct archive a;
        good(&a, 14);
        a.bytes[6] = (unsigned char)minors[i];
        struct outcome o = scan_bytes(PG_CUSTOM, a.bytes, a.n);
        assert_int_equal(o.rc, BAKE_OK);
        assert_false(o.counted);
        assert_string_equal(o.facts, "{}");
        free(o.facts);
    }
}

static void compressed(void **state)
{
    (void)state;
    struct archive a;
    head(&a, 15, 1);
    a.bytes[11] = 1;
    item(&a, 7, "TABLE DATA", "public", "t", true);
    block(&a, 1, 7);
    chunk(&a, "whatever");
    chunk(&a, "");
    struct outcome o = scan_bytes(PG_CUSTOM, a.bytes, a.n);
    assert_int_equal(o.rc, BAKE_OK);
    assert_false(o.counted);
    free(o.facts);
}

static void every_prefix(void **state)
{
    (void)state;
    struct archive a;
    good(&a, 16);
    for (size_t n = 0; n < a.n; n++) {
        struct outcome o = scan_pieces(PG_CUSTOM, a.bytes, n, 11);
        if (o.rc != BAKE_E_CORRUPT)
            fail_msg("%zu bytes of %zu are taken for all", n, a.n);
        free(o.facts);
    }
}

static void damage(void **state)
{
    (void)state;
    struct archive a;
    refuse(&(struct archive){.bytes = "", .n = 0}, "it is empty");
    refuse(&(struct archive){.bytes = "-- PostgreSQL database dump", .n = 27},
           "not a dump in pg_dump's own format");
    good(&a, 14);
    a.bytes[10] = 3; /* tar */
    refuse(&a, "its header makes no sense");
    good(&a, 14);
    a.bytes[8] = 9; /* size of numbers */
    refuse(&a, "its header makes no sense");
    head(&a, 14, -5);
    refuse(&a, "its table of contents makes no sense");
    good(&a, 14);
    block(&a, 1, 3000);
    refuse(&a, "the data of item 3000 are there twice");
    good(&a, 14);
    block(&a, 1, 9);
    refuse(&a, "data of item 9, which is not in");
    good(&a, 14);
    byte(&a, 2);
    refuse(&a, "of unknown type 2");
    good(&a, 14);
    byte(&a, 0);
    refuse(&a, "of unknown type 0");
}

static void missing_data(void **state)
{
    (void)state;
    struct archive a;
    head(&a, 15, 2);
    item(&a, 7, "TABLE DATA", "public", "t", true);
    item(&a, 8, "TABLE DATA", "public", "u", true);
    block(&a, 1, 8);
    chunk(&a, "\\.\n");
    chunk(&a, "");
    refuse(&a, "the data of 'public.t' (item 7) are missing");

    head(&a, 15, 1);
    item(&a, 7, "TABLE DATA", "public", "t", true);
    block(&a, 1, 7);
    chunk(&a, "1\n2\n");
    chunk(&a, "");
    refuse(&a, "the rows of table 'public.t' have no end");

    head(&a, 15, 1);
    item(&a, 7, "TABLE DATA", "public", "t", true);
    block(&a, 1, 7);
    number(&a, -3);
    refuse(&a, "of impossible size");
}

static void long_texts(void **state)
{
    (void)state;
    struct archive a;
    char name[301];
    memset(name, 'n', 300);
    name[300] = '\0';
    head(&a, 14, 1);
    item(&a, 7, "TABLE DATA", "public", name, true); /* no server has such a name: it is cut */
    block(&a, 1, 7);
    chunk(&a, "1\n\\.\n");
    chunk(&a, "");
    struct outcome o = scan_bytes(PG_CUSTOM, a.bytes, a.n);
    assert_int_equal(o.rc, BAKE_OK);
    assert_non_null(strstr(o.facts, "\"rows\":1"));
    free(o.facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),   cmocka_unit_test(unknown_versions),
        cmocka_unit_test(compressed), cmocka_unit_test(every_prefix),
        cmocka_unit_test(damage),     cmocka_unit_test(missing_data),
        cmocka_unit_test(long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
