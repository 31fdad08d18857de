/* Reading a component for a verification: every byte is fetched, decoded and digested, every file
 * compared with its own digest; and what is read is shown to the component's source. */
#include "run/verify_private.h"

#include "base/cleanup.h"

#define READ_BUFFER (256u << 10)

struct reading { /* one component */
    struct bk_check *k;
    struct bk_compr *r;
    struct bk_inspect *inspect; /* or NULL */
    char *buffer;
};

static void count_bytes(struct bk_check *k, uint64_t n)
{
    pthread_mutex_lock(&k->lock);
    k->bytes += n;
    pthread_mutex_unlock(&k->lock);
    atomic_fetch_add(&k->session->reporter->progress.bytes, n);
}

static void lost_file(void *arg, const char *path)
{
    struct bk_check *k = arg;
    struct bk_err why = {0};
    char shown[300];

    /* A big tree that is cut at its beginning loses a million files: a screenful is named. */
    if (k->lost++ >= 100)
        return;
    bk_fail(&why, BAKE_E_CORRUPT, "'%s' cannot be restored from %s",
            bk_printable(shown, sizeof(shown), path, strlen(path)), k->sink->label);
    bk_event_backup_error(k->session->reporter, k->manifest->id, k->comp->name, &why);
}

/* ---- contents apart -------------------------------------------------------------------------- */

static int check_content(void *arg, size_t hand, void *content, struct bk_err *err)
{
    struct bk_check *k = arg;
    uint64_t bytes = 0;
    int rc = bk_content_check(content, &bytes, err);

    (void)hand;
    bk_content_free(content);
    count_bytes(k, bytes);
    if (rc >= 0 || !bk_check_is_damage(rc))
        return rc < 0 ? rc : BAKE_OK;
    bk_check_damage(k, k->comp, err);
    bk_err_clear(err);
    return BAKE_OK;
}

static void drop_content(void *arg, void *content)
{
    (void)arg;
    bk_content_free(content);
}

static const struct bk_hands_ops checker = {.work = check_content, .drop = drop_content};

/* ---- in order -------------------------------------------------------------------------------- */

/* The source says that what it was given is not sound: that is damage of the component, and no
 * reason not to read on. */
static int judged(struct reading *x, int rc, struct bk_err *err)
{
    if (rc != BAKE_E_CORRUPT)
        return rc;
    bk_check_damage(x->k, x->k->comp, err);
    bk_err_clear(err);
    return BAKE_OK;
}

/* counted: by the hands. */
static int read_in_order(struct reading *x, bool shown, bool counted, struct bk_err *err)
{
    for (;;) {
        struct bake_out out = {x->buffer, READ_BUFFER, 0};
        int rc = bk_compr_read(x->r, &out, err), told = BAKE_OK;

        if (!counted)
            count_bytes(x->k, out.pos);
        if (rc >= 0 && shown)
            told = judged(x, bk_inspect_data(x->inspect, out.data, out.pos, err), err);
        if (rc != BAKE_OK || told < 0)
            return rc < 0 ? rc : told;
    }
}

/* Beside the hands, which prove what the store holds: what is damaged they say. */
static int show_too(struct reading *x, struct bk_err *err)
{
    int rc = bk_inspect_on(x->inspect) ? read_in_order(x, true, true, err) : BAKE_OK;

    if (rc >= 0 || bk_check_ends(rc))
        return rc;
    bk_inspect_off(x->inspect);
    bk_err_clear(err);
    return BAKE_OK;
}

/* The current file's bytes, or the blob's. *ret_apart: by the hands, whose failure it is then. */
static int read_data(struct reading *x, bool shown, bool *ret_apart, struct bk_err *err)
{
    struct bk_content *content;
    int rc = bk_compr_detach(x->r, &content, err);

    *ret_apart = rc != BAKE_END;
    if (rc == BAKE_END)
        return read_in_order(x, shown, false, err);
    if (rc >= 0)
        rc = bk_hands_give(x->k->hands, content, err);
    return rc >= 0 && shown ? show_too(x, err) : rc;
}

