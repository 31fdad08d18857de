/* Dumps: who to be, what a server said, and when a dump or a load is good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dump_impl.h"
#include "fakehost.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- logins ---------------------------------------------------------------------------------- */

static struct dk_container with_env(const char *const *env)
{
    json_t *list = json_array();
    for (; *env; env++)
        json_array_append_new(list, json_string(*env));
    return (struct dk_container){.inspect = json_pack("{s:{s:o}}", "Config", "Env", list)};
}

#define LOGIN(kind, ...) login_of(kind, (const char *const[]){__VA_ARGS__, NULL})

static struct dk_login login_of(enum dk_kind kind, const char *const *env)
{
    struct dk_container c = with_env(env);
    struct dk_login l = dk_login_of(&c, kind);
    json_decref(c.inspect);
    return l;
}

static void pg_logins(void **state)
{
    (void)state;
    struct dk_login l = LOGIN(DK_PG, "POSTGRES_USER=shop", "POSTGRES_PASSWORD_FILE=/run/x");
    assert_string_equal(l.user, "POSTGRES_USER");
    assert_string_equal(l.password, "POSTGRES_PASSWORD");
    assert_null(l.why);
    l = LOGIN(DK_PG, "POSTGRES_PASSWORD=x");
    assert_null(l.user);
    assert_string_equal(l.password, "POSTGRES_PASSWORD");
    l = LOGIN(DK_PG, "POSTGRES_PASSWORD=", "POSTGRES_HOST_AUTH_METHOD=trust");
    assert_null(l.password);
    assert_non_null(strstr(l.why, "POSTGRES_PASSWORD_FILE"));
}

static void maria_logins(void **state)
{
    (void)state;
    struct dk_login l =
        LOGIN(DK_MARIA, "MYSQL_USER=u", "MYSQL_PASSWORD=p", "MYSQL_ROOT_PASSWORD=r");
    assert_null(l.user); /* root, though there is a user */
    assert_string_equal(l.password, "MYSQL_ROOT_PASSWORD");
    assert_false(l.own_only);
    l = LOGIN(DK_MARIA, "MYSQL_ROOT_PASSWORD=a", "MARIADB_ROOT_PASSWORD_FILE=/b");
    assert_string_equal(l.password, "MARIADB_ROOT_PASSWORD");
    l = LOGIN(DK_MARIA, "MYSQL_USER=u", "MYSQL_PASSWORD=p", "MARIADB_RANDOM_ROOT_PASSWORD=1");
    assert_string_equal(l.user, "MYSQL_USER");
    assert_string_equal(l.password, "MYSQL_PASSWORD");
    assert_true(l.own_only);
    l = LOGIN(DK_MARIA, "MARIADB_USER=u", "MARIADB_RANDOM_ROOT_PASSWORD=yes");
    assert_null(l.password);
    assert_false(l.own_only);
    assert_non_null(strstr(l.why, "at random"));
    l = LOGIN(DK_MARIA, "MYSQL_ALLOW_EMPTY_PASSWORD=1");
    assert_null(l.password);
    assert_non_null(strstr(l.why, "ALLOW_EMPTY"));
    l = LOGIN(DK_MARIA, "PATH=/bin");
    assert_null(l.password);
    assert_non_null(strstr(l.why, "MARIADB_ROOT_PASSWORD"));
}

static void directories(void **state)
{
    (void)state;
    struct dk_container c = with_env((const char *const[]){"PGDATA=/pg", NULL});
    assert_string_equal(dk_database_dir(&c, DK_PG), "/pg");
    assert_string_equal(dk_database_dir(&c, DK_MARIA), "/var/lib/mysql");
    json_object_set_new(c.inspect, "Args", json_pack("[s, s]", "mariadbd", "--datadir=/my"));
    assert_string_equal(dk_database_dir(&c, DK_MARIA), "/my");
    json_decref(c.inspect);
    c = with_env((const char *const[]){"PGDATA=", NULL});
    assert_string_equal(dk_database_dir(&c, DK_PG), "/var/lib/postgresql/data");
    json_decref(c.inspect);
}

/* ---- servers --------------------------------------------------------------------------------- */

static int parse(enum dk_kind kind, const char *said, struct dk_server *sv, struct fakehost *f)
{
    char *text = strdup(said);
    *sv = (struct dk_server){.kind = kind, .login = {.password = "POSTGRES_PASSWORD"}};
    int rc = dk_server_parse(&f->ctx, "db", text, sv);
    free(text);
    return rc;
}

