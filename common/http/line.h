/* A bare connection to the server of a bkc_http, for what is no request and answer: TLS and Unix
 * sockets as there, nothing sent or read by itself. One thread. */
#ifndef BKC_LINE_H
#define BKC_LINE_H

#include "http/http.h"

struct bkc_line;

/* Connects. *ret is set even on failure (but for BAKE_E_NOMEM), for bkc_line_why(). */
int bkc_line_open(struct bkc_http *h, struct bake_ctx *ctx, const char *url, struct bkc_line **ret);
/* As much as goes at once: *ret_n may be 0. BAKE_END: the other side takes no more. */
int bkc_line_send(struct bkc_line *l, const void *data, size_t n, size_t *ret_n);
/* What is there: *ret_n may be 0. BAKE_END: the other side has ended. */
int bkc_line_recv(struct bkc_line *l, void *data, size_t n, size_t *ret_n);
/* Until there may be something to read or, where to_send, room to send. BAKE_E_TIMEOUT after ms,
 * BAKE_E_CANCELLED. */
int bkc_line_wait(struct bkc_line *l, bool to_send, uint64_t ms);
int bkc_line_end_sending(struct bkc_line *l); /* the other side reads the end of input */
const char *bkc_line_why(const struct bkc_line *l);
void bkc_line_close(struct bkc_line *l); /* NULL is fine */

#endif
