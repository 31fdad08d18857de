/* One request to the daemon and what its answer means. */
#include "api_impl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int dk_nomem(struct bake_ctx *ctx);

int dk_status_rc(long status)
{
    switch (status) {
    case 401:
    case 403:
        return BAKE_E_AUTH;
    case 404:
        return BAKE_E_NOTFOUND;
    case 409:
        return BAKE_E_EXISTS;
    case 502: /* of a proxy in between: the daemon could not be asked */
    case 503:
    case 504:
        return BAKE_E_UNAVAILABLE;
    default:
        return status >= 400 ? BAKE_E_IO : BAKE_OK;
    }
}

void dk_message(const char *body, long status, char *out, size_t cap)
{
    json_t *j = body ? json_loads(body, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *text = json_string_value(json_object_get(j, "message"));
    if (!text)
        text = body && !j ? body : "";
    text += strspn(text, " \t\r\n");
    size_t n = strcspn(text, "\r\n");
    if (n == 0)
        (void)snprintf(out, cap, "docker answered %ld", status);
    else
        (void)snprintf(out, cap, "%.*s", n < 500 ? (int)n : 500, text);
    json_decref(j);
}

char *dk_quote(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = strlen(text);
    char *out = n < SIZE_MAX / 3 - 1 ? malloc(n * 3 + 1) : NULL, *at = out;
    if (!out)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = (*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= 'a' && *p <= 'z') || strchr("-._~", *p);
        if (plain) {
            *at++ = (char)*p;
            continue;
        }
        *at++ = '%';
        *at++ = hex[*p >> 4];
        *at++ = hex[*p & 15];
    }
    *at = '\0';
    return out;
}

static const char *hint_of(const struct dk_api *api, int rc, bool connected)
{
    if (rc == BAKE_E_AUTH)
        return api->local ? "\nHINT: run as root, or as a member of the group that owns the socket"
                          : "\nHINT: give the options 'ca', 'cert' and 'key'";
    if (rc == BAKE_E_UNAVAILABLE && !connected)
        return "\nHINT: is docker running there? Option 'host', or DOCKER_HOST, says where it is";
    return "";
}

int dk_ask_broken(struct dk_api *api, struct bake_ctx *ctx, const struct dk_ask *a, int rc)
{
    const char *why = a->call ? bkc_call_why(a->call) : "out of memory";
    bool connected = api->version[0] != '\0';
    if (a->what)
        return bake_fail(ctx, rc, "cannot %s: docker at '%s': %s%s", a->what, api->host, why,
                         hint_of(api, rc, connected));
    return bake_fail(ctx, rc, "cannot ask docker at '%s' for %s '%s': %s%s", api->host, a->method,
                     a->path, why, hint_of(api, rc, connected));
}

static int refused(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a, long status)
{
    char *body = NULL;
    char text[512];
    int rc = bkc_call_collect(a->call, 64U * 1024, &body, NULL);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return dk_ask_broken(api, ctx, a, rc);
    dk_message(body, status, text, sizeof(text));
    free(body);
    rc = dk_status_rc(status);
    if (a->what)
        return bake_fail(ctx, rc, "cannot %s: %s", a->what, text);
    return bake_fail(ctx, rc, "docker refused %s '%s': %s", a->method, a->path, text);
}

int dk_ask_open(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a)
{
    size_t n = 0;
    bool version = !a->unversioned;
    if (asprintf(&a->url, "%s%s%s%s", api->base, version ? "/v" : "", version ? api->version : "",
                 a->path) < 0) {
        a->url = NULL;
        return dk_nomem(ctx);
    }
    if (a->body && !(a->text = json_dumps(a->body, JSON_COMPACT)))
        return dk_nomem(ctx);
    if (a->body)
        a->headers[n++] = "Content-Type: application/json";
    if (a->raw || a->upload)
        a->headers[n++] = "Content-Type: application/x-tar";
    a->headers[n] = NULL;
    a->req = (struct bkc_request){
        .method = a->method,
        .url = a->url,
        .headers = a->headers,
        .body = a->text ? a->text : a->raw,
        .body_size = a->text ? strlen(a->text) : a->raw_n,
        .upload = a->upload,
        .silence_ms = a->silence_ms,
        .to_the_end = a->to_the_end,
    };
    int rc = bkc_call_open(api->http, ctx, &a->req, &a->call);
    return rc == BAKE_OK ? BAKE_OK : dk_ask_broken(api, ctx, a, rc);
}

int dk_ask_answer(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a)
{
    int rc = bkc_call_answer(a->call);
    if (rc != BAKE_OK)
        return dk_ask_broken(api, ctx, a, rc);
    long status = bkc_call_status(a->call);
    return status >= 400 ? refused(api, ctx, a, status) : BAKE_OK;
}

int dk_ask_json(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a, json_t **ret)
{
    char *body = NULL;
    size_t n = 0;
    json_error_t e;
    int rc = bkc_call_collect(a->call, DK_ANSWER_MAX, &body, &n);
    *ret = NULL;
    if (rc != BAKE_OK)
        return dk_ask_broken(api, ctx, a, rc);
    bool empty = body[strspn(body, " \t\r\n")] == '\0';
    if (!empty)
        *ret = json_loadb(body, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &e);
    free(body);
    if (empty || *ret)
        return BAKE_OK;
    /* the parser's text would quote what may be a secret */
    return bake_fail(ctx, BAKE_E_CORRUPT, "docker's answer to %s '%s' is not JSON (at byte %d)",
                     a->method, a->path, e.position);
}

void dk_ask_close(struct dk_ask *a)
{
    bkc_call_close(a->call);
    a->call = NULL;
    if (a->text)
        explicit_bzero(a->text, strlen(a->text));
    free(a->text);
    a->text = NULL;
    free(a->url);
    a->url = NULL;
}

int dk_ask(struct dk_api *api, struct bake_ctx *ctx, struct dk_ask *a, json_t **ret,
           long *ret_status)
{
    json_t *answer = NULL;
    int rc = dk_ask_open(api, ctx, a);
    if (rc == BAKE_OK)
        rc = dk_ask_answer(api, ctx, a);
    if (rc == BAKE_OK && ret_status)
        *ret_status = bkc_call_status(a->call);
    /* read even when it is not wanted: the connection can then be used again */
    if (rc == BAKE_OK)
        rc = dk_ask_json(api, ctx, a, &answer);
    dk_ask_close(a);
    if (ret)
        *ret = answer;
    else
        json_decref(answer);
    return rc;
}

int dk_get(struct dk_api *api, struct bake_ctx *ctx, const char *path, json_t **ret)
{
    struct dk_ask a = {.method = "GET", .path = path};
    return dk_ask(api, ctx, &a, ret, NULL);
}

int dk_post(struct dk_api *api, struct bake_ctx *ctx, const char *path, const json_t *body,
            json_t **ret)
{
    static const char create[] = "/containers/create?name=";
    struct dk_ask a = {.method = "POST", .path = path, .body = body};
    int rc = dk_ask(api, ctx, &a, ret, NULL);
    if (rc == BAKE_OK && ret && strncmp(path, create, sizeof(create) - 1) == 0)
        dk_learn_name_of(api, json_string_value(json_object_get(*ret, "Id")),
                         path + sizeof(create) - 1);
    return rc;
}

int dk_delete(struct dk_api *api, struct bake_ctx *ctx, const char *path)
{
    struct dk_ask a = {.method = "DELETE", .path = path, .to_the_end = true};
    return dk_ask(api, ctx, &a, NULL, NULL);
}
