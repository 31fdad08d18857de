/* Inside common/http: one call. */
#ifndef BKC_HTTP_CALL_H
#define BKC_HTTP_CALL_H

#include "http/impl.h"

struct bkc_call {
    struct bkc_http *http;
    struct bake_ctx *ctx;
    struct bkc_slot *slot;
    const struct bkc_request *req;
    struct curl_slist *headers;
    uint64_t silence_ms, moved;

    const char *src; /* to be sent */
    size_t src_n;
    bool src_end, send_paused;

    char *head; /* "name: value" NUL after NUL */
    size_t head_n;
    long status;
    bool head_done;

    struct bake_out *out;
    char *spill; /* came with more than the reader had room for */
    size_t spill_at, spill_n, spill_cap;
    bool read_paused;

    bool added, done, nomem;
    CURLcode result;
    char detail[CURL_ERROR_SIZE], why[CURL_ERROR_SIZE + 64];
};

/* Tells libcurl of the request; false: out of memory. */
bool bkc_call_set_up(struct bkc_call *c);

#endif
