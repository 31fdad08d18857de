/* The bundles of a run: one for each group, begun with its first component. */
#include "store/bundle_private.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <time.h>

bool bk_bundles_wanted(const struct bk_store *store)
{
    return store->pipeline->bundle != BK_BUNDLE_NONE && store->format == BK_FORMAT_ARCHIVE;
}

/* ---- turns ----------------------------------------------------------------------------------- */

int bk_bundle_enter(struct bk_bundlew *b, struct bk_cancel *cancel, struct bk_err *err)
{
    struct bk_bundles *all = b->all;
    int rc = BAKE_OK;

    pthread_mutex_lock(&all->lock);
    while (b->busy && rc >= 0) {
        struct timespec until;

        (void)clock_gettime(CLOCK_MONOTONIC, &until); /* a cancel does not signal: look at it */
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&all->turn, &all->lock, &until);
        if (cancel && bk_cancelled(cancel))
            rc = bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    }
    if (rc >= 0 && b->ended)
        rc = bk_fail(err, BAKE_E_INTERNAL, "the bundle of '%s' has ended", b->group);
    if (rc >= 0 && b->failed.rc < 0) {
        rc = b->failed.rc;
        if (err)
            *err = b->failed;
    }
    b->busy = b->busy || rc >= 0;
    pthread_mutex_unlock(&all->lock);
    return rc;
}

void bk_bundle_leave(struct bk_bundlew *b)
{
    pthread_mutex_lock(&b->all->lock);
    b->busy = false;
    pthread_cond_broadcast(&b->all->turn);
    pthread_mutex_unlock(&b->all->lock);
}

void bk_bundle_note(struct bk_bundlew *b, const struct bk_err *why)
{
    pthread_mutex_lock(&b->all->lock);
    if (b->failed.rc == 0) {
        b->failed = *why;
        bk_prefix(&b->failed, "bundle of '%s'", b->group);
    }
    pthread_mutex_unlock(&b->all->lock);
}

