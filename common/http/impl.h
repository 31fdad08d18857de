/* Inside common/http: what calls and lines share. */
#ifndef BKC_HTTP_IMPL_H
#define BKC_HTTP_IMPL_H

#include "http/http.h"

#include <curl/curl.h>
#include <pthread.h>

/* A multi handle keeps its connections, so a slot that comes back is an open connection. */
struct bkc_slot {
    CURLM *multi;
    CURL *easy;
    struct bkc_slot *next;
};

struct bkc_http {
    char *unix_socket, *ca, *cert, *key, *agent;
    uint64_t silence_ms;
    bool direct, global;
    pthread_mutex_t lock;
    bool locked; /* the mutex was made */
    struct bkc_slot *idle;
    unsigned n_idle;
};

/* With the server's options set anew; NULL: out of memory. */
struct bkc_slot *bkc_slot_take(struct bkc_http *h);
/* keep: what it did ended well. */
void bkc_slot_give(struct bkc_http *h, struct bkc_slot *s, bool keep);

int bkc_http_rc(CURLcode code, long os_error);
/* In words, into out. detail: the error buffer, may be "". */
void bkc_http_words(CURLcode code, long os_error, const char *detail, char *out, size_t cap);

#endif
