/* Starting a program in a container: the shell around it, and the connection taken over from HTTP.
 */
#include "exec_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define HEAD_MAX (16U * 1024)
#define KILL_MS  5000

/* Both are given the nonce as $1. The inner shell writes the begin mark and becomes the program, so
 * that the mark carries the program's own id. The outer one waits for it and writes the end mark;
 * as long as it lives the daemon drops nothing of the output, so it stays until it is let go. */
#define INNER "'printf \"@@BEGIN %s %d@@\\n\" \"$1\" $$; shift; exec \"$@\"' sh"

/* Standard input is the line to us: a line of text lets go, its end without one kills. */
static const char SHELL[] =
    "exec 3<&0 </dev/null; n=$1; shift; sh -c " INNER " \"$n\" \"$@\" 3<&- & c=$!; "
    "( read -r _ <&3 || kill $c 2>/dev/null ) & w=$!; exec 3<&-; wait $c; rc=$?; "
    "printf '\\n@@END %s rc=%03d@@\\n' \"$n\" $rc; wait $w; exit $rc";

/* Standard input is the program's; the rest of what it did not read is read here. */
static const char SHELL_FED[] =
    "exec 3<&0 </dev/null; n=$1; shift; sh -c " INNER " \"$n\" \"$@\" <&3 3<&- & c=$!; "
    "wait $c; rc=$?; printf '\\n@@END %s rc=%03d@@\\n' \"$n\" $rc; cat <&3 >/dev/null; exit $rc";

static bool make_nonce(char out[DK_NONCE + 1])
{
    unsigned char raw[DK_NONCE / 2];
    static const char hex[] = "0123456789abcdef";
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return false;
    for (size_t i = 0; i < sizeof(raw); i++) {
        out[2 * i] = hex[raw[i] >> 4];
        out[2 * i + 1] = hex[raw[i] & 15];
    }
    out[DK_NONCE] = '\0';
    return true;
}

/* Takes the reference; false: out of memory (or text that is not UTF-8). */
static bool add_text(json_t *list, const char *text)
{
    return json_array_append_new(list, json_string(text)) == 0;
}

static json_t *request_of(const struct dk_exec_opts *opts, const char *nonce)
{
    json_t *cmd = json_array(), *env = json_array(), *j = json_object();
    bool good = cmd && env && j && add_text(cmd, "sh") && add_text(cmd, "-c") &&
                add_text(cmd, opts->input ? SHELL_FED : SHELL) && add_text(cmd, "sh") &&
                add_text(cmd, nonce);
    for (const char *const *a = opts->argv; good && *a; a++)
        good = add_text(cmd, *a);
    for (const char *const *a = opts->env; good && a && *a; a++)
        good = add_text(env, *a);
    good = good && json_object_set(j, "Cmd", cmd) == 0 && json_object_set(j, "Env", env) == 0 &&
           json_object_set_new(j, "AttachStdin", json_true()) == 0 &&
           json_object_set_new(j, "AttachStdout", json_true()) == 0 &&
           json_object_set_new(j, "AttachStderr", json_true()) == 0 &&
           (!opts->user || json_object_set_new(j, "User", json_string(opts->user)) == 0);
    json_decref(cmd);
    json_decref(env);
    if (good)
        return j;
    json_decref(j);
    return NULL;
}

/* POST /containers/ID/exec. *ret_id is the caller's. */
static int create(struct dk_exec *e, const json_t *request, bool to_the_end, char **ret_id)
{
    char what[200], *path = NULL, *quoted = dk_quote(e->container_id);
    json_t *answer = NULL;
    if (!quoted || asprintf(&path, "/containers/%s/exec", quoted) < 0) {
        free(quoted);
        return dk_nomem(e->ctx);
    }
    free(quoted);
    (void)snprintf(what, sizeof(what), "run '%s' in container '%s'", e->name, e->container);
    struct dk_ask a = {.method = "POST",
                       .path = path,
                       .what = what,
                       .body = request,
                       .to_the_end = to_the_end,
                       .silence_ms = to_the_end ? KILL_MS : 0};
    int rc = dk_ask(e->api, e->ctx, &a, &answer, NULL);
    free(path);
    const char *id = json_string_value(json_object_get(answer, "Id"));
    if (rc == BAKE_OK)
        *ret_id = id ? strdup(id) : NULL;
    if (rc == BAKE_OK && !*ret_id)
        rc = id ? dk_nomem(e->ctx)
                : bake_fail(e->ctx, BAKE_E_IO, "cannot %s: docker gives no id", what);
    json_decref(answer);
    if (rc == BAKE_E_EXISTS)
        rc = bake_fail(e->ctx, BAKE_E_UNAVAILABLE, "cannot %s: the container is stopped or paused",
                       what);
    return rc;
}

