/* Which packs are worth being rewritten. */
#include "base/cleanup.h"
#include "run/sweep_private.h"
#include "store/sealed.h"

#include <string.h>

#define KINDS 3 /* by enum bk_pack_kind */

struct choosing {
    struct bk_sweep *sweep;
    const struct bk_index_pack *packs;
    size_t n;
    uint64_t *live; /* plain bytes, by number */
    struct bk_chosen *chosen;
};

static uint64_t plain_of(const struct bk_index_pack *p)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < p->n_segments; i++)
        sum += p->segments[i].plain;
    return sum;
}

/* Only what backups need that were all read through; what is not needed goes anyway. */
static bool may_move(const struct choosing *c, size_t number)
{
    const struct bk_index_pack *p = &c->packs[number];
    const struct bk_sweep_pack *listed = bk_sweep_pack_of(c->sweep, &p->id);

    return p->counts && listed && listed->needed && !listed->fixed && !listed->condemned &&
           !listed->gone && plain_of(p) > 0;
}

/* Bytes in the sink that go when the pack is rewritten, about. */
static uint64_t dead_of(const struct choosing *c, size_t number)
{
    uint64_t plain = plain_of(&c->packs[number]), live = c->live[number];

    if (live >= plain)
        return 0;
    return (uint64_t)((double)c->packs[number].size * ((double)(plain - live) / (double)plain));
}

static void choose(struct choosing *c, size_t number)
{
    struct bk_chosen *to = c->chosen;

    if (to->is[number])
        return;
    to->is[number] = true;
    to->n++;
    to->plain += plain_of(&c->packs[number]);
    to->live += c->live[number];
    to->stored += c->packs[number].size;
    to->dead += dead_of(c, number);
}

/* Live bytes under plain / part. */
static bool under(const struct choosing *c, size_t number, uint64_t part)
{
    return c->live[number] * part < plain_of(&c->packs[number]);
}

static void choose_dead(struct choosing *c)
{
    uint64_t gain = 0, all = 0;

    for (size_t i = 0; i < c->n; i++) {
        all += c->packs[i].present ? c->packs[i].size : 0;
        if (may_move(c, i) && under(c, i, 2))
            gain += dead_of(c, i);
    }
    for (size_t i = 0; i < c->n; i++)
        if (may_move(c, i) &&
            under(c, i, gain >= BK_REWRITE_BYTES || gain >= all / BK_REWRITE_SHARE ? 2 : 4))
            choose(c, i);
}

/* Only the pack itself says of what kind it is. 0: it could not be read, now. */
static int kind_of(const struct choosing *c, size_t number, unsigned *ret, struct bk_err *err)
{
    struct bk_buf bytes BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    const struct bk_index_pack *p = &c->packs[number];
    struct bk_pack_head head;
    struct bk_err why = {0};
    char name[BK_PACK_NAME_CAP];
    int rc;

    bk_pack_name(&p->id, name);
    rc = bk_sealed_range(c->sweep->sink, name, 0, p->head, &bytes, &why);
    if (rc >= 0)
        rc = bk_pack_head_parse(bytes.data, bytes.len, &head, &why);
    if (rc >= 0)
        bk_strv_free(&head.transforms);
    *ret = rc >= 0 ? (unsigned)head.kind : 0;
    if (rc != BAKE_E_CANCELLED && rc != BAKE_E_NOMEM)
        return BAKE_OK;
    if (err)
        *err = why;
    return rc;
}

static bool is_small(const struct choosing *c, size_t number)
{
    return may_move(c, number) && plain_of(&c->packs[number]) < BK_REWRITE_SMALL;
}

static int choose_small(struct choosing *c, struct bk_err *err)
{
    unsigned char *kinds BK_FREE = calloc(c->n + 1, 1);
    size_t count[KINDS] = {0}, all = 0;

    if (!kinds)
        return bk_nomem(err);
    for (size_t i = 0; i < c->n; i++)
        all += is_small(c, i);
    for (size_t i = 0; i < c->n && all >= BK_REWRITE_MANY; i++) {
        unsigned kind = 0;
        int rc = is_small(c, i) ? kind_of(c, i, &kind, err) : BAKE_OK;

        if (rc < 0)
            return rc;
        kinds[i] = (unsigned char)kind;
        count[kind]++;
    }
    for (size_t i = 0; i < c->n; i++)
        if (kinds[i] > 0 && count[kinds[i]] >= BK_REWRITE_MANY)
            choose(c, i);
    return BAKE_OK;
}

int bk_sweep_choose(struct bk_sweep *s, struct bk_index *index, const struct bk_index_pack *packs,
                    size_t n, struct bk_chosen *ret, struct bk_err *err)
{
    struct choosing c = {.sweep = s, .packs = packs, .n = n, .chosen = ret};
    size_t n_live;
    int rc;

    memset(ret, 0, sizeof(*ret));
    ret->n_packs = n;
    ret->is = calloc(n + 1, sizeof(*ret->is));
    if (!ret->is)
        return bk_nomem(err);
    rc = bk_index_weigh(index, &c.live, &n_live, err);
    if (rc < 0)
        return rc;
    if (n_live < n) /* packs are never forgotten while the index is open */
        rc = bk_fail(err, BAKE_E_INTERNAL, "the index lost packs");
    if (rc >= 0) {
        choose_dead(&c);
        rc = choose_small(&c, err);
    }
    free(c.live);
    return rc;
}
