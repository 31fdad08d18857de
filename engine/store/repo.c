/* The sides of a repository, and a run's shared parts. */
#include "store/repo.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "store/format.h"
#include "store/lag.h"
#include "store/mirror.h"
#include "store/packlist.h"

#include <stdlib.h>

/* Of the parent only metadata are read in a run. */
#define WRITER_CACHE (12u << 20)
/* Runs' blocks, filters and what is new (store/index.h). */
#define INDEX_BYTES (32u << 20)

static void side_free(struct bk_repo_side *side)
{
    if (!side)
        return;
    bk_fetch_free(side->fetch);
    bk_index_free(side->index);
    free(side);
}

/* Under the lock. */
static int open_side(struct bk_store *store, struct bk_sink *sink, unsigned flags,
                     struct bk_repo_side **ret, struct bk_err *err)
{
    struct bk_repo *repo = store->repo;
    struct bk_repo_side *side = calloc(1, sizeof(*side));
    size_t cache = flags & BK_INDEX_READ ? BK_FETCH_CACHE : WRITER_CACHE;
    int rc;

    if (!side)
        return bk_nomem(err);
    side->sink = sink;
    rc = bk_index_open(store, sink, flags, &side->index, err);
    if (rc >= 0)
        rc = bk_fetch_new(store, sink, side->index, store->cancel, cache, &side->fetch, err);
    if (rc < 0) {
        side_free(side);
        return rc;
    }
    side->next = repo->sides;
    repo->sides = side;
    *ret = side;
    return BAKE_OK;
}

int bk_repo_side_of(struct bk_store *store, struct bk_sink *sink, struct bk_repo_side **ret,
                    struct bk_err *err)
{
    struct bk_repo *repo = store->repo;
    struct bk_repo_side *side;
    int rc = BAKE_OK;

    if (!sink)
        return bk_store_none_usable(store, err);
    pthread_mutex_lock(&repo->lock);
    for (side = repo->sides; side && side->sink != sink; side = side->next)
        continue;
    if (!side)
        rc = open_side(store, sink, BK_INDEX_READ, &side, err);
    pthread_mutex_unlock(&repo->lock);
    *ret = side;
    return rc;
}

void bk_repo_forget(struct bk_store *store)
{
    struct bk_repo *repo = store->repo;

    while (repo && repo->sides) {
        struct bk_repo_side *side = repo->sides;

        repo->sides = side->next;
        side_free(side);
    }
    if (repo)
        repo->write = NULL;
}

int bk_repo_new(struct bk_store *store, struct bk_err *err)
{
    struct bk_repo *repo = calloc(1, sizeof(*repo));

    if (!repo)
        return bk_nomem(err);
    pthread_mutex_init(&repo->lock, NULL);
    store->repo = repo;
    return BAKE_OK;
}

void bk_repo_free(struct bk_store *store)
{
    struct bk_repo *repo = store->repo;

    if (!repo)
        return;
    bk_repo_end(store);
    bk_repo_forget(store);
    pthread_mutex_destroy(&repo->lock);
    free(repo);
    store->repo = NULL;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static int on_stored(void *arg, const bk_id *pack, uint64_t size, uint32_t head,
                     const struct bk_pack_table *table, struct bk_err *err)
{
    struct bk_repo *repo = arg;

    return bk_index_add(repo->write->index, pack, size, head, table, err);
}

int bk_repo_begin(struct bk_store *store, struct bk_err *err)
{
    struct bk_repo *repo = store->repo;
    struct bk_packer_opts opts = {
        .lanes = (size_t)store->pipeline->parallel, .stored = on_stored, .arg = repo};
    struct bk_sink *base = bk_store_base(store);
    int rc;

    if (!base)
        return bk_store_none_usable(store, err);
    bk_repo_forget(store); /* what was read before the intent stood is not relied upon */
    bk_chunker_init(&repo->chunker, store->chunker_seed);
    rc = open_side(store, base, 0, &repo->write, err);
    return rc < 0 ? rc : bk_packer_new(store, store->cancel, &opts, &repo->packer, err);
}

int bk_repo_put(struct bk_repo *repo, enum bk_pack_kind kind, const bk_id *id, const void *data,
                size_t n, bool *ret_new, struct bk_err *err)
{
    int rc = bk_index_claim(repo->write->index, id, err);

    *ret_new = rc == BAKE_END;
    return *ret_new ? bk_packer_add(repo->packer, kind, id, data, n, err) : rc;
}

/* What was stored belongs to the components by what was new in them. */
static void share_out(struct bk_manifest *m, uint64_t stored)
{
    double plain = 0;

    for (size_t i = 0; i < m->n_comps; i++)
        plain += (double)m->comps[i].bytes_new;
    for (size_t i = 0; i < m->n_comps && plain > 0; i++)
        m->comps[i].bytes_stored =
            (uint64_t)((double)m->comps[i].bytes_new * ((double)stored / plain));
}

static int put_list(struct bk_store *store, struct bk_manifest *m, const bk_id *ids, size_t n,
                    struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(m->id, BK_PACKS_NAME);
    int rc = name ? bk_packlist_write(ids, n, &text, err) : bk_nomem(err);

    if (rc < 0)
        return rc;
    if (bk_sha256_hex_of(text.data ? text.data : "", text.len, m->packs_sha256) < 0)
        return bk_nomem(err);
    m->n_packs = n;
    m->packs_size = text.len;
    return bk_store_put(store, name, text.data ? text.data : "", text.len, BAKE_PUT_IF_ABSENT, err);
}

int bk_repo_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err)
{
    struct bk_repo *repo = store->repo;
    struct bk_err why = {0};
    bk_id *ids BK_FREE = NULL;
    size_t n;
    int rc = bk_packer_flush(repo->packer, err);

    if (rc < 0)
        return rc;
    /* The packs' own tables say the same: without the index the next run only takes longer. */
    rc = bk_index_save(repo->write->index, &why);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM) {
        *err = why;
        return rc;
    }
    if (rc < 0)
        bk_log(BAKE_LOG_WARN, "the chunk index could not be saved: %s", why.text);
    rc = bk_lag_fill(store, err);
    if (rc >= 0)
        rc = bk_index_used(repo->write->index, &ids, &n, err);
    if (rc >= 0)
        rc = bk_mirrors_fill(store, repo->write->sink, ids, n, err);
    if (rc >= 0)
        rc = put_list(store, m, ids, n, err);
    if (rc >= 0)
        share_out(m, bk_packer_stored(repo->packer));
    return rc;
}

void bk_repo_end(struct bk_store *store)
{
    struct bk_repo *repo = store->repo;

    if (!repo || !repo->packer)
        return;
    bk_packer_free(repo->packer);
    repo->packer = NULL;
    bk_repo_forget(store);
}

uint64_t bk_repo_shared_memory(const struct bk_store *store)
{
    return bk_packer_memory(store, (size_t)store->pipeline->parallel) + WRITER_CACHE + INDEX_BYTES;
}
