/* The scanner of plain dumps: rows, names, and what looks like either. */
#include "pg_scan_kit.h"

#define END "--\n-- PostgreSQL database dump complete\n--\n\n"

static void expect(const char *dump, const char *facts)
{
    struct outcome o = scan_bytes(PG_PLAIN, dump, strlen(dump));
    if (o.rc != BAKE_OK)
        fail_msg("%s\nin: %s", o.why, dump);
    assert_true(o.counted);
    assert_string_equal(o.facts, facts);
    free(o.facts);
}

static void refuse(const char *dump, const char *why)
{
    struct outcome o = scan_bytes(PG_PLAIN, dump, strlen(dump));
    assert_int_equal(o.rc, BAKE_E_CORRUPT);
    if (!strstr(o.why, why))
        fail_msg("'%s' is not in '%s'", why, o.why);
    free(o.facts);
}

#define NOTHING            "{\"large_objects\":0,\"rows\":0,\"tables\":{}}"
#define TABLES(list, rows) "{\"large_objects\":0,\"rows\":" #rows ",\"tables\":{" list "}}"

static void rows(void **state)
{
    (void)state;
    expect("COPY public.t (a, b) FROM stdin;\n1\tx\n2\ty\n\\.\n\n\n" END,
           TABLES("\"public.t\":2", 2));
    expect("COPY public.t (a) FROM stdin;\n\\.\n" END, TABLES("\"public.t\":0", 0));
    expect("COPY public.t (a) FROM stdin;\n\n\n\\N\n\\\\.\n\\.x\n \\.\n\\.\n" END,
           TABLES("\"public.t\":6", 6));
    expect("COPY public.t  FROM stdin;\n\n\n\\.\n" END, TABLES("\"public.t\":2", 2));
    expect("COPY public.t (a) FROM stdin;\n1\n\\.\nCOPY public.t (a) FROM stdin;\n2\n\\.\n"
           "COPY b.t (a) FROM stdin;\nq\n\\.\n" END,
           TABLES("\"b.t\":1,\"public.t\":2", 3));
    /* what a statement looks like within rows is a row */
    expect("COPY public.t (a) FROM stdin;\nCOPY public.u (a) FROM stdin;\n-- PostgreSQL database "
           "dump complete\n'\n\\.\n" END,
           TABLES("\"public.t\":3", 3));
}

static void names(void **state)
{
    (void)state;
    expect("COPY \"S p\".\"q\"\"u;o'te\" (\"c\"\"o;l\", \"x\ny\") FROM stdin;\n1\n\\.\n" END,
           TABLES("\"S p.\\\"q\\\"\\\"u;o'te\\\"\":1", 1));
    expect("COPY \"a.b\".c (x) FROM stdin;\n1\n\\.\nCOPY a.\"b.c\" (x) FROM stdin;\n\\.\n" END,
           TABLES("\"\\\"a.b\\\".c\":1,\"a.\\\"b.c\\\"\":0", 1));
    expect("COPY \"new\nline\".t (x) FROM stdin;\n1\n\\.\n" END, TABLES("\"new\\nline.t\":1", 1));
    expect("COPY \"\xd0\xb6\".t (x) FROM stdin;\n1\n\\.\n" END, TABLES("\"\xd0\xb6.t\":1", 1));
    /* of another encoding */
    expect("COPY p.\"\xe9t\xe9\" (x) FROM stdin;\n1\n\\.\n" END,
           TABLES("\"p.\\\\xe9t\\\\xe9\":1", 1));
    /* 63 bytes, all of them quotes */
    char dump[800] = "COPY \"", key[800] = "\"a.\\\"";
    for (int i = 0; i < 63; i++) {
        strncat(dump, "\"\"", 3);
        strncat(key, "\\\"\\\"", 5);
    }
    char all[2000], facts[2000];
    (void)snprintf(all, sizeof(all), "COPY a.%s\" (x) FROM stdin;\n1\n\\.\n" END, dump + 5);
    (void)snprintf(facts, sizeof(facts), TABLES("%s\\\"\":1", 1), key);
    expect(all, facts);
}