/* ---- taking the connection over -------------------------------------------------------------- */

/* Sends a short text whole. */
static int send_all(struct dk_exec *e, const char *text)
{
    size_t n = strlen(text), sent = 0;
    while (n > 0) {
        int rc = bkc_line_send(e->line, text, n, &sent);
        if (rc == BAKE_END)
            rc = BAKE_E_UNAVAILABLE;
        if (rc == BAKE_OK && sent == 0)
            rc = bkc_line_wait(e->line, true, e->api->timeout_ms ? e->api->timeout_ms : 60000);
        if (rc != BAKE_OK)
            return dk_exec_said(e, rc, bkc_line_why(e->line));
        text += sent;
        n -= sent;
    }
    return BAKE_OK;
}

/* The base URL's host, and its path if it has one. */
static int send_start(struct dk_exec *e)
{
    static const char body[] = "{\"Detach\":false,\"Tty\":false}";
    const char *host = strstr(e->api->base, "://") + 3;
    size_t n = strcspn(host, "/");
    char *text = NULL;
    if (asprintf(&text,
                 "POST %s/v%s/exec/%s/start HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: bakengine\r\n"
                 "Content-Type: application/json\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 host + n, e->api->version, e->id, (int)n, host, sizeof(body) - 1, body) < 0)
        return dk_nomem(e->ctx);
    int rc = send_all(e, text);
    free(text);
    return rc;
}

/* More of the answer into e->in; *n is what is there. END: it has ended. */
static int more_head(struct dk_exec *e, size_t *n)
{
    for (;;) {
        size_t got = 0;
        int rc = bkc_line_recv(e->line, e->in + *n, HEAD_MAX - *n, &got);
        if (got > 0) {
            *n += got;
            return BAKE_OK;
        }
        if (rc == BAKE_OK)
            rc = bkc_line_wait(e->line, false, e->api->timeout_ms ? e->api->timeout_ms : 60000);
        if (rc == BAKE_END)
            return BAKE_END;
        if (rc != BAKE_OK)
            return dk_exec_said(e, rc, bkc_line_why(e->line));
    }
}

long dk_head_status(const char *head, size_t n)
{
    if (n < 12 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ')
        return 0;
    long status = 0;
    for (int i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return 0;
        status = status * 10 + (head[i] - '0');
    }
    return status;
}

/* No stream, but an answer: what it says. */
static int not_started(struct dk_exec *e, long status, size_t head, size_t n)
{
    char text[512];
    const char *open = NULL, *close = NULL;
    /* the message is one small object; chunked or not, it is what stands between the braces */
    while (n < HEAD_MAX && !(open = memchr(e->in + head, '{', n - head)))
        if (more_head(e, &n) != BAKE_OK)
            break;
    while (open && n < HEAD_MAX && !(close = memrchr(open, '}', (size_t)(e->in + n - open))))
        if (more_head(e, &n) != BAKE_OK)
            break;
    e->in[close ? (size_t)(close + 1 - e->in) : n] = '\0';
    dk_message(open ? open : "", status, text, sizeof(text));
    int rc = dk_status_rc(status);
    if (rc == BAKE_OK || rc == BAKE_E_EXISTS)
        rc = rc == BAKE_OK ? BAKE_E_IO : BAKE_E_UNAVAILABLE;
    return dk_exec_said(e, rc, text);
}

static int take_over(struct dk_exec *e)
{
    size_t n = 0;
    const char *end = NULL;
    int rc = send_start(e);
    while (rc == BAKE_OK && !(end = memmem(e->in, n, "\r\n\r\n", 4))) {
        if (n == HEAD_MAX)
            return dk_exec_said(e, BAKE_E_IO, "docker's answer has no end");
        rc = more_head(e, &n);
    }
    if (rc == BAKE_END)
        return dk_exec_said(e, BAKE_E_UNAVAILABLE, "docker closed the connection");
    if (rc != BAKE_OK)
        return rc;
    size_t head = (size_t)(end - e->in) + 4;
    long status = dk_head_status(e->in, n);
    if (status != 101 && status != 200)
        return not_started(e, status, head, n);
    return dk_exec_feed(e, e->in + head, n - head);
}

static int start(struct dk_exec *e, const struct dk_exec_opts *opts)
{
    char nonce[DK_NONCE + 1];
    if (!make_nonce(nonce))
        return dk_exec_said(e, BAKE_E_INTERNAL, "no random numbers");
    json_t *request = request_of(opts, nonce);
    if (!request || !dk_marks_init(&e->marks, nonce)) {
        json_decref(request);
        return dk_nomem(e->ctx);
    }
    int rc = create(e, request, false, &e->id);
    json_decref(request);
    if (rc != BAKE_OK)
        return rc;
    rc = bkc_line_open(e->api->http, e->ctx, e->api->base, &e->line);
    if (rc != BAKE_OK)
        return e->line ? dk_exec_said(e, rc, bkc_line_why(e->line)) : dk_nomem(e->ctx);
    return take_over(e);
}

int dk_exec_start(struct dk_api *api, struct bake_ctx *ctx, const char *container,
                  const struct dk_exec_opts *opts, struct dk_exec **ret)
{
    struct dk_exec *e = calloc(1, sizeof(*e));
    if (!e)
        return dk_nomem(ctx);
    e->api = api;
    e->ctx = ctx;
    e->input = opts->input;
    e->on_errors = opts->on_errors;
    e->arg = opts->arg;
    e->finished = true; /* there is nothing to kill yet */
    e->container_id = strdup(container);
    e->user = opts->user ? strdup(opts->user) : NULL;
    (void)snprintf(e->name, sizeof(e->name), "%s", opts->name ? opts->name : opts->argv[0]);
    (void)snprintf(e->container, sizeof(e->container), "%s", dk_called(api, container).text);
    int rc = e->container_id && (e->user || !opts->user) ? start(e, opts) : dk_nomem(ctx);
    if (rc != BAKE_OK) {
        dk_exec_close(e);
        return rc;
    }
    e->finished = false;
    *ret = e;
    return BAKE_OK;
}

/* ---- asking and ending ----------------------------------------------------------------------- */

int dk_exec_state(struct dk_exec *e, bool *ret_running, int *ret_code)
{
    char path[160], what[200];
    json_t *j = NULL;
    (void)snprintf(path, sizeof(path), "/exec/%s/json", e->id);
    (void)snprintf(what, sizeof(what), "ask how '%s' in container '%s' is", e->name, e->container);
    struct dk_ask a = {.method = "GET", .path = path, .what = what};
    int rc = dk_ask(e->api, e->ctx, &a, &j, NULL);
    if (rc == BAKE_E_NOTFOUND)
        return dk_exec_said(e, rc, "the container was removed or has ended meanwhile");
    *ret_running = json_is_true(json_object_get(j, "Running"));
    *ret_code = (int)json_integer_value(json_object_get(j, "ExitCode"));
    json_decref(j);
    return rc;
}

/* Whether or not ctx is cancelled: the begin mark, which says whom to kill, is on its way. */
static void await_mark(struct dk_exec *e)
{
    const char *data;
    uint64_t end = bkc_http_now() + KILL_MS;
    const struct timespec nap = {.tv_nsec = 20 * 1000 * 1000};
    for (;;) {
        (void)dk_marks_peek(&e->marks, &data);
        size_t room = dk_marks_room(&e->marks), got = 0;
        if (e->marks.began || room < sizeof(e->in) || bkc_http_now() >= end ||
            bkc_line_recv(e->line, e->in, sizeof(e->in), &got) != BAKE_OK ||
            dk_exec_feed(e, e->in, got) != BAKE_OK)
            return;
        if (got == 0)
            (void)nanosleep(&nap, NULL);
    }
}

/* Sends the signal from within, by another exec that nobody waits for. */
static void send_kill(struct dk_exec *e, const char *exec_id)
{
    char path[160];
    json_t *detach = json_pack("{s:b}", "Detach", 1);
    (void)snprintf(path, sizeof(path), "/exec/%s/start", exec_id);
    struct dk_ask a = {
        .method = "POST", .path = path, .body = detach, .to_the_end = true, .silence_ms = KILL_MS};
    if (detach)
        (void)dk_ask(e->api, e->ctx, &a, NULL, NULL);
    json_decref(detach);
}

void dk_exec_kill(struct dk_exec *e)
{
    char pid[24], *id = NULL;
    await_mark(e);
    if (!e->marks.began || e->marks.ended)
        return;
    (void)snprintf(pid, sizeof(pid), "%ld", e->marks.pid);
    json_t *request = json_pack("{s:[s, s, s, s, s], s:s*}", "Cmd", "sh", "-c", "kill -9 \"$1\"",
                                "sh", pid, "User", e->user);
    if (request && create(e, request, true, &id) == BAKE_OK)
        send_kill(e, id);
    json_decref(request);
    free(id);
}