int bk_bundle_check(struct bk_bundlew *b, int rc, struct bk_err *err)
{
    if (rc >= 0 || rc == BAKE_E_UNSUPPORTED) /* the entry was refused: nothing of it is there */
        return rc;
    if (rc == BAKE_E_CANCELLED && b->flow) /* a stage has failed, or all is cancelled */
        rc = bk_flow_wait(b->flow, err);
    if (rc >= 0 || err->rc == 0)
        bk_fail(err, BAKE_E_INTERNAL, "it cannot be written");
    bk_bundle_note(b, err);
    *err = b->failed;
    return err->rc;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int tar_out(void *arg, const void *data, size_t n)
{
    struct bk_bundlew *b = arg;

    return bk_objw_write(b->data, data, n);
}

/* It stands in every sink before the bundle does. */
static int announce(struct bk_bundlew *b, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    int rc;

    bk_json_set_str(j, "backup", b->all->id);
    bk_json_set_str(j, "group", b->group);
    bk_json_set_str(j, "bundle", b->name);
    rc = bk_json_seal(j, &text, err);
    return rc < 0 ? rc
                  : bk_store_put(b->all->store, b->marker, text.data, text.len, BAKE_PUT_IF_ABSENT,
                                 err);
}

static int open_object(struct bk_bundlew *b, struct bk_err *err)
{
    struct bk_store *store = b->all->store;
    int rc = bk_bundle_name(b, err);

    if (rc < 0 || (rc = announce(b, err)) < 0 ||
        (rc = bk_flow_new(store->cancel, &b->flow, err)) < 0 ||
        (rc = bk_objw_open(b->flow, store, b->name, 0, &b->data, err)) < 0)
        return rc;
    return bk_tarw_new(tar_out, b, &b->tar, err);
}

/* A directory that leads to components. */
static int add_dir(struct bk_bundlew *b, const char *path, size_t n, struct bk_err *err)
{
    char *dir BK_FREE = strndup(path, n);
    struct bake_entry e = {.struct_size = sizeof(e), .type = BAKE_DIR, .mode = 0755};
    int rc;

    if (!dir)
        return bk_nomem(err);
    if (bk_strv_has(&b->dirs, dir))
        return BAKE_OK;
    e.path = dir;
    e.mtime_ns = b->all->start_ns;
    e.valid = BAKE_HAS_MODE | BAKE_HAS_MTIME;
    rc = bk_tarw_entry(b->tar, &e, err);
    if (rc >= 0)
        rc = bk_tarw_end_entry(b->tar, err);
    if (rc < 0)
        return bk_bundle_check(b, rc, err);
    b->entries++;
    return bk_strv_add(&b->dirs, dir) < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_bundle_start(struct bk_bundlew *b, const char *path, struct bk_err *err)
{
    int rc = BAKE_OK;

    if (!b->tar) {
        rc = open_object(b, err);
        if (rc < 0)
            return bk_bundle_check(b, rc, err);
    }
    for (const char *slash = strchr(path, '/'); slash && rc >= 0; slash = strchr(slash + 1, '/'))
        rc = add_dir(b, path, (size_t)(slash - path), err);
    return rc;
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* Nothing of it is to stay: first the bundle goes, then what announces it. */
void bk_bundle_remove(struct bk_bundlew *b)
{
    struct bk_err ignored;

    if (!b->marker)
        return;
    /* What cannot be removed now is garbage that is still announced: prune collects it. */
    if (!b->stored || bk_store_remove(b->all->store, b->name, &ignored) >= 0)
        (void)bk_store_remove(b->all->store, b->marker, &ignored);
    b->stored = false;
}

static int close_object(struct bk_bundlew *b, struct bk_err *err)
{
    int rc = bk_tarw_finish(b->tar, err);

    if (rc >= 0) {
        bk_objw_end(b->data);
        rc = bk_flow_wait(b->flow, err);
    }
    if (rc < 0)
        return bk_bundle_check(b, rc, err);
    bk_objw_result(b->data, &b->result);
    return BAKE_OK;
}

static int end_one(struct bk_bundlew *b, struct bk_err *err)
{
    int rc = b->failed.rc;

    if (rc < 0)
        *err = b->failed;
    if (rc >= 0 && b->tar && b->whole > 0)
        rc = close_object(b, err);
    if (b->flow)
        bk_flow_stop(b->flow);
    b->stored = b->data && bk_objw_stored(b->data);
    bk_tarw_free(b->tar);
    b->tar = NULL;
    bk_objw_free(b->data);
    b->data = NULL;
    if (rc < 0 || b->whole == 0)
        bk_bundle_remove(b);
    return rc;
}

static struct bk_bundlew *find(struct bk_bundles *all, const char *group)
{
    struct bk_bundlew *b = all->first;

    while (b && !bk_streq(b->group, group))
        b = b->next;
    return b;
}

/* Waits for whose turn it is: without a cancel, as that one sees it too. */
int bk_bundle_end(struct bk_bundlew *b, struct bk_err *err)
{
    struct bk_bundles *all = b->all;
    bool mine;
    int rc = BAKE_OK;

    pthread_mutex_lock(&all->lock);
    while (b->busy)
        pthread_cond_wait(&all->turn, &all->lock);
    mine = !b->ended;
    b->busy = mine;
    b->ended = true;
    pthread_mutex_unlock(&all->lock);
    if (mine) {
        rc = end_one(b, err);
        bk_bundle_leave(b);
    }
    return rc;
}

int bk_bundles_group_end(struct bk_store *store, const char *group, struct bk_err *err)
{
    struct bk_bundles *all = store->bundles;
    struct bk_bundlew *b;
    struct bk_err unsaid = {0};

    if (!all || !group)
        return BAKE_OK;
    pthread_mutex_lock(&all->lock);
    b = find(all, group);
    pthread_mutex_unlock(&all->lock);
    return b ? bk_bundle_end(b, err ? err : &unsaid) : BAKE_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

int bk_bundles_begin(struct bk_store *store, const struct bk_manifest *head, struct bk_err *err)
{
    struct bk_bundles *all;
    pthread_condattr_t monotonic;

    if (!bk_bundles_wanted(store) || !head)
        return BAKE_OK;
    all = calloc(1, sizeof(*all));
    if (!all)
        return bk_nomem(err);
    all->store = store;
    all->start_ns = head->start_ns;
    (void)snprintf(all->id, sizeof(all->id), "%s", head->id);
    all->host = bk_strdup(head->host ? head->host : "");
    pthread_mutex_init(&all->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->turn, &monotonic);
    pthread_condattr_destroy(&monotonic);
    store->bundles = all;
    return all->host ? BAKE_OK : bk_nomem(err);
}

static void bundle_free(struct bk_bundlew *b)
{
    if (b->flow)
        bk_flow_stop(b->flow);
    bk_tarw_free(b->tar);
    bk_objw_free(b->data);
    bk_flow_free(b->flow);
    bk_strv_free(&b->dirs);
    bk_strv_free(&b->inside);
    free(b->group);
    free(b->name);
    free(b->marker);
    free(b);
}

void bk_bundles_end(struct bk_store *store)
{
    struct bk_bundles *all = store->bundles;

    if (!all)
        return;
    while (all->first) {
        struct bk_bundlew *b = all->first;

        all->first = b->next;
        bundle_free(b);
    }
    pthread_cond_destroy(&all->turn);
    pthread_mutex_destroy(&all->lock);
    free(all->host);
    free(all);
    store->bundles = NULL;
}

/* ---- components ------------------------------------------------------------------------------ */

static struct bk_bundlew *add_bundle(struct bk_bundles *all, const char *group)
{
    struct bk_bundlew *b = calloc(1, sizeof(*b));

    if (!b || !(b->group = bk_strdup(group))) {
        free(b);
        return NULL;
    }
    b->all = all;
    b->next = all->first;
    all->first = b;
    return b;
}

int bk_bundle_join(struct bk_store *store, const char *group, const char *path,
                   struct bk_bundlew **ret, struct bk_err *err)
{
    struct bk_bundles *all = store->bundles;
    struct bk_bundlew *b;
    int rc = BAKE_OK;

    if (!all)
        return bk_fail(err, BAKE_E_INTERNAL, "a component is written before the backup began");
    pthread_mutex_lock(&all->lock);
    b = find(all, group);
    if (!b)
        b = add_bundle(all, group);
    if (!b)
        rc = bk_nomem(err);
    else if (bk_strv_has(&b->inside, path))
        rc = bk_fail(err, BAKE_E_CONFIG, "there are two '%s' in the bundle of '%s'", path, group);
    else if (bk_strv_add(&b->inside, path) < 0)
        rc = bk_nomem(err);
    pthread_mutex_unlock(&all->lock);
    *ret = b;
    return rc;
}
