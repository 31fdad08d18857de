/* The HTTP client against a server that does exactly what a test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakehost.h"
#include "http/http.h"
#include "http/line.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

struct kit {
    struct fakehost host;
    struct bkc_http *http;
    pthread_t thread;
    bool running;
    int listener;
    char dir[32], path[64];
    /* what the server does with each connection */
    void (*serve)(struct kit *k, int fd);
    atomic_int connections;
    atomic_size_t received; /* bytes of bodies */
    int hold[2];            /* a byte lets a waiting server go on */
};

/* Reads a head; what came behind it is in buf. Returns its length, 0 at the end. */
static size_t read_head(int fd, char *buf, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, buf + n, cap - 1 - n);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        buf[n] = '\0';
        char *end = memmem(buf, n, "\r\n\r\n", 4);
        if (end) {
            *ret_n = n;
            return (size_t)(end - buf) + 4;
        }
    }
}

static void reply(int fd, const char *text)
{
    size_t n = strlen(text);
    while (n > 0) {
        ssize_t put = send(fd, text, n, MSG_NOSIGNAL);
        if (put <= 0)
            return;
        text += put;
        n -= (size_t)put;
    }
}

static void *server(void *arg)
{
    struct kit *k = arg;
    for (;;) {
        int fd = accept4(k->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        k->connections++;
        k->serve(k, fd);
        close(fd);
    }
}

static void begin(struct kit *k, void (*serve)(struct kit *, int), uint64_t silence_ms)
{
    struct bkc_http_opts o = {.unix_socket = k->path, .agent = "test", .silence_ms = silence_ms};
    k->serve = serve;
    assert_int_equal(pthread_create(&k->thread, NULL, server, k), 0);
    k->running = true;
    assert_int_equal(bkc_http_open(&o, &k->http), BAKE_OK);
}

static int setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    fakehost_init(&k->host);
    snprintf(k->dir, sizeof(k->dir), "/tmp/bake-http-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    snprintf(k->path, sizeof(k->path), "%s/s", k->dir);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", k->path);
    k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(k->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(k->listener, 8), 0);
    assert_int_equal(pipe(k->hold), 0);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    struct kit *k = *state;
    bkc_http_close(k->http); /* closes the connections that the server reads from */
    shutdown(k->listener, SHUT_RDWR);
    close(k->hold[1]);
    if (k->running)
        pthread_join(k->thread, NULL);
    close(k->listener);
    close(k->hold[0]);
    unlink(k->path);
    rmdir(k->dir);
    fakehost_free(&k->host);
    free(k);
    return 0;
}

/* ---- plain requests -------------------------------------------------------------------------- */

static void serve_echo(struct kit *k, int fd)
{
    char buf[4096], out[8192];
    size_t n, head;
    (void)k;
    while ((head = read_head(fd, buf, sizeof(buf), &n)) > 0) {
        snprintf(out, sizeof(out), OK_HEAD "X-A: 1\r\nx-a:  two \r\nContent-Length: %zu\r\n\r\n%s",
                 n, buf);
        reply(fd, out);
    }
}

static char *ask(struct kit *k, const struct bkc_request *r, long *ret_status)
{
    struct bkc_call *c = NULL;
    char *body = NULL;
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, r, &c), BAKE_OK);
    assert_int_equal(bkc_call_answer(c), BAKE_OK);
    *ret_status = bkc_call_status(c);
    assert_int_equal(bkc_call_collect(c, 1 << 20, &body, NULL), BAKE_OK);
    bkc_call_close(c);
    return body;
}

static void requests_and_reuse(void **state)
{
    struct kit *k = *state;
    long status;
    const char *const headers[] = {"X-Mine: yes", NULL};
    begin(k, serve_echo, 5000);
    for (int i = 0; i < 5; i++) {
        char *body =
            ask(k, &(struct bkc_request){.method = "GET", .url = "http://d/a?b=1"}, &status);
        assert_int_equal(status, 200);
        assert_non_null(strstr(body, "GET /a?b=1 HTTP/1.1\r\n"));
        assert_null(strstr(body, "Accept-Encoding")); /* else the daemon compresses */
        free(body);
    }
    char *body = ask(k,
                     &(struct bkc_request){.method = "POST",
                                           .url = "http://d/p",
                                           .headers = headers,
                                           .body = "xyz",
                                           .body_size = 3},
                     &status);
    assert_non_null(strstr(body, "POST /p HTTP/1.1\r\n"));
    assert_non_null(strstr(body, "X-Mine: yes\r\n"));
    assert_non_null(strstr(body, "Content-Length: 3\r\n"));
    assert_null(strstr(body, "Content-Type"));
    assert_null(strstr(body, "Expect"));
    assert_non_null(strstr(body, "\r\n\r\nxyz"));
    free(body);
    body = ask(k, &(struct bkc_request){.method = "DELETE", .url = "http://d/x"}, &status);
    assert_non_null(strstr(body, "DELETE /x HTTP/1.1\r\n"));
    free(body);
    assert_int_equal(k->connections, 1);
}

