/* A small HTTP/1.1 client over libcurl. One bkc_http is one server: its TLS, and a few connections
 * that are kept for reuse; calls may be made from any threads at once, each call by one thread.
 * Nothing here reports or fails by itself: bkc_call_why() says in words what went wrong, so that
 * the caller can name its subject, or try again. */
#ifndef BKC_HTTP_H
#define BKC_HTTP_H

#include <bakengine/plugin.h>
#include <stdbool.h>

struct bkc_http;
struct bkc_call;

struct bkc_http_opts { /* strings are copied; NULL where not wanted */
    const char *unix_socket;
    const char *ca, *cert, *key; /* PEM files; ca NULL: the system's */
    const char *agent;           /* User-Agent */
    uint64_t silence_ms;         /* a call fails when nothing moves for as long; 0: never */
    bool direct;                 /* no proxy, whatever the environment says */
};

/* BAKE_OK or BAKE_E_NOMEM. */
int bkc_http_open(const struct bkc_http_opts *opts, struct bkc_http **ret);
void bkc_http_close(struct bkc_http *h); /* after all its calls; NULL is fine */

struct bkc_request { /* borrowed until bkc_call_close() */
    const char *method, *url;
    const char *const *headers; /* "Name: value", NULL-ended; or NULL */
    const void *body;           /* sent whole; or NULL */
    size_t body_size;
    bool upload; /* the body comes by bkc_call_send() */
    bool sized;  /* of an upload: upload_size says its length; else it is sent chunked */
    uint64_t upload_size;
    uint64_t silence_ms; /* instead of the server's; 0: that one */
    bool to_the_end;     /* goes on although ctx is cancelled */
};

/* BAKE_OK or BAKE_E_NOMEM. Nothing is sent yet. */
int bkc_call_open(struct bkc_http *h, struct bake_ctx *ctx, const struct bkc_request *req,
                  struct bkc_call **ret);
/* Takes all. BAKE_END: the server has answered already and wants no more. */
int bkc_call_send(struct bkc_call *c, const void *data, size_t n);
/* Ends the upload and waits for the answer's head. BAKE_OK: there is one, whatever its status. */
int bkc_call_answer(struct bkc_call *c);
long bkc_call_status(const struct bkc_call *c);
/* A header of the answer, the last of this name; NULL: none. */
const char *bkc_call_header(const struct bkc_call *c, const char *name);
/* The answer's body as it comes: OK | END. Nothing is read on while the caller does not. */
int bkc_call_read(struct bkc_call *c, struct bake_out *out);
/* All of the answer's body, NUL-ended, the caller's. BAKE_E_NOSPACE: it is longer than limit. */
int bkc_call_collect(struct bkc_call *c, size_t limit, char **ret, size_t *ret_size);
/* What went wrong in the last of these that failed. */
const char *bkc_call_why(const struct bkc_call *c);
/* Before the end of the answer: the connection is closed, an upload thus never looks whole. NULL is
 * fine. */
void bkc_call_close(struct bkc_call *c);

uint64_t bkc_http_now(void); /* ms, monotonic */

#endif
