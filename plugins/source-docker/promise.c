/* Promises: kept by the engine, and beside it by the daemon where this process may be gone with all
 * that it wrote. A volume's labels never change, so each new text is a new volume. */
#include "promise.h"
#include "hold.h"

#include "api.h"
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int fresh_nonce(struct bake_ctx *ctx, char out[DK_NONCE_SIZE])
{
    unsigned char bytes[(DK_NONCE_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return bake_fail(ctx, BAKE_E_IO, "cannot get random bytes");
    for (size_t i = 0; i < sizeof(bytes); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return BAKE_OK;
}

/* "bakengine-promise-<nonce>-<number>" */
bool dk_promise_parse(const char *volume, char nonce[DK_NONCE_SIZE], unsigned *ret_number)
{
    static const char prefix[] = DK_PROMISE_PREFIX;
    size_t n = sizeof(prefix) - 1, len = DK_NONCE_SIZE - 1;
    if (strncmp(volume, prefix, n) != 0 || strspn(volume + n, "0123456789abcdef") != len ||
        volume[n + len] != '-')
        return false;
    const char *digits = volume + n + len + 1;
    unsigned number = 0;
    if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 9)
        return false;
    for (; *digits; digits++)
        number = number * 10 + (unsigned)(*digits - '0');
    memcpy(nonce, volume + n, len);
    nonce[len] = '\0';
    *ret_number = number;
    return true;
}

int dk_promise_forget(struct dk_source *s, struct bake_ctx *ctx, const char *volume)
{
    char *quoted = dk_quote(volume), *path = NULL;
    if (quoted && asprintf(&path, "/volumes/%s", quoted) < 0)
        path = NULL;
    int rc = path ? dk_delete(s->api, ctx, path) : dk_nomem(ctx);
    free(quoted);
    free(path);
    return rc == BAKE_E_NOTFOUND ? BAKE_OK : rc;
}

static int keep_there(struct dk_source *s, struct bake_ctx *ctx, const char *name, const char *text)
{
    json_t *made = NULL;
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "Name", name, "Labels", DK_LABEL_PROMISE, text,
                             DK_LABEL_HOLDER, s->where.owner ? s->where.owner : "");
    int rc = body ? dk_post(s->api, ctx, "/volumes/create", body, &made) : dk_nomem(ctx);
    json_decref(body);
    json_decref(made);
    return rc;
}

static int keep_here(struct bake_ctx *ctx, const char *text, uint64_t *id)
{
    const struct bake_host *h = ctx->host;
    if (h->struct_size < offsetof(struct bake_host, redeemed) + sizeof(h->redeemed) || !h->oblige)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "this engine cannot keep a promise to start containers again");
    uint64_t new_id = *id;
    int rc = h->oblige(ctx, text, &new_id);
    if (rc == BAKE_OK)
        *id = new_id;
    return rc;
}

/* what, with the daemon's address and the nonce, by which redeem() finds the volumes. */
static char *text_of(struct dk_source *s, const json_t *what, const char *nonce)
{
    json_t *o = json_copy((json_t *)what);
    int bad = !o || json_object_set_new(o, "host", json_string(dk_api_host(s->api))) < 0 ||
              (nonce && json_object_set_new(o, "nonce", json_string(nonce)) < 0);
    char *text = bad ? NULL : json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(o);
    return text;
}

/* The name of the volume that takes the place of p's. */
static int next_volume(struct bake_ctx *ctx, const struct dk_promise *p, char nonce[DK_NONCE_SIZE],
                       char **ret)
{
    unsigned number = 0;
    if (!p->volume || !dk_promise_parse(p->volume, nonce, &number)) {
        int rc = fresh_nonce(ctx, nonce);
        if (rc != BAKE_OK)
            return rc;
    }
    if (asprintf(ret, DK_PROMISE_PREFIX "%s-%u", nonce, number + 1) < 0)
        return dk_nomem(ctx);
    return BAKE_OK;
}

static int promise_away(struct dk_source *s, struct bake_ctx *ctx, const json_t *what,
                        struct dk_promise *p)
{
    char nonce[DK_NONCE_SIZE], *volume = NULL;
    int rc = next_volume(ctx, p, nonce, &volume);
    if (rc != BAKE_OK)
        return rc;
    char *text = text_of(s, what, nonce);
    rc = text ? keep_there(s, ctx, volume, text) : dk_nomem(ctx);
    if (rc == BAKE_OK && (rc = keep_here(ctx, text, &p->id)) != BAKE_OK)
        (void)dk_promise_forget(s, ctx, volume);
    free(text);
    if (rc != BAKE_OK) {
        free(volume);
        return rc;
    }
    if (p->volume && dk_promise_forget(s, ctx, p->volume) != BAKE_OK)
        bake_log(ctx, BAKE_LOG_WARN, "volume '%s' could not be removed, the next run will do it",
                 p->volume);
    free(p->volume);
    p->volume = volume;
    return BAKE_OK;
}

int dk_promise(struct dk_source *s, struct bake_ctx *ctx, const json_t *what, struct dk_promise *p)
{
    if (s->where.away)
        return promise_away(s, ctx, what, p);
    char *text = text_of(s, what, NULL);
    int rc = text ? keep_here(ctx, text, &p->id) : dk_nomem(ctx);
    free(text);
    return rc;
}

int dk_promise_kept(struct dk_source *s, struct bake_ctx *ctx, struct dk_promise *p)
{
    int rc = p->id ? ctx->host->redeemed(ctx, p->id) : BAKE_OK;
    if (p->volume && dk_promise_forget(s, ctx, p->volume) != BAKE_OK)
        bake_log(ctx, BAKE_LOG_WARN, "volume '%s' could not be removed, the next run will do it",
                 p->volume);
    free(p->volume);
    memset(p, 0, sizeof(*p));
    return rc;
}

/* ---- those of other processes ---------------------------------------------------------------- */

int dk_promise_list(struct dk_source *s, struct bake_ctx *ctx, json_t **ret)
{
    json_t *answer = NULL;
    /* {"label":["bakengine.promise"]} */
    int rc =
        dk_get(s->api, ctx, "/volumes?filters=%7B%22label%22%3A%5B%22" DK_LABEL_PROMISE "%22%5D%7D",
               &answer);
    if (rc != BAKE_OK)
        return rc;
    json_t *list = json_incref(json_object_get(answer, "Volumes"));
    json_decref(answer);
    if (!json_is_array(list)) {
        json_decref(list);
        list = json_array();
    }
    *ret = list;
    return list ? BAKE_OK : dk_nomem(ctx);
}

int dk_promise_forget_all(struct dk_source *s, struct bake_ctx *ctx, const char *nonce)
{
    json_t *list = NULL;
    int rc = dk_promise_list(s, ctx, &list);
    for (size_t i = 0; rc == BAKE_OK && i < json_array_size(list); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(list, i), "Name"));
        char of[DK_NONCE_SIZE];
        unsigned number;
        if (name && dk_promise_parse(name, of, &number) && strcmp(of, nonce) == 0)
            rc = dk_promise_forget(s, ctx, name);
    }
    json_decref(list);
    return rc;
}