static void headers_of_answers(void **state)
{
    struct kit *k = *state;
    struct bkc_call *c;
    const struct bkc_request r = {.method = "GET", .url = "http://d/"};
    begin(k, serve_echo, 5000);
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    assert_int_equal(bkc_call_answer(c), BAKE_OK);
    assert_string_equal(bkc_call_header(c, "X-A"), "two ");
    assert_null(bkc_call_header(c, "X"));
    char *body;
    assert_int_equal(bkc_call_collect(c, 10, &body, NULL), BAKE_E_NOSPACE);
    assert_string_equal(bkc_call_why(c), "the answer is too long");
    bkc_call_close(c);
}

/* ---- streams --------------------------------------------------------------------------------- */

#define MUCH (20U * 1024 * 1024)

static void serve_much(struct kit *k, int fd)
{
    char buf[65536];
    size_t n;
    if (!read_head(fd, buf, sizeof(buf), &n))
        return;
    snprintf(buf, sizeof(buf), OK_HEAD "Content-Length: %u\r\n\r\n", MUCH);
    reply(fd, buf);
    memset(buf, 'm', sizeof(buf));
    for (k->received = 0; k->received < MUCH; k->received += (size_t)n) {
        ssize_t put = send(fd, buf, sizeof(buf), MSG_NOSIGNAL);
        if (put <= 0)
            return;
        n = (size_t)put;
    }
}

static void a_slow_reader_is_not_run_over(void **state)
{
    struct kit *k = *state;
    struct bkc_call *c;
    const struct bkc_request r = {.method = "GET", .url = "http://d/"};
    char buf[1000];
    size_t total = 0;
    int rc;
    begin(k, serve_much, 5000);
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    assert_int_equal(bkc_call_answer(c), BAKE_OK);
    struct bake_out one = {.data = buf, .size = 1};
    assert_int_equal(bkc_call_read(c, &one), BAKE_OK);
    usleep(300000);
    assert_true(k->received < MUCH / 4); /* the rest waits in the server */
    total = 1;
    do {
        struct bake_out out = {.data = buf, .size = sizeof(buf)};
        rc = bkc_call_read(c, &out);
        for (size_t i = 0; i < out.pos; i += 97)
            assert_int_equal(buf[i], 'm');
        total += out.pos;
    } while (rc == BAKE_OK);
    assert_int_equal(rc, BAKE_END);
    assert_int_equal(total, MUCH);
    bkc_call_close(c);
}

