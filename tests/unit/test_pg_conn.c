/* Connections to a server that does not keep its part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conn.h"
#include "fakehost.h"
#include "wait.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* "R" that we are let in, "K" by what a query is cancelled, "Z" that it is our turn. */
static const char welcome[] = "R\0\0\0\10\0\0\0\0"
                              "K\0\0\0\14\0\0\0\1\0\0\0\2"
                              "Z\0\0\0\5I";

/* Lets one in, and says nothing any more; others are not even accepted. */
static _Noreturn void say_welcome(int listener)
{
    char buffer[4096];
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || read(fd, buffer, sizeof(buffer)) <= 0 ||
        write(fd, welcome, sizeof(welcome) - 1) != (ssize_t)sizeof(welcome) - 1)
        _exit(1);
    for (;;)
        (void)pause();
}

static void no_answer(void **state)
{
    (void)state;
    char directory[] = "/tmp/bakengine-test-XXXXXX";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct fakehost host;
    struct pg_conn c = {0};
    assert_non_null(mkdtemp(directory));
    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/.s.PGSQL.5432", directory);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(listener, 5), 0);
    pid_t server = fork();
    if (server == 0)
        say_welcome(listener);
    assert_true(server > 0);
    fakehost_init(&host);
    const struct pg_config cfg = {
        .host = directory, .port = 5432, .user = "u", .database = "d", .timeout = 400};
    int64_t began = pg_now_ms();
    (void)alarm(30); /* else it would hang for ever */
    int rc = pg_conn_open(&host.ctx, &cfg, NULL, NULL, &c);
    (void)alarm(0);
    assert_int_equal(rc, BAKE_E_TIMEOUT);
    assert_non_null(strstr(host.fail, "did not answer"));
    assert_true(pg_now_ms() - began < 20000);
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(waitpid(server, NULL, 0), server);
    fakehost_free(&host);
    (void)close(listener);
    assert_int_equal(unlink(name.sun_path), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
