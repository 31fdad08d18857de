/* Inside api*.c: one API, and one request to it. */
#ifndef DOCKER_API_IMPL_H
#define DOCKER_API_IMPL_H

#include "api.h"

#include "http/http.h"
#include <pthread.h>

#define DK_API_MAX     "1.44" /* what we speak: Engine 25; 29 takes nothing older */
#define DK_API_MIN     "1.40" /* Engine 19.03 */
#define DK_ANSWER_MAX  (64U << 20)
#define DK_LINE_DOCKER "docker" /* what is said to be the host on a Unix socket */

struct dk_api {
    struct bkc_http *http;
    char *host, *base; /* base: what the request's target follows: "http://docker" */
    char *engine, *arch, *id, *root;
    char version[16];
    bool local;
    uint64_t timeout_ms;
    pthread_mutex_t naming;
    json_t *names; /* id -> name, of all that was inspected; under naming */
};

struct dk_ask {
    const char *method, *path; /* path: after the version */
    const char *what;          /* for errors: "stop container 'x'"; NULL: method and path */
    const json_t *body;
    const void *raw; /* or this, a tar */
    size_t raw_n;
    uint64_t silence_ms;
    bool upload, to_the_end, unversioned;
    /* until dk_ask_close() */
    struct bkc_call *call;
    struct bkc_request req;
    const char *headers[3];
    char *url, *text;
};

/* Opens the call; nothing is sent yet. Says what failed. */
int dk_ask_open(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a);
/* Waits for the answer; a status of 400 and more is a failure and said. */
int dk_ask_answer(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a);
/* What went wrong below HTTP, said. */
int dk_ask_broken(struct dk_api *api, struct bake_ctx *ctx, const struct dk_ask *a, int rc);
int dk_ask_json(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a, json_t **ret);
void dk_ask_close(struct dk_ask *a);
/* All of the above. *ret_status may be NULL. */
int dk_ask(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a, json_t **ret,
           long *ret_status);

/* The path of GET, HEAD and PUT archive, and what is done there for errors ("read 'x' of container
 * 'y'"); the caller's, also when false: out of memory. */
bool dk_archive_of(struct dk_api *api, const char *id, const char *path, const char *doing,
                   char **ret_path, char **ret_what);

/* ---- parts, apart for tests ------------------------------------------------------------------ */

int dk_status_rc(long status);
/* "1.41" as 1041; 0: it is none. */
unsigned dk_version_number(const char *text);
/* Of DK_API_MAX and the server's newest; false: they do not meet (its oldest, our oldest). */
bool dk_version_agree(const char *newest, const char *oldest, char *out, size_t cap);
/* What the daemon said: "message" of a JSON object, else the text's first line; printable part of
 * it, bounded. */
void dk_message(const char *body, long status, char *out, size_t cap);
/* Go's FileMode as st_mode. */
uint32_t dk_mode_of_go(uint64_t mode);
bool dk_time_of(const char *rfc3339, int64_t *ret_ns);
/* The header's base64 of JSON. BAKE_E_NOMEM, BAKE_E_IO: it is none. */
int dk_stat_parse(const char *header, struct dk_stat *ret);
/* host as the URL that requests begin with, and the socket's path (else NULL); false: it is none.
 * *ret NULL as well: out of memory. */
bool dk_host_parse(const char *host, bool tls, char **ret_base, char **ret_socket);

/* An id as people see it: 12 characters of 64, other names as they are. */
struct dk_short {
    char text[80];
};
struct dk_short dk_short(const char *id);
/* The container's name, where it was inspected before; else as above. */
struct dk_short dk_called(struct dk_api *api, const char *id);
void dk_learn_name(struct dk_api *api, const json_t *inspected);
void dk_learn_name_of(struct dk_api *api, const char *id, const char *name);

#endif
