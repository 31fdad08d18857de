/* Dumps taken apart: tables at once, everything else for later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "restore_split.h"
#include <stdlib.h>
#include <string.h>

struct got {
    char text[20000];
    size_t n;
    int rc; /* what out() says */
};

static int out(void *arg, const void *data, size_t n)
{
    struct got *g = arg;
    assert_true(g->n + n < sizeof(g->text));
    memcpy(g->text + g->n, data, n);
    g->n += n;
    g->text[g->n] = '\0';
    return g->rc;
}

static bool only_b(void *arg, const char *table)
{
    (void)arg;
    return strcmp(table, "b`b") == 0;
}

static const char dump[] = "/*M!999999\\- enable the sandbox mode */ \n"         /* 1 */
                           "-- MariaDB dump\n"                                   /* 2 */
                           "--\n"                                                /* 3 */
                           "-- Table structure for table `a`\n"                  /* 4 */
                           "CREATE TABLE `a` (\n"                                /* 5 */
                           "  `i` int\n"                                         /* 6 */
                           ");\n"                                                /* 7 */
                           "-- Dumping data for table `a`\n"                     /* 8 */
                           "INSERT INTO `a` VALUES\n"                            /* 9 */
                           "(1,'-- Dumping events for database'),\n"             /* 10 */
                           "(2,'x');\n"                                          /* 11 */
                           "UNLOCK TABLES;\n"                                    /* 12 */
                           "/*!50003 SET @saved_sql_mode = @@sql_mode */ ;\n"    /* 13 */
                           "DELIMITER ;;\n"                                      /* 14 */
                           "CREATE TRIGGER ga BEFORE INSERT ON a FOR EACH ROW\n" /* 15 */
                           "-- Table structure for table `a`\n"                  /* 16 */
                           "BEGIN END ;;\n"                                      /* 17 */
                           "DELIMITER ;\n"                                       /* 18 */
                           "-- Table structure for table `b``b`\n"               /* 19 */
                           "CREATE TABLE `b``b` (i int);\n"                      /* 20 */
                           "-- Dumping data for table `b``b`\n"                  /* 21 */
                           "INSERT INTO `b``b` VALUES (1);\n"                    /* 22 */
                           "/*!50003 SET @saved_sql_mode = @@sql_mode */ ;\n"    /* 23 */
                           "DELIMITER ;;\n"                                      /* 24 */
                           "CREATE TRIGGER gb;;\n"                               /* 25 */
                           "DELIMITER ;\n"                                       /* 26 */
                           "-- Temporary table structure for view `v`\n"         /* 27 */
                           "CREATE VIEW v AS SELECT NULL;\n"                     /* 28 */
                           "-- Dumping events for database 'x'\n"                /* 29 */
                           "DELIMITER ;;\n"                                      /* 30 */
                           "CREATE EVENT e;;\n"                                  /* 31 */
                           "DELIMITER ;\n"                                       /* 32 */
                           "-- Dumping routines for database 'x'\n"              /* 33 */
                           "DELIMITER ;;\n"                                      /* 34 */
                           "CREATE PROCEDURE p() SELECT 1;;\n"                   /* 35 */
                           "DELIMITER ;\n"                                       /* 36 */
                           "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n"         /* 37 */
                           "-- Dump completed\n";                                /* 38 */

