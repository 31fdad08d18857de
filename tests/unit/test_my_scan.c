/* The scanner of mariadb-dump's output: rows, what is made, positions, ends; in pieces of any size.
 */
#include "scan.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define END "\n-- Dump completed\n"

static struct my_scan *feed(const char *text, size_t n, size_t piece)
{
    struct my_scan *s = NULL;
    assert_int_equal(my_scan_new(&s), BAKE_OK);
    for (size_t at = 0; at < n; at += piece)
        assert_int_equal(my_scan_feed(s, text + at, n - at < piece ? n - at : piece), BAKE_OK);
    return s;
}

/* "a=1 b=0" of the tables. */
static void tables_of(const struct my_scan *s, char *out, size_t cap)
{
    const struct my_scan_table *t;
    size_t n = my_scan_tables(s, &t), at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s=%llu", i ? " " : "", t[i].name,
                               (unsigned long long)t[i].rows);
}

static const struct {
    const char *text, *tables, *why; /* why NULL: it is whole */
} dumps[] = {
    {"CREATE TABLE `t` (\n  `a` int\n);\nINSERT INTO `t` VALUES\n(1),\n(2);\n" END, "t=2", NULL},
    {"CREATE TABLE IF NOT EXISTS `t` (a int);\n" END, "t=0", NULL},
    {"INSERT INTO `t` VALUES (1,'a(b);c\\'(','''('),(2,'\\\\'),(3,'x');" END, "t=3", NULL},
    {"INSERT INTO `t` (`a``(`, `VALUES (`, `c'd`) VALUES (1,2,3);INSERT INTO `t` VALUES (4);" END,
     "t=2", NULL},
    {"INSERT INTO `o``d \n ; (x)` VALUES (1);" END, "o`d \n ; (x)=1", NULL},
    {"INSERT INTO `b` VALUES (0x28283B27,NULL,-1.5e10);INSERT INTO `a` VALUES (1),(2);" END,
     "a=2 b=1", NULL},
    /* text that looks like statements */
    {"INSERT INTO `t` VALUES ('\nINSERT INTO `u` VALUES (1),(2);\n-- Dump completed\n');" END,
     "t=1", NULL},
    {"/*!50001 CREATE TABLE `v` (\n  `n` tinyint NOT NULL\n) ENGINE=MyISAM */;\n" END, "", NULL},
    {"/* a comment; it's one\nINSERT INTO `u` VALUES (1);*/ CREATE TABLE `t` (a int);" END, "t=0",
     NULL},
    {"CREATE TABLE `t` (a int /* it's; */ ) COMMENT='INSERT INTO `x` VALUES (1);'"
     ";\n" END,
     "t=0", NULL},
    {"-- INSERT INTO `u` VALUES (1);\n# DELIMITER ;;\n/**/" END, "", NULL},
    {"DELIMITER ;;\nCREATE PROCEDURE `p`()\nBEGIN\nINSERT INTO `u` VALUES (1);\nEND ;;\n"
     "DELIMITER ;\nINSERT INTO `t` VALUES (1);" END,
     "t=1", NULL},
    {"INSERT IGNORE INTO `t` VALUES (1);REPLACE INTO `t` VALUES (2);" END, "", NULL},
    {"INSERT INTO `t` SELECT * FROM `u`;INSERT INTO `w` VALUES (1);" END, "t=0 w=1", NULL},
    {"-- Dump completed", "", NULL},
    {"-- Dump completed on 2026-11-21 19:57:56\n\n", "", NULL},
    {"-- bakengine: end\n", "", NULL},
    /* that are not whole */
    {"", "", "end marker"},
    {"CREATE TABLE `t` (a int);\n", "t=0", "end marker"},
    {"INSERT INTO `t` VALUES (1),(2", "t=2", "middle"},
    {"INSERT INTO `t` VALUES ('-- Dump completed\n", "t=1", "middle"},
    {"CREATE TABLE `t` (a int", "t=0", "middle"},
    {"/* open" END, "", "middle"},
    {"DELIMITER ;;\n" END, "", "middle"},
    {"-- Dump completed\nDROP TABLE x;\n", "", "behind its end"},
    {"-- Dump completed\nINSERT INTO `t` VALUES (1);\n", "t=1", "behind its end"},
    {" -- Dump complete\n", "", "end marker"},
};

