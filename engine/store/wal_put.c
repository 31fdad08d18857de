/* Putting a log into the archive: read twice (its digest stands before its bytes), encoded once
 * for all sinks that do not have it yet. */
#include "store/wal.h"

#include "base/cleanup.h"
#include "base/codec.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ATTEMPTS      5
#define FIRST_WAIT_MS 500u
#define READ_BUFFER   (256u << 10)

enum state { WANTED, HAS_IT, FAILED };

struct side { /* one sink's */
    enum state state;
    void *put; /* under way, or NULL */
    struct bk_ctx ctx;
    struct bk_err err; /* why it has FAILED, or the last attempt did */
};

struct put {
    struct bk_store *store;
    const char *object, *path;
    int fd;
    char *buffer;
    struct bk_wal_facts facts;
    struct side *sides;
    bool conflict; /* one has other bytes of this name */
};

/* ---- the file -------------------------------------------------------------------------------- */

static int open_file(struct put *p, struct bk_err *err)
{
    struct stat st;

    p->fd = open(p->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (p->fd < 0)
        return bk_fail_errno(err, errno, "cannot open '%s'", p->path);
    if (fstat(p->fd, &st) < 0)
        return bk_fail_errno(err, errno, "cannot look at '%s'", p->path);
    if (!S_ISREG(st.st_mode))
        return bk_fail(err, BAKE_E_IO, "'%s' is not a regular file", p->path);
    return BAKE_OK;
}

/* Calls each() for all of the file; *ret_facts is what came by. */
static int read_file(struct put *p,
                     int (*each)(void *arg, const void *data, size_t n, struct bk_err *err),
                     void *arg, struct bk_wal_facts *ret_facts, struct bk_err *err)
{
    struct bk_sha256 *sha;
    int rc = bk_sha256_new(&sha, err);

    if (rc < 0)
        return rc;
    ret_facts->size = 0;
    if (lseek(p->fd, 0, SEEK_SET) < 0)
        rc = bk_fail_errno(err, errno, "cannot read '%s'", p->path);
    while (rc >= 0) {
        ssize_t n = bk_read_full(p->fd, p->buffer, READ_BUFFER);

        if (n < 0)
            rc = bk_fail_errno(err, errno, "cannot read '%s'", p->path);
        else if (bk_cancelled(p->store->cancel))
            rc = bk_fail(err, BAKE_E_CANCELLED, "cancelled");
        if (rc < 0 || n == 0)
            break;
        bk_sha256_add(sha, p->buffer, (size_t)n);
        ret_facts->size += (uint64_t)n;
        if (each)
            rc = each(arg, p->buffer, (size_t)n, err);
    }
    bk_sha256_end(sha, ret_facts->sha256);
    bk_sha256_free(sha);
    return rc < 0 ? rc : BAKE_OK;
}

/* ---- is it there already? -------------------------------------------------------------------- */

static int compare(void *arg, const struct bk_wal_facts *facts, struct bk_err *err)
{
    const struct put *p = arg;

    if (facts->size == p->facts.size && memcmp(facts->sha256, p->facts.sha256, BK_SHA256_LEN) == 0)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_EXISTS,
                   "it is there already with other bytes; nothing is changed\n"
                   "HINT: do two servers that were copied from each other write to one store?");
}

/* What stands there under its name is ours if it says that it has the same size and digest, and has
 * them: whoever is told that it is stored throws away its own. */
static void check_there(struct put *p, size_t i)
{
    const struct bk_wal_taker taker = {.begin = compare, .arg = p};
    struct side *side = &p->sides[i];
    int rc = bk_wal_read(p->store, &p->store->sinks[i], p->object, &taker, &side->err);

    side->state = rc >= 0 ? HAS_IT : FAILED;
    p->conflict |= rc == BAKE_E_EXISTS;
    if (rc >= 0)
        bk_err_clear(&side->err);
    else if (rc == BAKE_E_CORRUPT)
        bk_hint(&side->err, "what stands there is damaged: remove it, so that it can be put again");
}

/* That one is there is found by putting it: only that makes sure that it is durable, too, though
 * its writer was killed. */
static void look(struct put *p)
{
    for (size_t i = 0; i < p->store->n_sinks; i++) {
        struct side *side = &p->sides[i];

        side->state = bk_store_sink_ok(p->store, i) ? WANTED : FAILED;
        if (side->state == FAILED)
            side->err = p->store->failed[i];
    }
}