static void good_servers(void **state)
{
    struct fakehost *f = *state;
    struct dk_server sv;
    assert_int_equal(
        parse(DK_PG, "tcp\nV15.8 (Debian 15.8-1)\nUshop\nL0\nDpostgres\nDa b\nXpg_dumpall", &sv, f),
        BAKE_OK);
    assert_true(sv.tcp);
    assert_string_equal(sv.version, "15.8");
    assert_string_equal(sv.user, "shop");
    assert_string_equal(sv.tool, "pg_dumpall");
    assert_int_equal(json_array_size(sv.databases), 2);
    assert_string_equal(json_string_value(json_array_get(sv.databases, 1)), "a b");
    dk_server_release(&sv);
    /* no TCP by choice: it is the server itself that runs */
    assert_int_equal(
        parse(DK_MARIA,
              "socket\nV10.11.6-MariaDB\nUroot@localhost\nL1\nXmariadb-dump\nPmariadbd\n"
              "TERROR 2002 (HY000): Can't connect (111)",
              &sv, f),
        BAKE_OK);
    assert_false(sv.tcp);
    dk_server_release(&sv);
    /* the password is wrong over TCP, but the socket is trusted */
    assert_int_equal(parse(DK_PG,
                           "socket\nV16.1\nUpostgres\nL0\nXpg_dumpall\n"
                           "Tpsql: error: FATAL:  password authentication failed\nPsh",
                           &sv, f),
                     BAKE_OK);
    dk_server_release(&sv);
}

static void servers_in_the_making(void **state)
{
    struct fakehost *f = *state;
    struct dk_server sv;
    static const char *const said[] = {
        "socket\nV15.8\nUshop\nL1\nXpg_dumpall\nTpsql: error: Connection refused\nPdocker-entrypoi",
        "none\nTpsql: error: Connection refused\nSpsql: error: No such file or directory",
        "none\nTpsql: error: FATAL:  the database system is starting up\nSsame",
        "none\nTERROR 2002 (HY000): Can't connect to server\nSERROR 1045 (28000): Access denied",
    };
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        assert_int_equal(parse(DK_PG, said[i], &sv, f), BAKE_END);
        assert_int_equal(f->failed, BAKE_E_UNAVAILABLE);
        dk_server_release(&sv);
    }
}