static void texts(void **state)
{
    (void)state;
    expect("SELECT '\nCOPY public.t (a) FROM stdin;\n1\n';\n" END, NOTHING);
    expect("COMMENT ON TABLE x IS 'it''s\nCOPY public.t (a) FROM stdin;\n';\n" END, NOTHING);
    expect("SELECT E'\\'\nCOPY public.t (a) FROM stdin;\n\\\\';\n" END, NOTHING);
    expect("SELECT e'\\'', name'\\';\nCOPY public.t (a) FROM stdin;\n1\n\\.\n" END,
           TABLES("\"public.t\":1", 1));
    expect("CREATE FUNCTION f() AS $_$\nCOPY public.t (a) FROM stdin;\n$$ $x$ $_ ' $_$;\n" END,
           NOTHING);
    expect("CREATE FUNCTION f() AS $$ ' ; \" -- $ $_$ $$;\n" END, NOTHING);
    expect("SELECT $1 + $2, a$b$c;\nCOPY public.t (a) FROM stdin;\n1\n\\.\n" END,
           TABLES("\"public.t\":1", 1));
    expect("SELECT $a$ $a $a$;\nCOPY public.t (a) FROM stdin;\n1\n\\.\n" END,
           TABLES("\"public.t\":1", 1));
    expect("SELECT $ab$ $a$ab$;\nCOPY public.t (a) FROM stdin;\n1\n\\.\n" END,
           TABLES("\"public.t\":1", 1));
    expect("/* ' /* \" */ $$ **/ SELECT 4 / 2 - 1; -- it's\nCOPY public.t (a) FROM stdin;\n1\n"
           "\\.\n" END,
           TABLES("\"public.t\":1", 1));
    expect("-- COPY public.t (a) FROM stdin;\n" END, NOTHING);
    expect("SELECT 1;SELECT 2\n;\nCOPY public.t (a) TO stdout;\n" END, NOTHING);
    expect("COPY public.t (a) FROM 'file';\n" END, NOTHING);
    expect("CREATE RULE r AS ON DELETE TO t DO ( SELECT 1;\n SELECT ';'; );\n" END, NOTHING);
}

static void large_objects(void **state)
{
    (void)state;
    expect(
        "SELECT pg_catalog.lo_create('4711');\nSELECT pg_catalog.lo_create('4712');\n"
        "SELECT pg_catalog.lo_open('4711', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\n" END,
        "{\"large_objects\":2,\"rows\":0,\"tables\":{}}");
}

static void ends(void **state)
{
    (void)state;
    static const char copy[] = "COPY public.t (a) FROM stdin;\n1\n2\n";
    expect(END, NOTHING);
    expect("\\restrict abc\n\nSELECT 1;\n" END "\\unrestrict abc\n\n", NOTHING);
    expect("-- PostgreSQL database cluster dump complete\n", NOTHING);
    refuse("", "it is empty");
    refuse("SELECT 1;\n", "its end marker is missing");
    refuse(END "SELECT 1;\n", "its end marker is missing");
    refuse(END "\\! id\n", "a command of psql");
    refuse(END "\\.\n", "a command of psql");
    refuse("SELECT '\n" END, "within a statement");
    refuse("SELECT $x$\n" END "$$;", "within a statement");
    refuse("/* \n" END, "within a statement");
    refuse("SELECT 1\n" END, "within a statement");
    refuse("-- PostgreSQL database dump complet\n", "its end marker is missing");
    refuse("-- PostgreSQL database dump complete", "within a line");
    refuse("\\unrestrict x", "within a line");
    refuse(copy, "within the rows of table 'public.t'");
    refuse("COPY public.t (a) FROM stdin;\n1\n" END, "within the rows of table 'public.t'");
    char cut[sizeof(copy)];
    for (size_t n = 1; n < sizeof(copy); n++) {
        memcpy(cut, copy, n);
        cut[n] = '\0';
        refuse(cut, "it ends within");
    }
}

/* Any prefix of a whole dump is not whole, but for what follows its marker. */
static void prefixes(void **state)
{
    (void)state;
    static const char dump[] =
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict k\n\nSET x = 'on';\n"
        "CREATE FUNCTION f() AS $_$ ';' $_$;\n"
        "COPY public.t (a) FROM stdin;\n1\n\\.\n\n" END "\\unrestrict k\n\n";
    size_t whole = (size_t)(strstr(dump, "complete\n") - dump) + strlen("complete\n");
    for (size_t n = 0; n < whole; n++) {
        struct outcome o = scan_pieces(PG_PLAIN, dump, n, 5);
        assert_int_equal(o.rc, BAKE_E_CORRUPT);
        free(o.facts);
    }
    expect(dump, TABLES("\"public.t\":1", 1));
}