/* ---- one attempt ----------------------------------------------------------------------------- */

static bool is_transient(int rc) { return rc == BAKE_E_UNAVAILABLE || rc == BAKE_E_TIMEOUT; }

/* rc: of a call on this put, which is over. What is transient may be tried again. */
static void put_failed(struct put *p, size_t i, int rc)
{
    struct side *side = &p->sides[i];

    side->put = NULL;
    rc = bk_ctx_fail(&side->ctx, rc, &side->err);
    if (rc == BAKE_E_EXISTS)
        check_there(p, i); /* another was faster, or an answer was lost */
    else if (!is_transient(rc))
        side->state = FAILED;
}

static int begin_puts(struct put *p, struct bk_err *err)
{
    size_t open = 0;

    for (size_t i = 0; i < p->store->n_sinks; i++) {
        struct bk_sink *sink = &p->store->sinks[i];
        struct side *side = &p->sides[i];
        int rc;

        if (side->state != WANTED)
            continue;
        bk_sink_ctx(sink, NULL, &side->ctx);
        rc = sink->ops->put_begin(sink->self, &side->ctx.base, p->object, 0, BAKE_PUT_IF_ABSENT,
                                  &side->put);
        if (rc < 0)
            put_failed(p, i, rc);
        open += rc >= 0;
    }
    return open > 0 ? BAKE_OK : bk_fail(err, BAKE_E_UNAVAILABLE, "no sink takes it");
}

static int to_sinks(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct put *p = arg;
    size_t open = 0;

    for (size_t i = 0; i < p->store->n_sinks && n > 0; i++) {
        const struct bake_sink_ops *ops = p->store->sinks[i].ops;
        struct side *side = &p->sides[i];
        struct bake_in in = {data, n, 0};
        void *put = side->put;
        int rc;

        if (!put)
            continue;
        rc = ops->put_write(put, &in);
        if (rc >= 0 && in.pos != n)
            rc = bake_fail(&side->ctx.base, BAKE_E_INTERNAL,
                           "took only a part of '%s': a bug in the plugin", p->object);
        if (rc < 0) {
            ops->put_abort(put);
            put_failed(p, i, rc);
        }
        open += rc >= 0;
    }
    return n == 0 || open > 0 ? BAKE_OK : bk_fail(err, BAKE_E_UNAVAILABLE, "no sink takes it");
}

static int to_chain(void *arg, const void *data, size_t n, struct bk_err *err)
{
    return bk_chain_push(arg, data, n, err);
}

/* The transformed part. */
static int encode(struct put *p, struct bk_chain *chain, struct bk_err *err)
{
    struct bk_buf first BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_wal_facts again;
    int rc;

    bk_put_u64(&first, p->facts.size);
    bk_buf_add(&first, p->facts.sha256, BK_SHA256_LEN);
    rc = first.failed ? bk_nomem(err) : bk_chain_push(chain, first.data, first.len, err);
    if (rc >= 0)
        rc = read_file(p, to_chain, chain, &again, err);
    if (rc >= 0 &&
        (again.size != p->facts.size || memcmp(again.sha256, p->facts.sha256, BK_SHA256_LEN) != 0))
        rc = bk_fail(err, BAKE_E_IO, "'%s' changed while it was read", p->path);
    return rc < 0 ? rc : bk_chain_finish(chain, err);
}

static int write_head(struct put *p, struct bk_err *err)
{
    struct bk_buf head BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_strv names BK_CLEANUP(bk_strv_free) = {0};

    for (size_t i = 0; i < p->store->n_transforms; i++)
        if (bk_strv_add(&names, p->store->transforms[i].plugin->desc.name) < 0)
            return bk_nomem(err);
    bk_wal_head_write(&names, &head);
    return head.failed ? bk_nomem(err) : to_sinks(p, head.data, head.len, err);
}

static int write_all(struct put *p, struct bk_err *err)
{
    struct bk_store *s = p->store;
    struct bk_chain *chain = NULL;
    int rc = write_head(p, err);

    if (rc < 0)
        return rc;
    rc = bk_chain_new(s->transforms, s->n_transforms, BAKE_FORWARD, BAKE_ONE_THREAD, s->cancel,
                      to_sinks, p, &chain, err);
    if (rc >= 0)
        rc = encode(p, chain, err);
    bk_chain_free(chain);
    return rc;
}

