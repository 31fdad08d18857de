/* A program in a container: starting it, reading and feeding it, and how it ended. */
#include "exec_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 30000 /* for the shell's end, when it has been let go */

/* ---- what comes in --------------------------------------------------------------------------- */

static void tail_add(struct dk_tail *t, const char *data, size_t n)
{
    if (n > DK_TAIL_MAX) {
        data += n - DK_TAIL_MAX;
        n = DK_TAIL_MAX;
    }
    if (t->n + n > DK_TAIL_MAX) {
        size_t drop = t->n + n - DK_TAIL_MAX;
        memmove(t->text, t->text + drop, t->n - drop);
        t->n -= drop;
    }
    memcpy(t->text + t->n, data, n);
    t->n += n;
    t->text[t->n] = '\0';
}

int dk_exec_said(struct dk_exec *e, int rc, const char *why)
{
    return bake_fail(e->ctx, rc, "'%s' in container '%s': %s", e->name, e->container, why);
}

static int line_broken(struct dk_exec *e, int rc)
{
    return e->failed = dk_exec_said(e, rc, bkc_line_why(e->line));
}

int dk_exec_feed(struct dk_exec *e, const char *data, size_t n)
{
    struct dk_piece piece;
    int rc;
    while ((rc = dk_frames_next(&e->frames, &data, &n, &piece)) == BAKE_OK) {
        if (piece.stream == 1) {
            dk_marks_put(&e->marks, piece.data, piece.n);
            continue;
        }
        tail_add(&e->errors, piece.data, piece.n);
        if (e->on_errors)
            e->on_errors(e->arg, piece.data, piece.n);
    }
    if (rc == BAKE_E_CORRUPT)
        return e->failed = dk_exec_said(e, rc, "docker's stream of its output makes no sense");
    return BAKE_OK;
}

/* What is there now. OK: some came; END: nothing at the moment, or no room, or no more ever. */
static int pump(struct dk_exec *e)
{
    size_t room = dk_marks_room(&e->marks), got = 0;
    if (e->eof || room == 0)
        return BAKE_END;
    int rc = bkc_line_recv(e->line, e->in, room < sizeof(e->in) ? room : sizeof(e->in), &got);
    if (rc == BAKE_E_UNAVAILABLE)
        rc = BAKE_END; /* reset: what is missing is seen by the mark */
    if (rc == BAKE_END)
        e->eof = true;
    if (rc != BAKE_OK)
        return rc == BAKE_END ? BAKE_END : line_broken(e, rc);
    if (got == 0)
        return BAKE_END;
    e->quiet = 0;
    return dk_exec_feed(e, e->in, got);
}

/* A program may be silent for hours; so it is the daemon that is asked, after each time limit. */
static int still_there(struct dk_exec *e)
{
    bool running = false;
    int code = 0;
    int rc = dk_exec_state(e, &running, &code);
    if (rc != BAKE_OK)
        return e->failed = rc;
    if (!running && ++e->quiet > 1)
        e->eof = true; /* and nothing came since it was last asked */
    return BAKE_OK;
}

static int wait_more(struct dk_exec *e, bool to_send)
{
    uint64_t ms = e->api->timeout_ms ? e->api->timeout_ms : 60000;
    int rc = bkc_line_wait(e->line, to_send, ms);
    if (rc == BAKE_E_TIMEOUT)
        return still_there(e);
    return rc == BAKE_OK ? BAKE_OK : line_broken(e, rc);
}

/* The mark has been read: the shell in the container may go. Standard error comes another way, and
 * is whole only when the stream ends. */
static int let_go(struct dk_exec *e)
{
    size_t sent;
    if (e->let_go)
        return BAKE_OK;
    e->let_go = true;
    if (!e->input) /* a line, as the end without one kills */
        (void)bkc_line_send(e->line, "\n", 1, &sent);
    if (!e->input_closed)
        (void)bkc_line_end_sending(e->line);
    e->input_closed = true;
    for (uint64_t end = bkc_http_now() + LINGER_MS, now; (now = bkc_http_now()) < end;) {
        size_t got = 0;
        int rc = bkc_line_recv(e->line, e->in, sizeof(e->in), &got);
        if (rc == BAKE_OK && got > 0)
            rc = dk_exec_feed(e, e->in, got);
        else if (rc == BAKE_OK)
            rc = bkc_line_wait(e->line, false, end - now);
        else
            return BAKE_OK;
        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_CORRUPT)
            return line_broken(e, rc);
    }
    return BAKE_OK;
}

int dk_exec_read(struct dk_exec *e, struct bake_out *out)
{
    for (;;) {
        const char *data = NULL;
        size_t n = dk_marks_peek(&e->marks, &data), room = out->size - out->pos;
        if (n > 0) {
            n = n < room ? n : room;
            memcpy((char *)out->data + out->pos, data, n);
            out->pos += n;
            dk_marks_take(&e->marks, n);
            return BAKE_OK;
        }
        if (e->failed)
            return e->failed;
        if (e->marks.ended) {
            int rc = let_go(e);
            return rc == BAKE_OK ? BAKE_END : rc;
        }
        if (e->eof)
            return BAKE_END;
        int rc = pump(e);
        if (rc == BAKE_END && !e->eof)
            rc = wait_more(e, false);
        if (rc != BAKE_OK && rc != BAKE_END)
            return rc;
    }
}

/* ---- feeding --------------------------------------------------------------------------------- */