static void tables(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 7, 63, 64, 65, 1 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++)
        for (size_t p = 0; p < sizeof(pieces) / sizeof(pieces[0]); p++) {
            struct my_scan *s = feed(dumps[i].text, strlen(dumps[i].text), pieces[p]);
            const char *why = NULL;
            char got[400];
            int rc = my_scan_end(s, &why);
            tables_of(s, got, sizeof(got));
            if (strcmp(got, dumps[i].tables) != 0 || !why != !dumps[i].why ||
                (why && !strstr(why, dumps[i].why)))
                fail_msg("'%s' in pieces of %zu: '%s', %s", dumps[i].text, pieces[p], got,
                         why ? why : "whole");
            assert_int_equal(rc, dumps[i].why ? BAKE_E_CORRUPT : BAKE_OK);
            my_scan_free(s);
        }
}

/* A slow counter that nobody could get wrong, against long strings of everything that matters. */
static void against_plain_counter(void **state)
{
    static const char alphabet[] = "'\\(),;ab\n` ";
    unsigned seed = 1;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[2000] = "INSERT INTO `t` VALUES ";
        size_t n = strlen(text), end = n + 300 + (unsigned)round % 700;
        uint64_t want = 0;
        bool in = false;
        while (n < end) {
            seed = seed * 1103515245 + 12345;
            char c = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
            if (!in && (c == ';' || c == '\\'))
                continue;
            text[n++] = c;
            if (in && c == '\\') {
                seed = seed * 1103515245 + 12345;
                text[n++] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
            } else if (c == '\'') {
                in = !in;
            } else {
                want += !in && c == '(';
            }
        }
        if (in)
            text[n++] = '\'';
        memcpy(text + n, ";" END, sizeof(END) + 1);
        struct my_scan *s = feed(text, strlen(text), (seed >> 8) % 200 + 1);
        const char *why = NULL;
        assert_int_equal(my_scan_end(s, &why), BAKE_OK);
        assert_int_equal(my_scan_rows(s), want);
        my_scan_free(s);
    }
}

static const char head[] =
    "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n--\n"
    "/*!40101 SET NAMES utf8mb4 */;\n"
    "-- CHANGE MASTER TO MASTER_USE_GTID=slave_pos;\n\n"
    "-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000012', MASTER_LOG_POS=170049;\n"
    "-- CHANGE MASTER TO MASTER_LOG_FILE='binlog.000099', MASTER_LOG_POS=1;\n"
    "DELIMITER ;;\n"
    "/*!50003 CREATE*/ /*!50017 DEFINER=`a``b c`@`%`*/ /*!50003 TRIGGER x AFTER INSERT ON t\n"
    "FOR EACH ROW BEGIN\nCREATE TRIGGER no;\nEND */;;\n"
    "/*!50003 SET x = 1 */ ;;\n"
    "/*!50106 CREATE*/ /*!50117 DEFINER=`root`@`localhost`*/ /*!50106 EVENT `e` DO BEGIN END */ "
    ";;\n"
    "DELIMITER ;\nDELIMITER ;;\n"
    "CREATE DEFINER=`root`@`localhost` FUNCTION `f`() RETURNS int(11)\nRETURN 1\n;;\n"
    "CREATE DEFINER=\"root\"@\"localhost\" PACKAGE \"p\" AS END\n;;\n"
    "CREATE OR REPLACE DEFINER=`r` AGGREGATE FUNCTION `g`() RETURNS INT\n;;\n"
    "CREATE PROCEDURE q()\n;;\n"
    "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 trigger y after insert on t */;;\n"
    "CREATE DEFINER=`a`@`b`\n\n /* odd */\ttrigger\nz before insert on t\nfor each row\n"
    "create trigger no */;;\n"
    "SET x = 'create trigger';;\n"
    "DELIMITER ;\n"
    "-- SET GLOBAL gtid_slave_pos='0-7-55,1-2-3';\n-- Dump completed\n";

