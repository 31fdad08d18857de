/* Checking a backup of the repository format without reading its contents, and saying which packs
 * are not to be relied upon any more. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "store/format.h"
#include "store/moves.h"
#include "store/repo.h"

#include <stdlib.h>
#include <string.h>

/* Failures that say nothing about the store. */
static bool is_ours(int rc) { return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM; }

static int by_id(const void *a, const void *b) { return memcmp(a, b, sizeof(bk_id)); }

/* The packs that are in the sink with the size their index says, sorted. The caller's. */
static int present(struct bk_repo_side *side, bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    struct bk_index_pack *packs BK_FREE = NULL;
    size_t n, there = 0;
    bk_id *ids;
    int rc = bk_index_packs(side->index, &packs, &n, err);

    if (rc < 0)
        return rc;
    ids = malloc(n * sizeof(*ids) + 1);
    if (!ids)
        return bk_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (packs[i].present)
            ids[there++] = packs[i].id;
    qsort(ids, there, sizeof(*ids), by_id);
    *ret = ids;
    *ret_n = there;
    return BAKE_OK;
}

static int needed(struct bk_sink *sink, const struct bk_manifest *m, bk_id **ret, size_t *ret_n,
                  struct bk_err *err)
{
    struct bk_moves moves = {0};
    int rc = bk_moves_load(sink, &moves, err);

    if (rc >= 0)
        rc = bk_packs_needed(sink, &moves, m, ret, ret_n, err);
    bk_moves_release(&moves);
    return rc;
}

int bk_repo_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                 struct bk_look *look, struct bk_err *err)
{
    bk_id *want BK_FREE = NULL, *have BK_FREE = NULL;
    struct bk_repo_side *side;
    struct bk_err why = {0};
    size_t n_want = 0, n_have = 0;
    int rc = bk_repo_side_of(store, sink, &side, err);

    if (rc >= 0)
        rc = present(side, &have, &n_have, err);
    if (rc < 0)
        return rc;
    look->objects++; /* the list */
    rc = needed(sink, m, &want, &n_want, &why);
    if (is_ours(rc)) {
        *err = why;
        return rc;
    }
    if (rc < 0) {
        look->damage(look->arg, NULL, &why);
        return BAKE_OK;
    }
    for (size_t i = 0; i < n_want; i++) {
        char name[BK_PACK_NAME_CAP];

        look->objects++;
        if (bsearch(&want[i], have, n_have, sizeof(*have), by_id))
            continue;
        bk_pack_name(&want[i], name);
        bk_fail(&why, BAKE_E_CORRUPT, "%s: '%s' is missing, or its size is not what it was",
                sink->label, name);
        look->damage(look->arg, NULL, &why);
    }
    return BAKE_OK;
}

/* ---- packs that are bad ---------------------------------------------------------------------- */

static int put_bad(struct bk_sink *sink, const bk_id *pack, const char *host, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char hex[2 * sizeof(pack->b) + 1], name[sizeof(BK_BAD) + sizeof(hex)];
    json_t *j BK_JSON = json_object();
    int rc;

    bk_hex(pack->b, sizeof(pack->b), hex);
    (void)snprintf(name, sizeof(name), BK_BAD "%s", hex);
    bk_json_set_time(j, "time", bk_now_ns());
    bk_json_set_str(j, "host", host);
    bk_json_set_str(j, "reason", "a verification found it damaged or missing");
    rc = bk_json_seal(j, &text, err);
    if (rc >= 0)
        rc = bk_sink_put(sink, name, text.data, text.len, BAKE_PUT_IF_ABSENT, err);
    return rc == BAKE_E_EXISTS ? BAKE_OK : rc; /* somebody has said it before */
}

int bk_repo_distrust(struct bk_store *store, struct bk_sink *sink, const char *host, uint64_t *ret,
                     struct bk_err *err)
{
    bk_id *bad BK_FREE = NULL;
    struct bk_repo_side *side;
    size_t n = 0;
    int rc = bk_repo_side_of(store, sink, &side, err);

    if (rc >= 0)
        rc = bk_fetch_bad_packs(side->fetch, &bad, &n, err);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        rc = put_bad(sink, &bad[i], host, err);
        *ret += rc >= 0;
    }
    return rc;
}
