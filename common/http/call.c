/* One request and its answer, driven by whoever sends or reads: libcurl's transfer is paused while
 * there is nothing to send or no room to read into. */
#include "http/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int say(struct bkc_call *c, int rc, const char *text)
{
    (void)snprintf(c->why, sizeof(c->why), "%s", text);
    return rc;
}

int bkc_call_open(struct bkc_http *h, struct bake_ctx *ctx, const struct bkc_request *req,
                  struct bkc_call **ret)
{
    struct bkc_call *c = calloc(1, sizeof(*c));
    if (!c)
        return BAKE_E_NOMEM;
    c->http = h;
    c->ctx = ctx;
    c->req = req;
    c->silence_ms = req->silence_ms ? req->silence_ms : h->silence_ms;
    c->slot = bkc_slot_take(h);
    if (!c->slot || !bkc_call_set_up(c)) {
        bkc_call_close(c);
        return BAKE_E_NOMEM;
    }
    *ret = c;
    return BAKE_OK;
}

void bkc_call_close(struct bkc_call *c)
{
    if (!c)
        return;
    if (c->slot) {
        if (c->added)
            (void)curl_multi_remove_handle(c->slot->multi, c->slot->easy);
        bkc_slot_give(c->http, c->slot, c->done && c->result == CURLE_OK);
    }
    curl_slist_free_all(c->headers);
    free(c->head);
    free(c->spill);
    free(c);
}

/* ---- driving --------------------------------------------------------------------------------- */

static int ended(struct bkc_call *c)
{
    long os_error = 0;
    if (c->nomem)
        return say(c, BAKE_E_NOMEM, "out of memory");
    if (c->result == CURLE_OK)
        return BAKE_OK;
    (void)curl_easy_getinfo(c->slot->easy, CURLINFO_OS_ERRNO, &os_error);
    bkc_http_words(c->result, os_error, c->detail, c->why, sizeof(c->why));
    return bkc_http_rc(c->result, os_error);
}

static int perform(struct bkc_call *c)
{
    int n = 0;
    CURLMcode code = curl_multi_perform(c->slot->multi, &n);
    if (code != CURLM_OK)
        return say(c, code == CURLM_OUT_OF_MEMORY ? BAKE_E_NOMEM : BAKE_E_INTERNAL,
                   curl_multi_strerror(code));
    for (const CURLMsg *m; (m = curl_multi_info_read(c->slot->multi, &n));)
        if (m->msg == CURLMSG_DONE) {
            c->done = true;
            c->result = m->data.result;
        }
    return BAKE_OK;
}

static int wait_some(struct bkc_call *c)
{
    struct curl_waitfd cancel = {.fd = -1, .events = CURL_WAIT_POLLIN};
    uint64_t ms = 1000, silent = bkc_http_now() - c->moved;

    if (!c->req->to_the_end) {
        if (c->ctx->host->cancelled(c->ctx))
            return say(c, BAKE_E_CANCELLED, "cancelled");
        cancel.fd = c->ctx->host->cancel_fd(c->ctx);
    }
    if (c->silence_ms) {
        if (silent >= c->silence_ms) {
            (void)snprintf(c->why, sizeof(c->why), "nothing was heard for %llu s",
                           (unsigned long long)(c->silence_ms + 999) / 1000);
            return BAKE_E_TIMEOUT;
        }
        if (c->silence_ms - silent < ms)
            ms = c->silence_ms - silent;
    }
    CURLMcode code =
        curl_multi_poll(c->slot->multi, &cancel, cancel.fd >= 0 ? 1 : 0, (int)ms, NULL);
    if (code != CURLM_OK)
        return say(c, BAKE_E_INTERNAL, curl_multi_strerror(code));
    return BAKE_OK;
}

/* Until ready() or the end. */
static int drive(struct bkc_call *c, bool (*ready)(const struct bkc_call *c))
{
    c->moved = bkc_http_now();
    for (;;) {
        int rc = c->done ? BAKE_OK : perform(c);
        if (rc != BAKE_OK)
            return rc;
        if (ready(c))
            return BAKE_OK;
        if (c->done)
            return ended(c);
        if ((rc = wait_some(c)) != BAKE_OK)
            return rc;
    }
}

