/* Copying entries and bytes from a component's reader to its target. */
#include "run/restore_component.h"

#include "base/cleanup.h"
#include "run/hands.h"
#include "run/target.h"
#include "store/comp.h"

#include <pthread.h>
#include <string.h>

#define READ_BUFFER (256u << 10)
#define LOST_SHOWN  100

struct hand { /* what one thread that makes files has of its own */
    struct bk_ctx ctx;
    char *buffer;
};

struct job {
    struct bk_session *session;
    const struct bk_restore_opts *opts;
    const struct bk_mcomp *comp;
    struct bk_compr *in;
    struct bk_target *out;
    char *buffer;
    struct bk_hands *hands; /* NULL: files are not made apart */
    struct hand hand[BK_HANDS_MAX];
    size_t n_hands;
    pthread_mutex_t lock; /* over ret */
    struct bk_restored *ret;
};

struct piece { /* a file that is made apart */
    struct bkc_file *file;
    struct bk_content *content;
};

static bool ends_all(int rc)
{
    return rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || rc == BAKE_E_NOSPACE ||
           rc == BAKE_E_INTERNAL;
}

/* What may be wrong with one content alone; the rest says that the store cannot be read. */
static bool is_damage(int rc)
{
    return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO;
}

static void on_report(void *arg, int severity, const char *subject, const char *text)
{
    struct job *job = arg;

    bk_event_note(job->session->reporter, severity, job->comp->name, subject, text);
}

/* Adds to a member of job->ret; what it was. */
static uint64_t add(struct job *job, uint64_t *member, uint64_t n)
{
    uint64_t was;

    pthread_mutex_lock(&job->lock);
    was = *member;
    *member += n;
    pthread_mutex_unlock(&job->lock);
    return was;
}

static void failed(struct job *job, const struct bk_err *why)
{
    add(job, &job->ret->failed, 1);
    bk_event_error(job->session->reporter, job->comp->name, why);
}

static void kept(struct job *job, const char *path)
{
    /* A restore over a living system can keep everything: a screenful is named. */
    if (add(job, &job->ret->kept, 1) < LOST_SHOWN)
        bk_event_note(job->session->reporter, BAKE_NOTICE, job->comp->name, path,
                      "exists, differs from the backup and is kept");
}

static void lost_file(void *arg, const char *path)
{
    struct job *job = arg;
    struct bk_err why = {0};
    char shown[300];

    if (!bk_path_wanted(&job->opts->paths, path) || add(job, &job->ret->failed, 1) >= LOST_SHOWN)
        return;
    bk_fail(&why, BAKE_E_CORRUPT, "'%s' is lost in the damaged part of the component",
            bk_printable(shown, sizeof(shown), path, strlen(path)));
    bk_event_error(job->session->reporter, job->comp->name, &why);
}

