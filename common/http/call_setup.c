/* What libcurl calls, and how a request is put to it. */
#include "http/call.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX (256U * 1024) /* of all headers together */

/* ---- what libcurl calls ---------------------------------------------------------------------- */

static size_t on_send(char *buf, size_t size, size_t n, void *arg)
{
    struct bkc_call *c = arg;
    n *= size;
    c->moved = bkc_http_now();
    if (c->src_n == 0) {
        if (c->src_end)
            return 0;
        c->send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n > c->src_n)
        n = c->src_n;
    memcpy(buf, c->src, n);
    c->src += n;
    c->src_n -= n;
    return n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct bkc_call *c = arg;
    n *= size;
    c->moved = bkc_http_now();
    if (c->head_done)
        return n; /* a trailer */
    size_t len = n;
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    if (len == 0) {
        (void)curl_easy_getinfo(c->slot->easy, CURLINFO_RESPONSE_CODE, &c->status);
        c->head_done = c->status >= 200;
        return n;
    }
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        c->head_n = 0; /* that of "100 Continue" does not count */
        return n;
    }
    if (c->head_n + len + 1 > HEAD_MAX)
        return 0;
    char *more = realloc(c->head, c->head_n + len + 1);
    if (!more) {
        c->nomem = true;
        return 0;
    }
    c->head = more;
    memcpy(c->head + c->head_n, line, len);
    c->head[c->head_n + len] = '\0';
    c->head_n += len + 1;
    return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct bkc_call *c = arg;
    n *= size;
    c->moved = bkc_http_now();
    size_t room = c->out ? c->out->size - c->out->pos : 0;
    if (room == 0) {
        c->read_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    size_t take = n < room ? n : room, rest = n - take;
    if (rest > c->spill_cap) {
        char *more = realloc(c->spill, rest);
        if (!more) {
            c->nomem = true;
            return 0;
        }
        c->spill = more;
        c->spill_cap = rest;
    }
    memcpy((char *)c->out->data + c->out->pos, data, take);
    c->out->pos += take;
    if (rest > 0)
        memcpy(c->spill, data + take, rest);
    c->spill_at = 0;
    c->spill_n = rest;
    return n;
}

/* ---- setting up ------------------------------------------------------------------------------ */

static bool add_header(struct bkc_call *c, const char *line)
{
    struct curl_slist *more = curl_slist_append(c->headers, line);
    if (!more)
        return false;
    c->headers = more;
    return true;
}

static bool set_headers(struct bkc_call *c)
{
    bool typed = false;
    for (const char *const *h = c->req->headers; h && *h; h++) {
        typed = typed || strncasecmp(*h, "content-type:", 13) == 0;
        if (!add_header(c, *h))
            return false;
    }
    /* libcurl would wait for "100 Continue", and call every body a form */
    return add_header(c, "Expect:") && (typed || add_header(c, "Content-Type:")) &&
           curl_easy_setopt(c->slot->easy, CURLOPT_HTTPHEADER, c->headers) == CURLE_OK;
}

static bool set_method(struct bkc_call *c)
{
    const struct bkc_request *r = c->req;
    CURL *e = c->slot->easy;
    if (r->upload) {
        (void)curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
                               r->sized ? (curl_off_t)r->upload_size : (curl_off_t)-1);
        /* half of a body cannot be sent again, when a kept connection proves to be dead */
        (void)curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    } else if (r->body || strcmp(r->method, "POST") == 0 || strcmp(r->method, "PUT") == 0) {
        (void)curl_easy_setopt(e, CURLOPT_POSTFIELDS, r->body ? r->body : "");
        (void)curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                               r->body ? (curl_off_t)r->body_size : 0);
    } else if (strcmp(r->method, "HEAD") == 0) {
        (void)curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return true;
    }
    return curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method) == CURLE_OK;
}

bool bkc_call_set_up(struct bkc_call *c)
{
    CURL *e = c->slot->easy;
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->detail);
    (void)curl_easy_setopt(e, CURLOPT_READFUNCTION, on_send);
    (void)curl_easy_setopt(e, CURLOPT_READDATA, c);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    if (!set_method(c) || !set_headers(c) ||
        curl_easy_setopt(e, CURLOPT_URL, c->req->url) != CURLE_OK ||
        curl_multi_add_handle(c->slot->multi, e) != CURLM_OK)
        return false;
    c->added = true;
    return true;
}