static int read_entry(struct reading *x, const struct bake_entry *e, bool *ret_apart,
                      struct bk_err *err)
{
    int shown = judged(x, bk_inspect_entry(x->inspect, e, err), err), rc = BAKE_OK;
    bool on = shown == BAKE_OK && bk_inspect_on(x->inspect);

    if (shown < 0)
        return shown;
    if (e->type == BAKE_FILE)
        rc = read_data(x, on, ret_apart, err);
    if (rc >= 0 && on)
        rc = judged(x, bk_inspect_entry_end(x->inspect, err), err);
    return rc;
}

static int read_tree(struct reading *x, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e = {0};
        bool apart = false;
        int rc = bk_compr_next(x->r, &e, err);

        if (rc == BAKE_END)
            return BAKE_OK;
        if (rc >= 0)
            rc = read_entry(x, &e, &apart, err);
        if (rc < 0 && (apart || !bk_compr_bad_entry(x->r))) {
            if (!apart && !bk_check_ends(rc) && e.path && e.type == BAKE_FILE)
                lost_file(x->k, e.path);
            return rc;
        }
        if (rc < 0) {
            bk_check_damage(x->k, x->k->comp, err);
            bk_inspect_off(x->inspect);
        }
        bk_err_clear(err);
        atomic_fetch_add(&x->k->session->reporter->progress.entries, 1);
    }
}

/* ---- components ------------------------------------------------------------------------------ */

static uint64_t damaged(struct bk_check *k)
{
    uint64_t n;

    pthread_mutex_lock(&k->lock);
    n = k->damaged;
    pthread_mutex_unlock(&k->lock);
    return n;
}

/* All of an open component; the hands have ended when it returns. */
static int read_open(struct reading *x, struct bk_err *err)
{
    struct bk_check *k = x->k;
    struct bk_err why = {0};
    bool apart;
    int rc = bk_hands_new(bk_hands_share(1), &checker, k, &k->hands, err), hands_rc = BAKE_OK;

    if (rc < 0)
        return rc;
    rc = k->comp->kind == BAKE_TREE ? read_tree(x, err)
                                    : read_data(x, bk_inspect_on(x->inspect), &apart, err);
    if (!bk_check_ends(rc))
        hands_rc = bk_hands_wait(k->hands, &why);
    bk_hands_free(k->hands);
    k->hands = NULL;
    if (hands_rc < 0 && (rc >= 0 || bk_check_ends(hands_rc))) {
        *err = why;
        rc = hands_rc;
    }
    return rc < 0 ? rc : bk_compr_finish(x->r, err);
}

/* before: how much was damaged before this component. Of what is not whole nothing is asked. */
static int conclude(struct reading *x, uint64_t before, struct bk_err *err)
{
    int rc;

    if (damaged(x->k) > before || !bk_inspect_on(x->inspect))
        return BAKE_OK;
    rc = bk_inspect_commit(x->inspect, err);
    if (rc >= 0 && bk_inspect_on(x->inspect))
        x->k->inspected++;
    return judged(x, rc, err);
}

static int open_and_read(struct reading *x, struct bk_err *err)
{
    struct bk_check *k = x->k;
    uint64_t before = damaged(k);
    int rc = bk_compr_open(k->session->store, k->sink, k->manifest, k->comp, BK_COMPR_PROVE,
                           k->session->cancel, &x->r, err);

    if (rc >= 0)
        rc = bk_inspect_open(k->session, k->sources, k->manifest, k->comp, &x->inspect, err);
    if (rc >= 0)
        rc = read_open(x, err);
    return rc < 0 ? rc : conclude(x, before, err);
}

int bk_check_read(struct bk_check *k, struct bk_err *err)
{
    char *buffer BK_FREE = malloc(READ_BUFFER);
    struct reading x = {.k = k, .buffer = buffer};
    struct bk_err why = {0};
    int rc;

    if (!buffer)
        return bk_nomem(err);
    k->lost = 0;
    rc = open_and_read(&x, &why);
    bk_inspect_free(x.inspect);
    if (rc < 0 && !bk_check_ends(rc)) {
        bk_check_damage(k, k->comp, &why);
        if (x.r)
            bk_compr_lost(x.r, lost_file, k);
    }
    bk_compr_free(x.r);
    if (!bk_check_ends(rc))
        return BAKE_OK;
    *err = why;
    return rc;
}