static void restored(struct job *job)
{
    add(job, &job->ret->entries, 1);
    atomic_fetch_add(&job->session->reporter->progress.entries, 1);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

struct pour {            /* one file's or blob's bytes, from where and to where */
    struct piece *piece; /* NULL: the reader's and the target's current one */
    struct bk_ctx *ctx;
    char *buffer;
    bool target_failed;
};

static int pour_out(struct job *job, struct pour *p, const struct bake_out *out, struct bk_err *err)
{
    int rc;

    if (out->pos == 0)
        return BAKE_OK;
    rc = p->piece ? bk_target_file_write(p->piece->file, p->ctx, out->data, out->pos, err)
                  : bk_target_write(job->out, out->data, out->pos, err);
    p->target_failed = rc < 0;
    return rc;
}

static int pour(struct job *job, struct pour *p, struct bk_err *err)
{
    uint64_t done = 0;
    int rc, put = BAKE_OK;

    do {
        struct bake_out out = {p->buffer, READ_BUFFER, 0};

        rc = p->piece ? bk_content_read(p->piece->content, &out, err)
                      : bk_compr_read(job->in, &out, err);
        if (rc >= 0)
            put = pour_out(job, p, &out, err);
        if (rc < 0 || put < 0)
            break;
        done += out.pos;
        atomic_fetch_add(&job->session->reporter->progress.bytes, out.pos);
    } while (rc != BAKE_END);
    add(job, &job->ret->bytes, done);
    return put < 0 ? put : rc < 0 ? rc : BAKE_OK;
}

/* What came of an entry that was put. OK also when only this one failed (which is said). */
static int settle(struct job *job, int rc, bool alone, struct bk_err *err)
{
    if (rc >= 0) {
        restored(job);
        return BAKE_OK;
    }
    if (!alone || ends_all(rc))
        return rc;
    failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}

/* What came of putting an entry, when it is not to be filled. */
static int not_put(struct job *job, int rc, const char *path, struct bk_err *err)
{
    if (rc < 0 && ends_all(rc))
        return rc;
    if (rc == BAKE_END)
        add(job, &job->ret->entries, 1);
    else if (rc == BAKE_E_EXISTS)
        kept(job, path);
    else
        failed(job, err);
    bk_err_clear(err);
    return BAKE_OK;
}

/* ---- files apart ----------------------------------------------------------------------------- */

static void drop_piece(void *arg, void *p)
{
    struct piece *piece = p;

    (void)arg;
    bkc_file_free(piece->file);
    bk_content_free(piece->content);
    free(piece);
}

static int fill_piece(struct job *job, struct piece *piece, struct hand *hand, struct bk_err *err)
{
    struct pour p = {piece, &hand->ctx, hand->buffer, false};
    struct bk_err end = {0};
    int rc = pour(job, &p, err);
    bool alone = p.target_failed || is_damage(rc);
    int end_rc = bk_target_file_end(piece->file, &hand->ctx, rc >= 0, &end);

    if (rc >= 0 && end_rc < 0) {
        *err = end;
        rc = end_rc;
        alone = true;
    }
    return settle(job, rc, alone, err);
}

static int make_piece(void *arg, size_t number, void *p, struct bk_err *err)
{
    struct job *job = arg;
    struct piece *piece = p;
    struct hand *hand = &job->hand[number];
    int rc = bk_target_file_begin(piece->file, &hand->ctx, err);

    if (rc == BAKE_OK)
        rc = fill_piece(job, piece, hand, err);
    else
        rc = not_put(job, rc, bkc_file_path(piece->file), err);
    drop_piece(NULL, piece);
    return rc;
}

/* Takes the content over. */
static int give_piece(struct job *job, const struct bake_entry *e, struct bk_content *content,
                      struct bk_err *err)
{
    struct piece *piece = calloc(1, sizeof(*piece));
    int rc;

    if (!piece) {
        bk_content_free(content);
        return bk_nomem(err);
    }
    piece->content = content;
    rc = bk_target_file(job->out, e, &piece->file, err);
    if (rc == BAKE_OK)
        return bk_hands_give(job->hands, piece, err);
    drop_piece(NULL, piece);
    return not_put(job, rc, e->path, err);
}

static const struct bk_hands_ops maker = {.work = make_piece, .drop = drop_piece};

static int open_hands(struct job *job, size_t n, struct bk_err *err)
{
    if (!bk_target_apart(job->out))
        return BAKE_OK;
    job->n_hands = n < BK_HANDS_MAX ? n : BK_HANDS_MAX;
    for (size_t i = 0; i < job->n_hands; i++) {
        bk_target_ctx(job->out, &job->hand[i].ctx);
        job->hand[i].buffer = malloc(READ_BUFFER);
        if (!job->hand[i].buffer)
            return bk_nomem(err);
    }
    return bk_hands_new(job->n_hands, &maker, job, &job->hands, err);
}

static void close_hands(struct job *job)
{
    bk_hands_free(job->hands);
    job->hands = NULL;
    for (size_t i = 0; i < job->n_hands; i++)
        free(job->hand[i].buffer);
    job->n_hands = 0;
}

/* ---- entries --------------------------------------------------------------------------------- */

/* After put_entry. OK also when only this entry failed (it was reported). */
static int fill_entry(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    struct pour p = {.buffer = job->buffer};
    struct bk_err end = {0};
    int rc = e->type == BAKE_FILE ? pour(job, &p, err) : BAKE_OK, end_rc;
    bool alone = rc < 0 && (p.target_failed || bk_compr_bad_entry(job->in));

    end_rc = bk_target_entry_end(job->out, rc >= 0, &end);
    if (rc >= 0 && end_rc < 0) {
        *err = end;
        rc = end_rc;
        alone = true;
    }
    if (rc < 0 && !alone && !ends_all(rc)) /* damaged from here on: this file is lost first */
        lost_file(job, e->path);
    return settle(job, rc, alone, err);
}

static int restore_entry(struct job *job, const struct bake_entry *e, struct bk_err *err)
{
    struct bk_content *content;
    int rc = BAKE_END;

    if (!bk_path_wanted(&job->opts->paths, e->path))
        return BAKE_OK;
    if (job->hands && e->type == BAKE_FILE)
        rc = bk_compr_detach(job->in, &content, err);
    if (rc < 0)
        return rc;
    if (rc == BAKE_OK)
        return give_piece(job, e, content, err);
    rc = bk_target_put(job->out, e, err);
    return rc == BAKE_OK ? fill_entry(job, e, err) : not_put(job, rc, e->path, err);
}

static int restore_tree(struct job *job, struct bk_err *err)
{
    for (;;) {
        struct bake_entry e;
        int rc = bk_compr_next(job->in, &e, err);

        if (rc == BAKE_OK)
            rc = restore_entry(job, &e, err);
        if (rc != BAKE_OK)
            return rc < 0 ? rc : BAKE_OK;
    }
}

/* Lets the hands finish what was given; their failure counts if there is none before. */
static int wait_hands(struct job *job, int rc, struct bk_err *err)
{
    struct bk_err why = {0};
    int hands_rc = job->hands && !ends_all(rc) ? bk_hands_wait(job->hands, &why) : BAKE_OK;

    close_hands(job);
    if (hands_rc < 0 && (rc >= 0 || ends_all(hands_rc))) {
        *err = why;
        return hands_rc;
    }
    return rc;
}

static int restore_blob(struct job *job, struct bk_err *err)
{
    struct pour p = {.buffer = job->buffer};
    int rc = pour(job, &p, err);

    if (rc >= 0)
        add(job, &job->ret->entries, 1);
    return rc;
}

static int copy_all(struct job *job, struct bk_err *err)
{
    int rc = job->comp->kind == BAKE_TREE ? wait_hands(job, restore_tree(job, err), err)
                                          : restore_blob(job, err);

    if (rc >= 0)
        rc = bk_compr_finish(job->in, err);
    /* Files that were checked by their own digests stay, though the rest be damaged; a blob is
     * whole or nothing. */
    if (rc < 0 && (job->comp->kind == BAKE_BLOB || ends_all(rc)))
        return rc;
    if (rc < 0) {
        struct bk_err ignored = {0};

        (void)bk_target_commit(job->out, &ignored);
        return rc;
    }
    return bk_target_commit(job->out, err);
}

static int open_and_copy(struct job *job, const struct bk_manifest *m, size_t hands,
                         struct bk_err *err)
{
    struct bk_target_opts t = {job->opts->target, job->opts->force, job->session->cancel, on_report,
                               job};
    /* What is not asked for is not to be fetched ahead. */
    unsigned flags = job->opts->paths.n > 0 ? BK_COMPR_FEW : 0;
    int rc;

    rc = bk_compr_open(job->session->store, bk_store_base(job->session->store), m, job->comp, flags,
                       job->session->cancel, &job->in, err);
    if (rc < 0)
        return rc;
    rc = bk_target_open(job->session, job->comp, &t, &job->out, err);
    if (rc >= 0) {
        rc = open_hands(job, hands, err);
        if (rc >= 0)
            rc = copy_all(job, err);
        close_hands(job);
        bk_target_close(job->out);
    }
    if (rc < 0 && !ends_all(rc))
        bk_compr_lost(job->in, lost_file, job);
    bk_compr_free(job->in);
    return rc;
}

int bk_restore_component(struct bk_session *s, const struct bk_restore_opts *opts,
                         const struct bk_manifest *m, const struct bk_mcomp *c, size_t hands,
                         struct bk_restored *ret, struct bk_err *err)
{
    struct job job = {.session = s, .opts = opts, .comp = c, .ret = ret};
    struct bk_err why = {0};
    int rc;

    pthread_mutex_init(&job.lock, NULL);
    if (c->status == BK_STATUS_FAILED)
        rc = bk_fail(&why, BAKE_E_NOTFOUND, "component '%s' had failed in this backup: %s", c->name,
                     c->error ? c->error : "unknown why");
    else if (!(job.buffer = malloc(READ_BUFFER)))
        rc = bk_nomem(&why);
    else
        rc = open_and_copy(&job, m, hands, &why);
    free(job.buffer);
    pthread_mutex_destroy(&job.lock);
    if (rc >= 0)
        return BAKE_OK;
    if (ends_all(rc)) {
        *err = why;
        return rc;
    }
    ret->fatal = true;
    bk_event_error(s->reporter, c->name, &why);
    if (ret->failed > LOST_SHOWN)
        bk_event_note(s->reporter, BAKE_PARTIAL, c->name, NULL,
                      "more files are lost than are named here; the summary counts them");
    return BAKE_OK;
}

int bk_restore_count(struct bk_session *s, const struct bk_restore_opts *opts,
                     const struct bk_manifest *m, const struct bk_mcomp *c, uint64_t *ret_entries,
                     uint64_t *ret_bytes, struct bk_err *err)
{
    struct bk_compr *r;
    int rc;

    *ret_entries = *ret_bytes = 0;
    if (c->kind != BAKE_TREE || c->status == BK_STATUS_FAILED)
        return BAKE_OK;
    rc = bk_compr_open(s->store, bk_store_base(s->store), m, c, BK_COMPR_LIST, s->cancel, &r, err);
    if (rc < 0)
        return rc;
    for (;;) {
        struct bake_entry e;

        rc = bk_compr_next(r, &e, err);
        if (rc != BAKE_OK)
            break;
        if (!bk_path_wanted(&opts->paths, e.path))
            continue;
        ++*ret_entries;
        *ret_bytes += e.type == BAKE_FILE ? e.size : 0;
    }
    bk_compr_free(r);
    return rc < 0 ? rc : BAKE_OK;
}