static void end_puts(struct put *p, bool good)
{
    for (size_t i = 0; i < p->store->n_sinks; i++) {
        const struct bake_sink_ops *ops = p->store->sinks[i].ops;
        struct side *side = &p->sides[i];
        void *put = side->put;
        int rc;

        if (!put)
            continue;
        side->put = NULL;
        if (!good) {
            ops->put_abort(put);
            continue;
        }
        rc = ops->put_end(put);
        if (rc < 0)
            put_failed(p, i, rc);
        else
            side->state = HAS_IT;
    }
}

static size_t count(const struct put *p, enum state state)
{
    size_t n = 0;

    for (size_t i = 0; i < p->store->n_sinks; i++)
        n += p->sides[i].state == state;
    return n;
}

/* Once for all that want it. A failure that is no sink's ends it: the file's, the transforms'. */
static int attempt(struct put *p, struct bk_err *err)
{
    struct bk_err why = {0};
    size_t before = count(p, WANTED);
    int rc = begin_puts(p, &why);

    if (rc >= 0)
        rc = write_all(p, &why);
    end_puts(p, rc >= 0);
    if (bk_cancelled(p->store->cancel))
        return bk_fail(err, BAKE_E_CANCELLED, "cancelled");
    /* "No sink takes it" is no more than what the sinks have said by themselves. */
    if (rc >= 0 || rc == BAKE_E_UNAVAILABLE || count(p, WANTED) < before)
        return BAKE_OK;
    *err = why;
    return rc;
}

static int put_wanted(struct put *p, struct bk_err *err)
{
    for (int i = 0; i < ATTEMPTS && count(p, WANTED) > 0; i++) {
        int rc = i > 0 ? bk_cancel_sleep(p->store->cancel, FIRST_WAIT_MS << (i - 1)) : BAKE_OK;

        if (rc < 0)
            return bk_fail(err, rc, "cancelled");
        rc = attempt(p, err);
        if (rc < 0)
            return rc;
    }
    return BAKE_OK;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static int judge(const struct put *p, struct bk_err *err)
{
    const struct bk_store *s = p->store;
    size_t has = count(p, HAS_IT), need = bk_wal_required(s);
    const struct bk_err *why = NULL;

    for (size_t i = 0; i < s->n_sinks; i++) {
        const struct side *side = &p->sides[i];

        if (side->state == HAS_IT)
            continue;
        if (!why || side->err.rc == BAKE_E_EXISTS)
            why = &side->err;
        if (has >= need && !p->conflict)
            bk_log(BAKE_LOG_WARN, "%s lacks log '%s': %s", s->sinks[i].label,
                   p->object + strlen(BK_WAL), side->err.text);
    }
    if (!why || (has >= need && !p->conflict))
        return BAKE_OK;
    if (err)
        *err = *why;
    if (has == 0 || p->conflict)
        return why->rc;
    (void)bk_prefix(err, "log '%s' is in %zu of %zu sinks, 'require' asks for %zu",
                    p->object + strlen(BK_WAL), has, s->n_sinks, need);
    return why->rc;
}

int bk_wal_put(struct bk_store *s, const char *stream, const char *name, const char *path,
               struct bk_err *err)
{
    char object[BK_WAL_NAME_CAP];
    struct put p = {.store = s, .object = object, .path = path, .fd = -1};
    struct bk_err why = {0};
    int rc = bk_wal_object(stream, name, object, &why);

    if (rc >= 0) {
        p.sides = calloc(s->n_sinks + 1, sizeof(*p.sides));
        p.buffer = malloc(READ_BUFFER);
        rc = p.sides && p.buffer ? open_file(&p, &why) : bk_nomem(&why);
    }
    if (rc >= 0)
        rc = read_file(&p, NULL, NULL, &p.facts, &why);
    if (rc >= 0) {
        look(&p);
        rc = put_wanted(&p, &why);
    }
    if (rc >= 0)
        rc = judge(&p, &why);
    if (rc < 0 && err)
        *err = why;
    bk_close_p(&p.fd);
    free(p.buffer);
    free(p.sides);
    return rc;
}
