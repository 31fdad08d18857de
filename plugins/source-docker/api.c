/* Finding the daemon, and agreeing with it on a version of its API. */
#include "api_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_HOST "unix:///var/run/docker.sock"

unsigned dk_version_number(const char *text)
{
    unsigned part[2] = {0, 0};
    int at = 0;
    size_t digits = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '.' && at == 0 && digits > 0) {
            at = 1;
            digits = 0;
            continue;
        }
        if (*p < '0' || *p > '9' || ++digits > 3)
            return 0;
        part[at] = part[at] * 10 + (unsigned)(*p - '0');
    }
    return at == 1 && digits > 0 ? part[0] * 1000 + part[1] : 0;
}

bool dk_version_agree(const char *newest, const char *oldest, char *out, size_t cap)
{
    unsigned ours = dk_version_number(DK_API_MAX), theirs = dk_version_number(newest);
    unsigned use = ours < theirs ? ours : theirs;
    if (use < dk_version_number(DK_API_MIN) || use < dk_version_number(oldest))
        return false;
    (void)snprintf(out, cap, "%u.%u", use / 1000, use % 1000);
    return true;
}

bool dk_host_parse(const char *host, bool tls, char **ret_base, char **ret_socket)
{
    static const struct {
        const char *prefix, *scheme;
        bool tls;
    } kinds[] = {
        {"tcp://", "http", false}, {"http://", "http", false}, {"https://", "https", true}};

    *ret_base = *ret_socket = NULL;
    if (strncmp(host, "unix://", 7) == 0) {
        if (host[7] != '/')
            return false;
        *ret_socket = strdup(host + 7);
        *ret_base = strdup("http://" DK_LINE_DOCKER);
        return true;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(host, kinds[i].prefix, n) != 0)
            continue;
        const char *where = host + n;
        size_t len = strcspn(where, "/");
        if (len == 0 || strcspn(where, "?#@ ") < strlen(where))
            return false;
        bool secure = tls || kinds[i].tls, port = where[len - 1] != ']';
        port = port && memrchr(where, ':', len) != NULL;
        size_t rest = strlen(where);
        while (rest > len && where[rest - 1] == '/')
            rest--;
        if (asprintf(ret_base, "%s://%.*s%s%.*s", secure ? "https" : kinds[i].scheme, (int)len,
                     where, port ? "" : (secure ? ":2376" : ":2375"), (int)(rest - len),
                     where + len) < 0)
            *ret_base = NULL;
        return true;
    }
    return false;
}

/* ---- opening --------------------------------------------------------------------------------- */

struct pem {
    char *file[3];
};

/* The files of DOCKER_CERT_PATH, for options that were not given. */
static bool pem_of_env(const struct dk_api_opts *opts, struct pem *pem)
{
    static const char *const names[3] = {"ca.pem", "cert.pem", "key.pem"};
    const char *verify = getenv("DOCKER_TLS_VERIFY"), *dir = getenv("DOCKER_CERT_PATH");
    const char *home = getenv("HOME");
    const char *const given[3] = {opts->ca, opts->cert, opts->key};
    bool env = verify && verify[0] && !opts->ca && !opts->cert && !opts->key;

    for (int i = 0; i < 3; i++) {
        if (given[i] && !(pem->file[i] = strdup(given[i])))
            return false;
        if (!env)
            continue;
        int n = dir && dir[0]
                    ? asprintf(&pem->file[i], "%s/%s", dir, names[i])
                    : asprintf(&pem->file[i], "%s/.docker/%s", home ? home : "", names[i]);
        if (n < 0) {
            pem->file[i] = NULL;
            return false;
        }
    }
    return true;
}

static int connect_to(struct dk_api *api, struct bake_ctx *ctx, const struct dk_api_opts *opts,
                      const struct pem *pem)
{
    char *socket = NULL;
    bool tls = pem->file[0] || pem->file[1] || pem->file[2];
    if (!dk_host_parse(api->host, tls, &api->base, &socket))
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'%s' is no address of docker: wanted is unix:///path, tcp://host:port or "
                         "https://host:port",
                         api->host);
    api->local = socket != NULL;
    struct bkc_http_opts http = {.unix_socket = socket,
                                 .ca = pem->file[0],
                                 .cert = pem->file[1],
                                 .key = pem->file[2],
                                 .agent = "bakengine",
                                 .silence_ms = opts->timeout_ms};
    bool enough = api->base && (socket || strncmp(api->host, "unix:", 5) != 0);
    int rc = enough ? bkc_http_open(&http, &api->http) : BAKE_E_NOMEM;
    free(socket);
    return rc == BAKE_OK ? BAKE_OK : dk_nomem(ctx);
}