static void bad_servers(void **state)
{
    struct fakehost *f = *state;
    struct dk_server sv;
    static const struct {
        const char *said;
        int rc;
        const char *text;
    } all[] = {
        {"none\nTpsql: error: FATAL:  password authentication failed for user \"shop\"\nSsame",
         BAKE_E_AUTH, "the password of POSTGRES_PASSWORD"},
        {"none\nTERROR 1045 (28000): Access denied\nSERROR 1045 (28000): Access denied",
         BAKE_E_AUTH, "refuses"},
        {"none\nTpsql: error: FATAL:  too many connections\nSsame", BAKE_E_IO, "too many"},
        {"missing\nXpsql", BAKE_E_NOTFOUND, "'psql'"},
        {"tcp\nUshop", BAKE_E_IO, "version"},
        {"", BAKE_E_IO, "nothing"},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(parse(DK_PG, all[i].said, &sv, f), all[i].rc);
        if (!strstr(f->fail, all[i].text))
            fail_msg("'%s' does not say '%s'", f->fail, all[i].text);
        dk_server_release(&sv);
    }
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static bool complete(enum dk_kind kind, const char *tail)
{
    return dk_dump_complete(kind, tail, strlen(tail));
}

static void end_marks(void **state)
{
    (void)state;
    static const char pg[] = "x\n--\n-- PostgreSQL database cluster dump complete\n--\n\n";
    assert_true(complete(DK_PG, pg));
    assert_true(complete(DK_PG, "x\n-- PostgreSQL database cluster dump complete\n--\n\n"
                                "\\unrestrict abc\n"));
    assert_false(complete(DK_PG, "x\n-- PostgreSQL database dump complete\n--\n")); /* of one */
    assert_false(complete(DK_PG, "x\n-- PostgreSQL database cluster dump comple"));
    assert_false(complete(DK_PG, "INSERT '-- PostgreSQL database cluster dump complete\n'"));
    assert_false(complete(DK_PG, "x\n-- PostgreSQL database cluster dump complete\nDROP TABLE x;"));
    assert_false(complete(DK_PG, ""));
    assert_true(complete(DK_MARIA, ";\n\n-- Dump completed\n"));
    assert_true(complete(DK_MARIA, ";\n\n-- Dump completed on 2026-11-21  7:29:50\n"));
    assert_false(complete(DK_MARIA, ";\n\n-- Dump compl"));
    assert_false(complete(DK_MARIA, pg));
}

static void first_errors(void **state)
{
    char text[40];
    (void)state;
    dk_first_error("pg_dump: warning: x\npg_dump: error: y\nz: error: z", text, sizeof(text));
    assert_string_equal(text, "pg_dump: error: y");
    dk_first_error("\nnot found\nmore\n", text, sizeof(text));
    assert_string_equal(text, "not found");
    dk_first_error("", text, sizeof(text));
    assert_string_equal(text, "");
    dk_first_error("ERROR 1045 (28000): a text that is longer than there is room for", text,
                   sizeof(text));
    assert_int_equal(strlen(text), sizeof(text) - 1);
}

static void psql_lines(void **state)
{
    static const struct {
        const char *line;
        enum dk_line what;
    } all[] = {
        {"", DK_LINE_FINE},
        {"psql:<stdin>:7: NOTICE:  role \"x\" does not exist, skipping", DK_LINE_FINE},
        {"psql:<stdin>:7: WARNING:  something", DK_LINE_FINE},
        {"psql:<stdin>:14: ERROR:  current user cannot be dropped", DK_LINE_EXPECTED},
        {"psql:<stdin>:20: ERROR:  role \"shop\" already exists", DK_LINE_EXPECTED},
        {"psql:<stdin>:20: ERROR:  role \"shopper\" already exists", DK_LINE_BAD},
        {"psql:<stdin>:20: ERROR:  role \"reporter\" already exists", DK_LINE_BAD},
        {"psql:<stdin>:9: ERROR:  database \"shop\" is being accessed by other users", DK_LINE_BAD},
        {"psql:<stdin>:9: ERROR:  relation \"NOTICE:  x\" does not exist", DK_LINE_BAD},
        {"psql:<stdin>:9: ERROR:  current user cannot be dropped, or more", DK_LINE_BAD},
        {"psql:<stdin>:9: FATAL:  terminating connection", DK_LINE_BAD},
        {"psql:<stdin>:9: invalid command \\restrict", DK_LINE_BAD},
        {"psql:<stdin>:9: server closed the connection unexpectedly", DK_LINE_BAD},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_int_equal(dk_psql_line(all[i].line, "shop"), all[i].what);
}

/* ---- scripts --------------------------------------------------------------------------------- */

/* Runs a login script with this environment, as a container's shell would. */
static void run_login(const char *login, const char *env, const char *args, const char *want)
{
    char command[4096], got[256] = "", path[] = "/tmp/bake-login-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *script = fdopen(fd, "w");
    assert_non_null(script);
    fprintf(script, "%sprintf '%%s|%%s|%%s' \"$u\" \"${PGPASSWORD-}${MYSQL_PWD-}\" \"$*\"", login);
    fclose(script);
    snprintf(command, sizeof(command), "exec env -i %s sh %s %s", env, path, args);
    int pipe_fd[2];
    assert_int_equal(pipe(pipe_fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipe_fd[1], 1);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(pipe_fd[1]);
    size_t n = 0;
    for (ssize_t k; (k = read(pipe_fd[0], got + n, sizeof(got) - 1 - n)) > 0;)
        n += (size_t)k;
    close(pipe_fd[0]);
    waitpid(pid, NULL, 0);
    unlink(path);
    assert_string_equal(got, want);
}

static void login_scripts(void **state)
{
    (void)state;
    run_login(dk_pg_login, "POSTGRES_USER=shop POSTGRES_PASSWORD=\"a'b \\$c\"",
              "POSTGRES_USER POSTGRES_PASSWORD tcp x", "shop|a'b $c|tcp x");
    run_login(dk_pg_login, "PGHOST=elsewhere", "'' '' socket", "postgres||socket");
    run_login(dk_pg_login, "POSTGRES_PASSWORD_FILE=/etc/hostname", "'' POSTGRES_PASSWORD_FILE x",
              "postgres|/etc/hostname|x"); /* a variable's value, whatever its name */
    run_login(dk_maria_login, "MARIADB_ROOT_PASSWORD=\"ro'ot p\\$w\"",
              "'' MARIADB_ROOT_PASSWORD tcp --all-databases", "root|ro'ot p$w|tcp --all-databases");
    run_login(dk_maria_login, "MYSQL_USER=joe MYSQL_PASSWORD=x", "MYSQL_USER MYSQL_PASSWORD tcp",
              "joe|x|tcp");
}

static void login_files(void **state)
{
    char path[] = "/tmp/bake-secret-XXXXXX", env[100];
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "se cret\n\n", 9), 9);
    close(fd);
    snprintf(env, sizeof(env), "MARIADB_ROOT_PASSWORD_FILE=%s", path);
    run_login(dk_maria_login, env, "'' MARIADB_ROOT_PASSWORD x", "root|se cret|x");
    snprintf(env, sizeof(env), "POSTGRES_PASSWORD_FILE=%s POSTGRES_USER_FILE=%s", path, path);
    run_login(dk_pg_login, env, "POSTGRES_USER POSTGRES_PASSWORD x", "se cret|se cret|x");
    unlink(path);
}

static int setup(void **state)
{
    struct fakehost *f = calloc(1, sizeof(*f));
    fakehost_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fakehost_free(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pg_logins),   cmocka_unit_test(maria_logins),
        cmocka_unit_test(directories), cmocka_unit_test(good_servers),
        cmocka_unit_test(bad_servers), cmocka_unit_test(servers_in_the_making),
        cmocka_unit_test(end_marks),   cmocka_unit_test(first_errors),
        cmocka_unit_test(psql_lines),  cmocka_unit_test(login_scripts),
        cmocka_unit_test(login_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
