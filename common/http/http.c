/* The server of a client: its options, its pool of connections, and what libcurl's errors mean. */
#include "http/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_MAX 8U
#define BUFFER   (256L * 1024)

uint64_t bkc_http_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* false: out of memory. */
static bool copy(const char *from, char **to)
{
    if (!from)
        return true;
    *to = strdup(from);
    return *to != NULL;
}

int bkc_http_open(const struct bkc_http_opts *opts, struct bkc_http **ret)
{
    struct bkc_http *h = calloc(1, sizeof(*h));
    if (!h)
        return BAKE_E_NOMEM;
    h->silence_ms = opts->silence_ms;
    h->direct = opts->direct;
    h->global = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; /* counted by libcurl */
    h->locked = pthread_mutex_init(&h->lock, NULL) == 0;
    if (!h->global || !h->locked || !copy(opts->unix_socket, &h->unix_socket) ||
        !copy(opts->ca, &h->ca) || !copy(opts->cert, &h->cert) || !copy(opts->key, &h->key) ||
        !copy(opts->agent, &h->agent)) {
        bkc_http_close(h);
        return BAKE_E_NOMEM;
    }
    *ret = h;
    return BAKE_OK;
}

static void slot_free(struct bkc_slot *s)
{
    if (s->easy)
        curl_easy_cleanup(s->easy);
    if (s->multi)
        (void)curl_multi_cleanup(s->multi);
    free(s);
}

void bkc_http_close(struct bkc_http *h)
{
    if (!h)
        return;
    while (h->idle) {
        struct bkc_slot *s = h->idle;
        h->idle = s->next;
        slot_free(s);
    }
    if (h->global)
        curl_global_cleanup();
    if (h->locked)
        (void)pthread_mutex_destroy(&h->lock);
    free(h->unix_socket);
    free(h->ca);
    free(h->cert);
    free(h->key);
    free(h->agent);
    free(h);
}

static bool text_option(CURL *e, CURLoption option, const char *value)
{
    return !value || curl_easy_setopt(e, option, value) == CURLE_OK;
}

/* Those that fail only on a value that libcurl does not know are not asked for their result. */
static bool set_options(const struct bkc_http *h, CURL *e)
{
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(e, CURLOPT_BUFFERSIZE, BUFFER);
    (void)curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
    (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return text_option(e, CURLOPT_PROTOCOLS_STR, "http,https") &&
           text_option(e, CURLOPT_PROXY, h->direct || h->unix_socket ? "" : NULL) &&
           text_option(e, CURLOPT_UNIX_SOCKET_PATH, h->unix_socket) &&
           text_option(e, CURLOPT_USERAGENT, h->agent) && text_option(e, CURLOPT_CAINFO, h->ca) &&
           text_option(e, CURLOPT_SSLCERT, h->cert) && text_option(e, CURLOPT_SSLKEY, h->key);
}

static struct bkc_slot *slot_new(void)
{
    struct bkc_slot *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->multi = curl_multi_init();
    s->easy = curl_easy_init();
    if (s->multi && s->easy)
        return s;
    slot_free(s);
    return NULL;
}

struct bkc_slot *bkc_slot_take(struct bkc_http *h)
{
    (void)pthread_mutex_lock(&h->lock);
    struct bkc_slot *s = h->idle;
    if (s) {
        h->idle = s->next;
        h->n_idle--;
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (!s)
        s = slot_new();
    if (!s)
        return NULL;
    s->next = NULL;
    curl_easy_reset(s->easy);
    if (set_options(h, s->easy))
        return s;
    slot_free(s);
    return NULL;
}

void bkc_slot_give(struct bkc_http *h, struct bkc_slot *s, bool keep)
{
    if (keep) {
        (void)pthread_mutex_lock(&h->lock);
        keep = h->n_idle < IDLE_MAX;
        if (keep) {
            s->next = h->idle;
            h->idle = s;
            h->n_idle++;
        }
        (void)pthread_mutex_unlock(&h->lock);
    }
    if (!keep)
        slot_free(s);
}

int bkc_http_rc(CURLcode code, long os_error)
{
    switch (code) {
    case CURLE_OK:
        return BAKE_OK;
    case CURLE_COULDNT_CONNECT:
        return os_error == EACCES || os_error == EPERM ? BAKE_E_AUTH : BAKE_E_UNAVAILABLE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
        return BAKE_E_UNAVAILABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return BAKE_E_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return BAKE_E_AUTH;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
        return BAKE_E_CONFIG;
    case CURLE_OUT_OF_MEMORY:
        return BAKE_E_NOMEM;
    default:
        return BAKE_E_IO;
    }
}

void bkc_http_words(CURLcode code, long os_error, const char *detail, char *out, size_t cap)
{
    char room[128];
    const char *text = detail[0] != '\0' ? detail : curl_easy_strerror(code);

    if (code == CURLE_COULDNT_CONNECT && os_error != 0)
        text = strerror_r((int)os_error, room, sizeof(room));
    else if (code == CURLE_GOT_NOTHING)
        text = "the connection was closed without an answer";
    else if (code == CURLE_PARTIAL_FILE)
        text = "the answer was cut off";
    (void)snprintf(out, cap, "%s", text);
    if (out[0] >= 'A' && out[0] <= 'Z' && !(out[1] >= 'A' && out[1] <= 'Z'))
        out[0] = (char)(out[0] - 'A' + 'a');
}
