/* What dead processes left in the daemon: promises that are redeemed, and what restores kept. */
#include "hold_impl.h"

#include "api.h"
#include "promise.h"
#include "restore.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *label_of(const json_t *volume, const char *label)
{
    return dk_json_text(json_object_get(volume, "Labels"), label);
}

/* Of several texts of one promise the last one counts. */
static bool is_last(const json_t *list, const json_t *volume)
{
    char nonce[DK_NONCE_SIZE], other[DK_NONCE_SIZE];
    unsigned number, n;
    if (!dk_promise_parse(dk_json_text(volume, "Name"), nonce, &number))
        return false;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (dk_promise_parse(dk_json_text(json_array_get(list, i), "Name"), other, &n) &&
            strcmp(other, nonce) == 0 && n > number)
            return false;
    return true;
}

/* Who that is, for people. */
static void name_owner(const char *text, char *out, size_t cap)
{
    json_t *o = json_loads(text, 0, NULL);
    const char *container = dk_json_text(o, "container");
    long long pid = (long long)json_integer_value(json_object_get(o, "pid"));
    if (*container)
        (void)snprintf(out, cap, "container '%.12s'", container);
    else
        (void)snprintf(out, cap, "process %lld", pid);
    json_decref(o);
}

static int redeem_volume(struct dk_source *s, struct bake_ctx *ctx, const json_t *volume)
{
    const char *name = dk_json_text(volume, "Name");
    json_t *what = json_loads(label_of(volume, DK_LABEL_PROMISE), 0, NULL);
    int rc;
    if (!json_is_object(what)) {
        bake_report(ctx, BAKE_WARNING, name,
                    "this volume is marked as a promise of bakengine, but holds none\n"
                    "HINT: docker volume rm %s",
                    name);
        json_decref(what);
        return BAKE_OK;
    }
    bake_log(ctx, BAKE_LOG_WARN, "keeping the promise '%s' of a run that has ended", name);
    rc = dk_redeem_with(s, ctx, what);
    if (rc == BAKE_OK && !*dk_json_text(what, "nonce"))
        rc = dk_promise_forget(s, ctx, name);
    json_decref(what);
    return rc;
}

static int tidy_promise(struct dk_source *s, struct bake_ctx *ctx, const json_t *list,
                        const json_t *volume)
{
    const char *owner = label_of(volume, DK_LABEL_HOLDER);
    char who[128];
    if (!is_last(list, volume) || (s->where.owner && strcmp(owner, s->where.owner) == 0))
        return BAKE_OK;
    if (dk_owner_dead(s, ctx, owner))
        return redeem_volume(s, ctx, volume);
    name_owner(owner, who, sizeof(who));
    bake_report(
        ctx, BAKE_NOTICE, dk_json_text(volume, "Name"),
        "is a promise of %s, which may still be at work here or on another host: left to it", who);
    return BAKE_OK;
}

int dk_tidy(void *self, struct bake_ctx *ctx)
{
    struct dk_source *s = self;
    json_t *list = NULL;
    int rc = dk_promise_list(s, ctx, &list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        int one = tidy_promise(s, ctx, list, json_array_get(list, i));
        if (one != BAKE_OK)
            rc = one; /* the others are tried all the same */
        if (rc == BAKE_E_CANCELLED)
            break;
    }
    json_decref(list);
    return rc == BAKE_OK ? dk_restore_tidy(s, ctx) : rc;
}