static void serve_cut(struct kit *k, int fd)
{
    char buf[4096];
    size_t n;
    (void)k;
    if (read_head(fd, buf, sizeof(buf), &n))
        reply(fd, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nwo");
}

static void a_cut_answer_is_no_end(void **state)
{
    struct kit *k = *state;
    struct bkc_call *c;
    const struct bkc_request r = {.method = "GET", .url = "http://d/"};
    char *body;
    begin(k, serve_cut, 5000);
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    assert_int_equal(bkc_call_answer(c), BAKE_OK);
    int rc = bkc_call_collect(c, 100, &body, NULL);
    assert_true(rc < 0);
    assert_true(bkc_call_why(c)[0] != '\0');
    bkc_call_close(c);
}

static void serve_taker(struct kit *k, int fd)
{
    char buf[65536];
    size_t n, head = read_head(fd, buf, sizeof(buf), &n);
    if (!head)
        return;
    while (!memmem(buf, n, "\r\n0\r\n\r\n", 7)) {
        if (n > 100) { /* keep what the mark may begin in */
            k->received += n - 100;
            memmove(buf, buf + n - 100, 100);
            n = 100;
        }
        ssize_t got = read(fd, buf + n, sizeof(buf) - n);
        if (got <= 0)
            return; /* not whole: no answer */
        n += (size_t)got;
    }
    k->received += n;
    reply(fd, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
}

static void uploads(void **state)
{
    struct kit *k = *state;
    struct bkc_call *c;
    const struct bkc_request r = {.method = "PUT", .url = "http://d/u", .upload = true};
    char buf[50000];
    char *body;
    memset(buf, 'u', sizeof(buf));
    begin(k, serve_taker, 5000);
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(bkc_call_send(c, buf, sizeof(buf)), BAKE_OK);
    assert_int_equal(bkc_call_answer(c), BAKE_OK);
    assert_int_equal(bkc_call_status(c), 201);
    assert_int_equal(bkc_call_collect(c, 100, &body, NULL), BAKE_OK);
    assert_string_equal(body, "ok");
    free(body);
    bkc_call_close(c);
    assert_true(k->received > 100 * sizeof(buf));
    assert_true(k->received < 101 * sizeof(buf));
}

static void serve_note_end(struct kit *k, int fd)
{
    char buf[65536];
    size_t n;
    bool whole = false;
    if (!read_head(fd, buf, sizeof(buf), &n))
        return;
    for (ssize_t got = (ssize_t)n; got > 0; got = read(fd, buf, sizeof(buf) - 1)) {
        k->received += (size_t)got;
        whole = memmem(buf, (size_t)got, "\r\n0\r\n\r\n", 7) != NULL;
    }
    while (write(k->hold[1], whole ? "w" : "c", 1) < 0 && errno == EINTR)
        ;
}

static void an_aborted_upload_never_looks_whole(void **state)
{
    struct kit *k = *state;
    struct bkc_call *c;
    const struct bkc_request r = {.method = "PUT", .url = "http://d/u", .upload = true};
    char how = 0;
    begin(k, serve_note_end, 5000);
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    assert_int_equal(bkc_call_send(c, "some data", 9), BAKE_OK);
    bkc_call_close(c);
    assert_int_equal(read(k->hold[0], &how, 1), 1);
    assert_int_equal(how, 'c');
}

static void serve_early(struct kit *k, int fd)
{
    char buf[4096];
    size_t n;
    (void)k;
    if (!read_head(fd, buf, sizeof(buf), &n))
        return;
    reply(fd, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 7\r\n\r\nno such");
    shutdown(fd, SHUT_WR);
    usleep(50000);
}

static void an_early_answer_is_heard(void **state)
{
    struct kit *k = *state;
    const struct bkc_request r = {.method = "PUT", .url = "http://d/u", .upload = true};
    static char buf[100000];
    begin(k, serve_early, 5000);
    for (int i = 0; i < 30; i++) {
        struct bkc_call *c;
        char *body;
        int rc = BAKE_OK;
        assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
        for (int j = 0; j < 1000 && rc == BAKE_OK; j++)
            rc = bkc_call_send(c, buf, sizeof(buf));
        assert_int_equal(rc, BAKE_END);
        assert_int_equal(bkc_call_answer(c), BAKE_OK);
        assert_int_equal(bkc_call_status(c), 404);
        assert_int_equal(bkc_call_collect(c, 100, &body, NULL), BAKE_OK);
        assert_string_equal(body, "no such");
        free(body);
        bkc_call_close(c);
    }
}

/* ---- silence, cancelling, no server ---------------------------------------------------------- */

static void serve_silent(struct kit *k, int fd)
{
    char buf[4096], byte;
    size_t n;
    if (read_head(fd, buf, sizeof(buf), &n))
        while (read(k->hold[0], &byte, 1) < 0 && errno == EINTR)
            ;
}

static int outcome(struct kit *k, uint64_t silence_ms, bool to_the_end, const char **ret_why)
{
    struct bkc_call *c;
    static char why[200];
    const struct bkc_request r = {
        .method = "GET", .url = "http://d/", .silence_ms = silence_ms, .to_the_end = to_the_end};
    assert_int_equal(bkc_call_open(k->http, &k->host.ctx, &r, &c), BAKE_OK);
    int rc = bkc_call_answer(c);
    snprintf(why, sizeof(why), "%s", bkc_call_why(c));
    bkc_call_close(c);
    *ret_why = why;
    return rc;
}

static void silence_is_a_timeout(void **state)
{
    struct kit *k = *state;
    const char *why;
    begin(k, serve_silent, 300);
    assert_int_equal(outcome(k, 0, false, &why), BAKE_E_TIMEOUT);
    assert_string_equal(why, "nothing was heard for 1 s");
}

static void *cancel_soon(void *arg)
{
    usleep(200000);
    fakehost_cancel(arg);
    return NULL;
}

static void cancelling_wakes(void **state)
{
    struct kit *k = *state;
    pthread_t t;
    const char *why;
    begin(k, serve_silent, 30000);
    uint64_t start = bkc_http_now();
    assert_int_equal(pthread_create(&t, NULL, cancel_soon, &k->host), 0);
    assert_int_equal(outcome(k, 0, false, &why), BAKE_E_CANCELLED);
    assert_true(bkc_http_now() - start < 5000);
    pthread_join(t, NULL);
    assert_int_equal(write(k->hold[1], "x", 1), 1); /* the server takes the next connection */
    assert_int_equal(outcome(k, 300, true, &why), BAKE_E_TIMEOUT); /* cancelling does not count */
}

static void no_server(void **state)
{
    struct kit *k = *state;
    const char *why;
    struct bkc_http_opts o = {.unix_socket = "/nonexistent/socket"};
    assert_int_equal(bkc_http_open(&o, &k->http), BAKE_OK);
    assert_int_equal(outcome(k, 0, false, &why), BAKE_E_UNAVAILABLE);
    assert_non_null(strcasestr(why, "no such file"));
}

static void serve_hangup(struct kit *k, int fd)
{
    char buf[4096];
    size_t n;
    (void)k;
    (void)read_head(fd, buf, sizeof(buf), &n);
}

static void a_closed_connection_is_said(void **state)
{
    struct kit *k = *state;
    const char *why;
    begin(k, serve_hangup, 5000);
    assert_int_equal(outcome(k, 0, false, &why), BAKE_E_UNAVAILABLE);
    assert_true(why[0] != '\0');
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void serve_reverse(struct kit *k, int fd)
{
    char buf[65536];
    size_t n = 0;
    (void)k;
    for (ssize_t got; n < sizeof(buf) && (got = read(fd, buf + n, sizeof(buf) - n)) > 0;)
        n += (size_t)got; /* to the end of input */
    for (size_t i = 0; i < n / 2; i++) {
        char c = buf[i];
        buf[i] = buf[n - 1 - i];
        buf[n - 1 - i] = c;
    }
    buf[n < sizeof(buf) ? n : sizeof(buf) - 1] = '\0';
    reply(fd, buf);
}

static void a_line_has_two_ways(void **state)
{
    struct kit *k = *state;
    struct bkc_line *l = NULL;
    char buf[100] = "";
    size_t n = 0, got = 0;
    int rc;
    begin(k, serve_reverse, 5000);
    assert_int_equal(bkc_line_open(k->http, &k->host.ctx, "http://d/", &l), BAKE_OK);
    assert_int_equal(bkc_line_recv(l, buf, sizeof(buf), &got), BAKE_OK);
    assert_int_equal(got, 0); /* nothing yet */
    assert_int_equal(bkc_line_wait(l, false, 100), BAKE_E_TIMEOUT);
    assert_int_equal(bkc_line_send(l, "stressed", 8, &n), BAKE_OK);
    assert_int_equal(n, 8);
    assert_int_equal(bkc_line_end_sending(l), BAKE_OK);
    for (n = 0; (rc = bkc_line_recv(l, buf + n, sizeof(buf) - n, &got)) == BAKE_OK; n += got)
        if (got == 0)
            assert_int_equal(bkc_line_wait(l, false, 5000), BAKE_OK);
    assert_int_equal(rc, BAKE_END);
    assert_string_equal(buf, "desserts");
    bkc_line_close(l);
}

static void a_line_is_cancelled(void **state)
{
    struct kit *k = *state;
    struct bkc_line *l = NULL;
    begin(k, serve_reverse, 5000);
    assert_int_equal(bkc_line_open(k->http, &k->host.ctx, "http://d/", &l), BAKE_OK);
    fakehost_cancel(&k->host);
    assert_int_equal(bkc_line_wait(l, false, 5000), BAKE_E_CANCELLED);
    assert_string_equal(bkc_line_why(l), "cancelled");
    bkc_line_close(l);
    l = NULL;
    assert_int_equal(bkc_line_open(k->http, &k->host.ctx, "http://d/", &l) == BAKE_OK ||
                         strcmp(bkc_line_why(l), "cancelled") == 0,
                     1);
    bkc_line_close(l);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(requests_and_reuse),
        CASE(headers_of_answers),
        CASE(a_slow_reader_is_not_run_over),
        CASE(a_cut_answer_is_no_end),
        CASE(uploads),
        CASE(an_aborted_upload_never_looks_whole),
        CASE(an_early_answer_is_heard),
        CASE(silence_is_a_timeout),
        CASE(cancelling_wakes),
        CASE(no_server),
        CASE(a_closed_connection_is_said),
        CASE(a_line_has_two_ways),
        CASE(a_line_is_cancelled),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