static char *text_of(const json_t *j, const char *key)
{
    const char *text = json_string_value(json_object_get(j, key));
    return strdup(text ? text : "");
}

static int take_version(struct dk_api *api, struct bake_ctx *ctx, const json_t *v)
{
    const char *newest = json_string_value(json_object_get(v, "ApiVersion"));
    const char *oldest = json_string_value(json_object_get(v, "MinAPIVersion"));
    if (!newest || dk_version_number(newest) == 0)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED, "what answers at '%s' is no Docker Engine",
                         api->host);
    if (!oldest || !oldest[0])
        oldest = newest; /* before 1.25, which is too old in any case */
    if (!dk_version_agree(newest, oldest, api->version, sizeof(api->version)))
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "docker at '%s' speaks API %s down to %s, this source %s down to %s",
                         api->host, newest, oldest, DK_API_MAX, DK_API_MIN);
    api->engine = text_of(v, "Version");
    api->arch = text_of(v, "Arch");
    return api->engine && api->arch ? BAKE_OK : dk_nomem(ctx);
}

static int learn(struct dk_api *api, struct bake_ctx *ctx)
{
    json_t *answer = NULL;
    struct dk_ask version = {.method = "GET", .path = "/version", .unversioned = true};
    int rc = dk_ask(api, ctx, &version, &answer, NULL);
    if (rc == BAKE_E_NOTFOUND || rc == BAKE_E_CORRUPT)
        rc = bake_fail(ctx, BAKE_E_UNSUPPORTED, "what answers at '%s' is no Docker Engine",
                       api->host);
    if (rc == BAKE_OK)
        rc = take_version(api, ctx, answer);
    json_decref(answer);
    answer = NULL;
    if (rc == BAKE_OK)
        rc = dk_get(api, ctx, "/info", &answer);
    if (rc == BAKE_OK) {
        api->id = text_of(answer, "ID");
        api->root = text_of(answer, "DockerRootDir");
        if (!api->id || !api->root)
            rc = dk_nomem(ctx);
    }
    json_decref(answer);
    return rc;
}

int dk_api_open(struct bake_ctx *ctx, const struct dk_api_opts *opts, struct dk_api **ret)
{
    const char *env = getenv("DOCKER_HOST");
    struct dk_api *api = calloc(1, sizeof(*api));
    struct pem pem = {{NULL, NULL, NULL}};
    if (!api)
        return dk_nomem(ctx);
    if (pthread_mutex_init(&api->naming, NULL) != 0) {
        free(api);
        return dk_nomem(ctx);
    }
    api->timeout_ms = opts->timeout_ms;
    api->host = strdup(opts->host ? opts->host : env && env[0] ? env : DEFAULT_HOST);
    int rc = api->host && pem_of_env(opts, &pem) ? BAKE_OK : dk_nomem(ctx);
    if (rc == BAKE_OK)
        rc = connect_to(api, ctx, opts, &pem);
    for (int i = 0; i < 3; i++)
        free(pem.file[i]);
    if (rc == BAKE_OK)
        rc = learn(api, ctx);
    if (rc != BAKE_OK) {
        dk_api_close(api);
        return rc;
    }
    *ret = api;
    return BAKE_OK;
}

void dk_api_close(struct dk_api *api)
{
    if (!api)
        return;
    bkc_http_close(api->http);
    free(api->host);
    free(api->base);
    free(api->engine);
    free(api->arch);
    free(api->id);
    free(api->root);
    json_decref(api->names);
    (void)pthread_mutex_destroy(&api->naming);
    free(api);
}

const char *dk_api_host(const struct dk_api *api) { return api->host; }
bool dk_api_local(const struct dk_api *api) { return api->local; }
const char *dk_api_engine(const struct dk_api *api) { return api->engine; }
const char *dk_api_arch(const struct dk_api *api) { return api->arch; }
const char *dk_api_id(const struct dk_api *api) { return api->id; }
const char *dk_api_root(const struct dk_api *api) { return api->root; }