static void many_tables(void **state)
{
    (void)state;
    struct pg_scan *s = NULL;
    const struct pg_scan_table *list = NULL;
    const char *why = "";
    char text[100];
    assert_int_equal(pg_scan_new(PG_PLAIN, &s), BAKE_OK);
    for (int i = 0; i < PG_SCAN_TABLES + 5; i++) {
        int n = snprintf(text, sizeof(text), "COPY s.t%d (a) FROM stdin;\nx\n\\.\n", i);
        assert_int_equal(pg_scan_feed(s, text, (size_t)n), BAKE_OK);
    }
    assert_int_equal(pg_scan_feed(s, END, strlen(END)), BAKE_OK);
    assert_int_equal(pg_scan_end(s, &why), BAKE_OK);
    assert_int_equal(pg_scan_tables(s, &list), PG_SCAN_TABLES);
    assert_string_equal(list[0].schema, "s");
    assert_string_equal(list[0].name, "t0");
    assert_string_equal(list[1].name, "t1");
    assert_string_equal(list[2].name, "t10");
    assert_int_equal(pg_scan_rows(s), PG_SCAN_TABLES + 5);
    json_t *j = json_object();
    assert_int_equal(pg_scan_facts(s, j), BAKE_OK);
    assert_null(json_object_get(j, "tables"));
    assert_int_equal(json_integer_value(json_object_get(j, "tables_total")), PG_SCAN_TABLES + 5);
    assert_int_equal(json_integer_value(json_object_get(j, "rows")), PG_SCAN_TABLES + 5);
    json_decref(j);
    pg_scan_free(s);
}

static void keys(void **state)
{
    (void)state;
    static const char *const list[][3] = {
        {"public", "t", "public.t"},   {"a.b", "c", "\"a.b\".c"},   {"a", "b.c", "a.\"b.c\""},
        {"x\"y", "z", "\"x\"\"y\".z"}, {"Sp ace", "n", "Sp ace.n"}, {"", "", "."},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        char *key = pg_scan_key(list[i][0], list[i][1]);
        assert_string_equal(key, list[i][2]);
        free(key);
    }
}

/* Fed in pieces: seen before the line has ended, as psql would run it at its end. */
static bool is_command(const char *dump, size_t piece)
{
    struct pg_scan *s = NULL;
    assert_int_equal(pg_scan_new(PG_PLAIN, &s), BAKE_OK);
    for (size_t at = 0, n = strlen(dump); at < n; at += piece)
        assert_int_equal(pg_scan_feed(s, dump + at, n - at < piece ? n - at : piece), BAKE_OK);
    bool is = pg_scan_commands(s);
    pg_scan_free(s);
    return is;
}

static void commands(void **state)
{
    (void)state;
    static const char *const good[] = {
        "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n",
        "\\unrestri",
        "SELECT '\n\\! id\n', E'\\'\n\\! id', \"\n\\! id\", $x$\n\\! id\n$x$;\n",
        "-- \\! id\n/* \n\\! id\n*/\n",
        "COPY public.t (a) FROM stdin;\n\\N\n\\\\! id\n\\.\n",
        "COPY public.t (a) FROM stdin;\n\\! id\n\\.\n",
    };
    static const char *const bad[] = {
        "-- Name: x\n\\! id",
        "SELECT 1 \\! id",
        "SELECT 1;\\o x",
        "\\restrictx\n",
        "\\restrict\n",
        "COPY public.t (a) FROM stdin; \\! id\n1\n\\.\n",
        "COPY public.t (a) FROM stdin;\n1\n\\.\n\\connect x",
    };
    for (size_t piece = 1; piece < 20; piece += 3) {
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
            assert_false(is_command(good[i], piece));
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            assert_true(is_command(bad[i], piece));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows),        cmocka_unit_test(names),         cmocka_unit_test(texts),
        cmocka_unit_test(ends),        cmocka_unit_test(large_objects), cmocka_unit_test(prefixes),
        cmocka_unit_test(many_tables), cmocka_unit_test(keys),          cmocka_unit_test(commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