static void what_is_told(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 100; piece += 9) {
        struct my_scan *s = feed(head, strlen(head), piece);
        struct my_scan_made made;
        const char *why = NULL;
        uint64_t position = 0;
        assert_int_equal(my_scan_end(s, &why), BAKE_OK);
        assert_string_equal(my_scan_binlog(s, &position), "binlog.000012");
        assert_int_equal(position, 170049);
        assert_string_equal(my_scan_gtid(s), "0-7-55,1-2-3");
        assert_true(my_scan_sandboxed(s));
        my_scan_made(s, &made);
        assert_int_equal(made.routines, 4);
        assert_int_equal(made.events, 1);
        assert_int_equal(made.triggers, 3);
        my_scan_free(s);
    }
    struct my_scan *s = feed("-- Dump completed\n", 18, 18);
    uint64_t position = 1;
    assert_string_equal(my_scan_binlog(s, &position), "");
    assert_int_equal(position, 0);
    assert_string_equal(my_scan_gtid(s), "");
    assert_false(my_scan_sandboxed(s));
    my_scan_free(s);
}

/* More tables than are named are summed up; a name too long is no table. */
static void limits(void **state)
{
    struct my_scan *s = NULL;
    char line[4000];
    const struct my_scan_table *t;
    (void)state;
    assert_int_equal(my_scan_new(&s), BAKE_OK);
    for (int i = 0; i < MY_SCAN_TABLES + 5; i++) {
        int n = snprintf(line, sizeof(line),
                         "CREATE TABLE `t%d` (a int);INSERT INTO `t%d` VALUES (1),(2);", i, i);
        assert_int_equal(my_scan_feed(s, line, (size_t)n), BAKE_OK);
    }
    memset(line, 'x', sizeof(line));
    memcpy(line, "INSERT INTO `", 13);
    memcpy(line + sizeof(line) - 14, "` VALUES (1);\n", 14);
    assert_int_equal(my_scan_feed(s, line, sizeof(line)), BAKE_OK);
    assert_int_equal(my_scan_tables(s, &t), MY_SCAN_TABLES);
    assert_int_equal(my_scan_rows(s), 2 * (MY_SCAN_TABLES + 5) + 1);
    json_t *o = json_object();
    assert_int_equal(my_scan_facts(s, o), BAKE_OK);
    assert_int_equal(json_integer_value(json_object_get(o, "tables_total")), MY_SCAN_TABLES + 5);
    assert_null(json_object_get(o, "tables"));
    json_decref(o);
    my_scan_free(s);
}

/* LOCK TABLES stands before the rows of each table, even when there are none. */
static void rows_are_there(void **state)
{
    const char text[] = "CREATE TABLE `a` (i int);\nLOCK TABLES `a` WRITE;\nUNLOCK TABLES;\n"
                        "CREATE TABLE `b` (i int);\n-- Dump completed\n";
    const struct my_scan_table *t;
    const char *why = NULL;
    struct my_scan *s = feed(text, strlen(text), 3);
    (void)state;
    assert_int_equal(my_scan_end(s, &why), BAKE_OK);
    assert_int_equal(my_scan_tables(s, &t), 2);
    assert_true(t[0].data);
    assert_false(t[1].data);
    my_scan_free(s);
}

static void facts(void **state)
{
    const char text[] = "CREATE TABLE `b` (a int);INSERT INTO `a` VALUES (1);INSERT INTO `\xff` "
                        "VALUES (1);-- Dump completed\n";
    struct my_scan *s = feed(text, strlen(text), 5);
    const char *why = NULL;
    (void)state;
    assert_int_equal(my_scan_end(s, &why), BAKE_OK);
    json_t *o = json_object();
    assert_int_equal(my_scan_facts(s, o), BAKE_OK);
    char *got = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(got, "{\"rows\":2,\"tables\":{\"a\":1,\"b\":0}}");
    free(got);
    json_decref(o);
    my_scan_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),       cmocka_unit_test(against_plain_counter),
        cmocka_unit_test(what_is_told), cmocka_unit_test(limits),
        cmocka_unit_test(facts),        cmocka_unit_test(rows_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