/* Goes on in the direction that there is something to do for. */
static int resume(struct bkc_call *c, bool sending)
{
    bool *mine = sending ? &c->send_paused : &c->read_paused;
    if (!*mine || c->done)
        return BAKE_OK;
    *mine = false;
    int still = (c->send_paused ? CURLPAUSE_SEND : 0) | (c->read_paused ? CURLPAUSE_RECV : 0);
    CURLcode code = curl_easy_pause(c->slot->easy, still); /* may call on_body() */
    if (code == CURLE_OK)
        return BAKE_OK;
    if (c->nomem)
        return say(c, BAKE_E_NOMEM, "out of memory");
    bkc_http_words(code, 0, c->detail, c->why, sizeof(c->why));
    return bkc_http_rc(code, 0);
}

static bool has_sent(const struct bkc_call *c) { return c->src_n == 0 || c->head_done; }
static bool has_head(const struct bkc_call *c) { return c->head_done; }
static bool has_bytes(const struct bkc_call *c) { return c->out->pos > 0; }

int bkc_call_send(struct bkc_call *c, const void *data, size_t n)
{
    if (c->head_done)
        return BAKE_END;
    c->src = data;
    c->src_n = n;
    int rc = resume(c, true);
    if (rc == BAKE_OK)
        rc = drive(c, has_sent);
    bool whole = c->src_n == 0;
    c->src = NULL;
    c->src_n = 0;
    if (rc != BAKE_OK)
        return rc;
    return whole && !c->head_done ? BAKE_OK : BAKE_END;
}

int bkc_call_answer(struct bkc_call *c)
{
    c->src_end = true;
    int rc = resume(c, true);
    if (rc == BAKE_OK)
        rc = drive(c, has_head);
    if (rc == BAKE_OK && !c->head_done)
        return say(c, BAKE_E_IO, "the answer has no head");
    return rc;
}

long bkc_call_status(const struct bkc_call *c) { return c->status; }
const char *bkc_call_why(const struct bkc_call *c) { return c->why; }

const char *bkc_call_header(const struct bkc_call *c, const char *name)
{
    size_t len = strlen(name);
    const char *found = NULL;
    for (size_t at = 0; at < c->head_n; at += strlen(c->head + at) + 1) {
        const char *line = c->head + at;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':')
            found = line + len + 1 + strspn(line + len + 1, " \t");
    }
    return found;
}

int bkc_call_read(struct bkc_call *c, struct bake_out *out)
{
    struct bake_out part = {.data = (char *)out->data + out->pos, .size = out->size - out->pos};
    if (c->spill_n > 0) {
        size_t n = c->spill_n < part.size ? c->spill_n : part.size;
        memcpy(part.data, c->spill + c->spill_at, n);
        c->spill_at += n;
        c->spill_n -= n;
        out->pos += n;
        return BAKE_OK;
    }
    c->out = &part;
    int rc = resume(c, false);
    if (rc == BAKE_OK)
        rc = drive(c, has_bytes);
    c->out = NULL;
    out->pos += part.pos;
    if (rc == BAKE_OK && part.pos == 0)
        return BAKE_END;
    return part.pos > 0 ? BAKE_OK : rc; /* an error is met again by the next read */
}

int bkc_call_collect(struct bkc_call *c, size_t limit, char **ret, size_t *ret_size)
{
    char *all = NULL;
    size_t n = 0, cap = 0;
    for (;;) {
        if (cap - n < 2) {
            size_t want = cap ? cap * 2 : 4096;
            char *more = realloc(all, want);
            if (!more) {
                free(all);
                return say(c, BAKE_E_NOMEM, "out of memory");
            }
            all = more;
            cap = want;
        }
        struct bake_out out = {.data = all + n, .size = cap - n - 1};
        int rc = bkc_call_read(c, &out);
        n += out.pos;
        if (rc == BAKE_OK && n > limit)
            rc = say(c, BAKE_E_NOSPACE, "the answer is too long");
        if (rc == BAKE_END)
            break;
        if (rc != BAKE_OK) {
            free(all);
            return rc;
        }
    }
    all[n] = '\0';
    *ret = all;
    if (ret_size)
        *ret_size = n;
    return BAKE_OK;
}