static struct my_split *feed(struct got *g, bool (*wanted)(void *, const char *), size_t step)
{
    struct my_split *s = NULL;
    size_t n = strlen(dump);
    memset(g, 0, sizeof(*g));
    assert_int_equal(my_split_new(wanted, out, g, &s), BAKE_OK);
    for (size_t at = 0; at < n; at += step)
        assert_int_equal(my_split_feed(s, dump + at, n - at < step ? n - at : step), BAKE_OK);
    assert_int_equal(my_split_end(s), BAKE_OK);
    return s;
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void in_any_pieces(void **state)
{
    (void)state;
    for (size_t step = 1; step < 200; step += step < 20 ? 1 : 37) {
        struct got g;
        struct my_split *s = feed(&g, NULL, step);
        /* each line has its place */
        assert_int_equal(lines(g.text), lines(dump));
        assert_non_null(strstr(g.text, "INSERT INTO `a` VALUES\n(1,'-- Dumping events"));
        assert_non_null(strstr(g.text, "INSERT INTO `b``b` VALUES (1);\n"));
        assert_null(strstr(g.text, "TRIGGER"));
        assert_null(strstr(g.text, "VIEW"));
        assert_null(strstr(g.text, "sandbox"));
        assert_int_equal(g.text[0], '\n');
        const struct my_script *x = my_split_extras(s), *e = my_split_events(s);
        assert_non_null(strstr(x->data, "TRIGGER ga"));
        assert_non_null(strstr(x->data, "BEGIN END ;;"));
        assert_non_null(strstr(x->data, "TRIGGER gb"));
        assert_non_null(strstr(x->data, "VIEW v"));
        assert_non_null(strstr(x->data, "PROCEDURE p"));
        assert_null(strstr(x->data, "EVENT"));
        assert_non_null(strstr(e->data, "CREATE EVENT e;;"));
        assert_null(strstr(e->data, "PROCEDURE"));
        my_split_free(s);
    }
}

static void where(void **state)
{
    (void)state;
    struct got g;
    struct my_split *s = feed(&g, NULL, 7);
    const struct my_script *x = my_split_extras(s);
    uint64_t line = 1;
    for (const char *p = x->data; strncmp(p, "CREATE PROCEDURE", 16) != 0; p++)
        line += *p == '\n';
    assert_int_equal(my_script_line(x, line), 35);
    assert_int_equal(my_script_line(x, 1), 13);
    assert_int_equal(my_script_line(my_split_events(s), 3), 31);
    assert_string_equal(my_split_statement(s, 9), "INSERT INTO `a`");
    assert_string_equal(my_split_statement(s, 5), "CREATE TABLE `a` (");
    assert_string_equal(my_split_statement(s, 10), "");
    assert_string_equal(my_split_statement(s, 999), "");
    my_split_free(s);
}

static void one_table(void **state)
{
    (void)state;
    struct got g;
    struct my_split *s = feed(&g, only_b, 11);
    assert_null(strstr(g.text, "`a`"));
    assert_non_null(strstr(g.text, "CREATE TABLE `b``b`"));
    assert_int_equal(lines(g.text), lines(dump));
    assert_non_null(strstr(my_split_extras(s)->data, "TRIGGER gb"));
    assert_null(strstr(my_split_extras(s)->data, "TRIGGER ga"));
    assert_null(strstr(my_split_extras(s)->data, "VIEW"));
    assert_int_equal(my_split_events(s)->n, 0);
    my_split_free(s);
}

static void cut_off(void **state)
{
    (void)state;
    struct my_split *s = NULL;
    struct got g = {.n = 0};
    assert_int_equal(my_split_new(NULL, out, &g, &s), BAKE_OK);
    assert_int_equal(my_split_feed(s, dump, strlen(dump) - 20), BAKE_OK);
    assert_int_equal(my_split_end(s), BAKE_E_CORRUPT);
    my_split_free(s);
    /* without the last line's end */
    assert_int_equal(my_split_new(NULL, out, &g, &s), BAKE_OK);
    assert_int_equal(my_split_feed(s, dump, strlen(dump) - 1), BAKE_OK);
    assert_int_equal(my_split_end(s), BAKE_OK);
    my_split_free(s);
    /* who takes it fails */
    g.rc = BAKE_E_CHILD;
    assert_int_equal(my_split_new(NULL, out, &g, &s), BAKE_OK);
    assert_int_equal(my_split_feed(s, dump, strlen(dump)), BAKE_OK);
    assert_int_equal(my_split_end(s), BAKE_E_CHILD);
    my_split_free(s);
    my_split_free(NULL);
}

static void long_lines(void **state)
{
    (void)state;
    struct my_split *s = NULL;
    struct got g = {.n = 0};
    char text[5000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "-- ", 3);
    assert_int_equal(my_split_new(NULL, out, &g, &s), BAKE_OK);
    assert_int_equal(my_split_feed(s, text, sizeof(text)), BAKE_OK);
    assert_int_equal(my_split_feed(s, "\nINSERT", 7), BAKE_OK);
    assert_int_equal(my_split_end(s), BAKE_E_CORRUPT);
    assert_int_equal(g.n, sizeof(text) + 7);
    my_split_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_any_pieces), cmocka_unit_test(where),      cmocka_unit_test(one_table),
        cmocka_unit_test(cut_off),       cmocka_unit_test(long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