/* Output of a program that is fed is only kept, its end. */
static void keep_output(struct dk_exec *e)
{
    const char *data;
    for (size_t n; (n = dk_marks_peek(&e->marks, &data)) > 0;) {
        tail_add(&e->output, data, n);
        dk_marks_take(&e->marks, n);
    }
}

int dk_exec_write(struct dk_exec *e, const void *data, size_t n)
{
    const char *at = data;
    if (!e->input || e->input_closed)
        return dk_exec_said(e, BAKE_E_INTERNAL, "it takes no input");
    while (n > 0 && !e->failed && !e->marks.ended && !e->eof) {
        size_t sent = 0;
        int rc = bkc_line_send(e->line, at, n, &sent);
        if (rc == BAKE_END)
            return BAKE_OK; /* it has ended, or is gone: the end says which */
        if (rc != BAKE_OK)
            return line_broken(e, rc);
        at += sent;
        n -= sent;
        while ((rc = pump(e)) == BAKE_OK)
            keep_output(e);
        if (rc == BAKE_END && sent == 0 && n > 0 && !e->eof)
            rc = wait_more(e, true);
        if (rc != BAKE_OK && rc != BAKE_END)
            return rc;
    }
    return e->failed ? e->failed : BAKE_OK;
}

int dk_exec_close_input(struct dk_exec *e)
{
    if (e->input && !e->input_closed) {
        e->input_closed = true;
        (void)bkc_line_end_sending(e->line); /* when it is gone already, the mark is missing */
    }
    return e->failed ? e->failed : BAKE_OK;
}

bool dk_exec_ended(const struct dk_exec *e) { return e->marks.ended || e->eof || e->failed; }

/* ---- the end --------------------------------------------------------------------------------- */

/* The stream has ended without the mark. */
static int no_mark(struct dk_exec *e, int *ret_code)
{
    static const char killed[] = "it was killed, or its container ended";
    bool running = false;
    int code = 0;
    const char *rest;
    int rc = dk_exec_state(e, &running, &code);
    if (rc != BAKE_OK)
        return e->failed = rc;
    if (running)
        return e->failed = dk_exec_said(e, BAKE_E_IO, "the connection to docker was lost");
    if (!e->marks.began) {
        size_t n = dk_marks_rest(&e->marks, &rest);
        tail_add(&e->errors, rest, n);
        *ret_code = code ? code : 126;
        return BAKE_OK;
    }
    if (code == 0)
        return e->failed = dk_exec_said(
                   e, BAKE_E_IO, "docker lost the end of what it wrote, though it ended well");
    if (e->errors.n == 0)
        tail_add(&e->errors, killed, sizeof(killed) - 1);
    *ret_code = code;
    return BAKE_OK;
}

int dk_exec_finish(struct dk_exec *e, int *ret_code)
{
    char room[4096];
    int rc = dk_exec_close_input(e);
    while (rc == BAKE_OK) {
        struct bake_out out = {.data = room, .size = sizeof(room)};
        rc = dk_exec_read(e, &out);
        if (out.pos > 0)
            tail_add(&e->output, room, out.pos);
    }
    if (rc != BAKE_END)
        return rc;
    e->finished = true;
    if (!e->marks.ended)
        return no_mark(e, ret_code);
    *ret_code = e->marks.code;
    return BAKE_OK;
}

const char *dk_exec_errors(const struct dk_exec *e) { return e->errors.text; }
const char *dk_exec_output(const struct dk_exec *e) { return e->output.text; }

void dk_exec_close(struct dk_exec *e)
{
    if (!e)
        return;
    /* without input the end of the connection ends it; with input it would take what it was given
     * so far for all, and act on half a statement */
    if (e->input && !e->marks.ended && !e->finished)
        dk_exec_kill(e);
    bkc_line_close(e->line);
    dk_marks_free(&e->marks);
    free(e->id);
    free(e->container_id);
    free(e->user);
    free(e);
}

int dk_exec_run(struct dk_api *api, struct bake_ctx *ctx, const char *container,
                const struct dk_exec_opts *opts, size_t limit, char **ret_out, int *ret_code)
{
    struct dk_exec *e = NULL;
    char *text = malloc(limit + 1);
    struct bake_out out = {.data = text, .size = limit};
    int rc = text ? dk_exec_start(api, ctx, container, opts, &e) : dk_nomem(ctx);
    while (rc == BAKE_OK) {
        if (out.pos < limit) {
            rc = dk_exec_read(e, &out);
            continue;
        }
        char more;
        struct bake_out beyond = {.data = &more, .size = 1};
        rc = dk_exec_read(e, &beyond);
        if (beyond.pos > 0)
            rc = dk_exec_said(e, BAKE_E_NOSPACE, "it writes more than it should");
    }
    if (rc == BAKE_END)
        rc = dk_exec_finish(e, ret_code);
    /* said once more where a caller would otherwise have to keep the exec for it */
    if (rc == BAKE_OK && *ret_code != 0 && out.pos == 0 && limit > 0) {
        const char *errors = dk_exec_errors(e);
        size_t n = strlen(errors);
        size_t from = n > limit ? n - limit : 0;
        memcpy(text, errors + from, n - from);
        out.pos = n - from;
    }
    dk_exec_close(e);
    if (rc != BAKE_OK) {
        free(text);
        return rc;
    }
    text[out.pos] = '\0';
    *ret_out = text;
    return BAKE_OK;
}
