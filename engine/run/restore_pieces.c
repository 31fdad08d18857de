/* Files of a component that are made by several threads, each with its content. */
#include "run/restore_job.h"

#include <stdlib.h>

/* What may be wrong with one content alone; the rest says that the store cannot be read. */
static bool is_damage(int rc)
{
    return rc == BAKE_E_CORRUPT || rc == BAKE_E_NOTFOUND || rc == BAKE_E_IO;
}

static void drop_piece(void *arg, void *p)
{
    struct bk_piece *piece = p;

    (void)arg;
    bkc_file_free(piece->file);
    bk_content_free(piece->content);
    free(piece);
}

static int fill_piece(struct bk_job *job, struct bk_piece *piece, struct bk_hand *hand,
                      struct bk_err *err)
{
    struct bk_pour p = {piece, &hand->ctx, hand->buffer, false};
    struct bk_err end = {0};
    int rc = bk_job_pour(job, &p, err);
    bool alone = p.target_failed || is_damage(rc);
    int end_rc = bk_target_file_end(piece->file, &hand->ctx, rc >= 0, &end);

    if (rc >= 0 && end_rc < 0) {
        *err = end;
        rc = end_rc;
        alone = true;
    }
    return bk_job_settle(job, rc, alone, err);
}

static int make_piece(void *arg, size_t number, void *p, struct bk_err *err)
{
    struct bk_job *job = arg;
    struct bk_piece *piece = p;
    struct bk_hand *hand = &job->hand[number];
    int rc = bk_target_file_begin(piece->file, &hand->ctx, err);

    if (rc == BAKE_OK)
        rc = fill_piece(job, piece, hand, err);
    else
        rc = bk_job_not_put(job, rc, bkc_file_path(piece->file), err);
    drop_piece(NULL, piece);
    return rc;
}

int bk_pieces_give(struct bk_job *job, const struct bake_entry *e, struct bk_content *content,
                   struct bk_err *err)
{
    struct bk_piece *piece = calloc(1, sizeof(*piece));
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
    return bk_job_not_put(job, rc, e->path, err);
}

static const struct bk_hands_ops maker = {.work = make_piece, .drop = drop_piece};

int bk_pieces_open(struct bk_job *job, size_t n, struct bk_err *err)
{
    if (!bk_target_apart(job->out))
        return BAKE_OK;
    job->n_hands = n < BK_HANDS_MAX ? n : BK_HANDS_MAX;
    for (size_t i = 0; i < job->n_hands; i++) {
        bk_target_ctx(job->out, &job->hand[i].ctx);
        job->hand[i].buffer = malloc(BK_JOB_BUFFER);
        if (!job->hand[i].buffer)
            return bk_nomem(err);
    }
    return bk_hands_new(job->n_hands, &maker, job, &job->hands, err);
}

void bk_pieces_close(struct bk_job *job)
{
    bk_hands_free(job->hands);
    job->hands = NULL;
    for (size_t i = 0; i < job->n_hands; i++)
        free(job->hand[i].buffer);
    job->n_hands = 0;
}

int bk_pieces_wait(struct bk_job *job, int rc, struct bk_err *err)
{
    struct bk_err why = {0};
    int hands_rc = job->hands && !bk_ends_restore(rc) ? bk_hands_wait(job->hands, &why) : BAKE_OK;

    bk_pieces_close(job);
    if (hands_rc < 0 && (rc >= 0 || bk_ends_restore(hands_rc))) {
        *err = why;
        return hands_rc;
    }
    return rc;
}
