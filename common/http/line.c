/* A bare connection: libcurl connects (TLS too), then only carries bytes. */
#include "http/line.h"

#include "http/impl.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct bkc_line {
    struct bkc_http *http;
    struct bake_ctx *ctx;
    struct bkc_slot *slot;
    curl_socket_t fd;
    char detail[CURL_ERROR_SIZE], why[CURL_ERROR_SIZE + 64];
};

static int say(struct bkc_line *l, int rc, const char *text)
{
    (void)snprintf(l->why, sizeof(l->why), "%s", text);
    return rc;
}

static int fail_code(struct bkc_line *l, CURLcode code)
{
    long os_error = 0;
    (void)curl_easy_getinfo(l->slot->easy, CURLINFO_OS_ERRNO, &os_error);
    bkc_http_words(code, os_error, l->detail, l->why, sizeof(l->why));
    return bkc_http_rc(code, os_error);
}

static int still_wanted(struct bkc_line *l, uint64_t since)
{
    uint64_t silence = l->http->silence_ms;
    if (l->ctx->host->cancelled(l->ctx))
        return say(l, BAKE_E_CANCELLED, "cancelled");
    if (silence && bkc_http_now() - since >= silence)
        return say(l, BAKE_E_TIMEOUT, "no connection in time");
    return BAKE_OK;
}

static int connect_line(struct bkc_line *l)
{
    uint64_t since = bkc_http_now();
    for (;;) {
        int n = 0, rc;
        CURLMcode code = curl_multi_perform(l->slot->multi, &n);
        const CURLMsg *m = curl_multi_info_read(l->slot->multi, &n);
        if (m && m->msg == CURLMSG_DONE)
            return m->data.result == CURLE_OK ? BAKE_OK : fail_code(l, m->data.result);
        struct curl_waitfd cancel = {.fd = l->ctx->host->cancel_fd(l->ctx),
                                     .events = CURL_WAIT_POLLIN};
        if (code == CURLM_OK)
            code = curl_multi_poll(l->slot->multi, &cancel, cancel.fd >= 0 ? 1 : 0, 200, NULL);
        if (code != CURLM_OK)
            return say(l, BAKE_E_INTERNAL, curl_multi_strerror(code));
        if ((rc = still_wanted(l, since)) != BAKE_OK)
            return rc;
    }
}

int bkc_line_open(struct bkc_http *h, struct bake_ctx *ctx, const char *url, struct bkc_line **ret)
{
    struct bkc_line *l = calloc(1, sizeof(*l));
    if (!l)
        return BAKE_E_NOMEM;
    l->http = h;
    l->ctx = ctx;
    l->fd = CURL_SOCKET_BAD;
    l->slot = bkc_slot_take(h);
    if (!l->slot) {
        free(l);
        return BAKE_E_NOMEM;
    }
    *ret = l;
    CURL *e = l->slot->easy;
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, l->detail);
    (void)curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    (void)curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    if (curl_easy_setopt(e, CURLOPT_URL, url) != CURLE_OK ||
        curl_multi_add_handle(l->slot->multi, e) != CURLM_OK)
        return say(l, BAKE_E_NOMEM, "out of memory");
    int rc = connect_line(l);
    if (rc != BAKE_OK)
        return rc;
    if (curl_easy_getinfo(e, CURLINFO_ACTIVESOCKET, &l->fd) != CURLE_OK || l->fd == CURL_SOCKET_BAD)
        return say(l, BAKE_E_IO, "the connection was closed");
    return BAKE_OK;
}

int bkc_line_send(struct bkc_line *l, const void *data, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    CURLcode code = curl_easy_send(l->slot->easy, data, n, ret_n);
    if (code == CURLE_OK || code == CURLE_AGAIN)
        return BAKE_OK;
    (void)fail_code(l, code);
    return code == CURLE_SEND_ERROR ? BAKE_END : bkc_http_rc(code, 0);
}

int bkc_line_recv(struct bkc_line *l, void *data, size_t n, size_t *ret_n)
{
    *ret_n = 0;
    CURLcode code = curl_easy_recv(l->slot->easy, data, n, ret_n);
    if (code == CURLE_AGAIN)
        return BAKE_OK;
    if (code != CURLE_OK)
        return fail_code(l, code);
    return *ret_n > 0 ? BAKE_OK : BAKE_END;
}

int bkc_line_wait(struct bkc_line *l, bool to_send, uint64_t ms)
{
    struct pollfd p[2] = {
        {.fd = l->fd, .events = (short)(POLLIN | (to_send ? POLLOUT : 0))},
        {.fd = l->ctx->host->cancel_fd(l->ctx), .events = POLLIN},
    };
    uint64_t start = bkc_http_now();
    for (;;) {
        uint64_t gone = bkc_http_now() - start;
        if (l->ctx->host->cancelled(l->ctx))
            return say(l, BAKE_E_CANCELLED, "cancelled");
        if (gone >= ms)
            return say(l, BAKE_E_TIMEOUT, "nothing was heard in time");
        uint64_t left = ms - gone < 1000 ? ms - gone : 1000;
        int n = poll(p, 2, (int)left);
        if (n < 0 && errno != EINTR)
            return say(l, BAKE_E_IO, "poll failed");
        if (n > 0 && p[0].revents)
            return BAKE_OK;
    }
}

int bkc_line_end_sending(struct bkc_line *l)
{
    struct curl_tlssessioninfo *tls = NULL;
    if (curl_easy_getinfo(l->slot->easy, CURLINFO_TLS_SSL_PTR, &tls) == CURLE_OK && tls &&
        tls->backend == CURLSSLBACKEND_OPENSSL && tls->internals) {
        /* 0: said to the other side, whose own end is still to come */
        return SSL_shutdown(tls->internals) >= 0 ? BAKE_OK
                                                 : say(l, BAKE_E_IO, "cannot end what is sent");
    }
    if (shutdown(l->fd, SHUT_WR) == 0 || errno == ENOTCONN)
        return BAKE_OK;
    return say(l, BAKE_E_IO, strerror(errno));
}

const char *bkc_line_why(const struct bkc_line *l) { return l->why; }

void bkc_line_close(struct bkc_line *l)
{
    if (!l)
        return;
    (void)curl_multi_remove_handle(l->slot->multi, l->slot->easy);
    bkc_slot_give(l->http, l->slot, false);
    free(l);
}
