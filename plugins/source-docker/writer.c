/* Writers: one component's content on its way into a staging area, a server or memory. */
#include "restore_flow.h"
#include "tree.h"

#include <stdlib.h>
#include <string.h>

#define DEFINITION_MAX                                                                             \
    (64u << 20) /* far more than any stack's; its size is the backup's to say                      \
                 */

struct writer {
    struct dk_restore *r;
    struct rs_part *part;
    struct bake_ctx *ctx;
    struct dk_load *load;
    size_t room; /* of part->text */
    bool done;
};

static struct rs_part *find_part(struct dk_source *s, const struct bake_component *c,
                                 struct dk_restore **ret)
{
    struct rs_part *part = NULL;
    (void)pthread_mutex_lock(&s->lock);
    for (struct dk_restore *r = s->restores; r && !part; r = r->next) {
        part = rs_part_named(r, c->name);
        *ret = r;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return part;
}

static int say_where(struct writer *w)
{
    const struct rs_part *p = w->part;
    if (p->found == RS_GONE)
        return bake_fail(w->ctx, BAKE_E_NOTFOUND, "cannot restore '%s': %s", p->name, p->why);
    if (p->found == RS_ALONE)
        bake_report(w->ctx, BAKE_PARTIAL, p->name,
                    "service '%s' of '%s' is not there any more: only its volume '%s' is restored",
                    p->service, w->r->as, p->volume);
    if (p->found == RS_WITHIN)
        bake_report(w->ctx, BAKE_NOTICE, p->name, "%s", p->why);
    return BAKE_OK;
}

static int writer_begin(struct writer *w)
{
    const struct rs_part *p = w->part;
    if (p->known && p->kind == DK_DEFINITION)
        return BAKE_OK;
    if (w->r->at == RS_DEFINE)
        return bake_fail(w->ctx, BAKE_E_INTERNAL, "'%s' is written before its turn", p->name);
    int rc = rs_prepare(w->r, w->ctx);
    if (rc == BAKE_OK)
        rc = say_where(w);
    if (rc == BAKE_OK && p->known && (p->kind == DK_PG || p->kind == DK_MARIA)) {
        bake_log(w->ctx, BAKE_LOG_INFO, "loading '%s' into '%s'", p->name, p->container->name);
        rc = dk_load_open(w->r->s, w->ctx, p->container, p->kind, &w->load);
    }
    return rc;
}

int dk_writer_open(void *self, struct bake_ctx *ctx, const struct bake_component *c,
                   const struct bake_restore *how, void **ret_writer)
{
    struct dk_restore *r = NULL;
    struct rs_part *part = find_part(self, c, &r);
    (void)how;
    if (!part)
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is of no group that is being restored",
                         c->name);
    if (part->opened)
        return bake_fail(ctx, BAKE_E_INTERNAL, "'%s' is written a second time", c->name);
    struct writer *w = calloc(1, sizeof(*w));
    if (!w)
        return dk_nomem(ctx);
    *w = (struct writer){.r = r, .part = part, .ctx = ctx};
    int rc = writer_begin(w);
    if (rc != BAKE_OK) {
        free(w);
        return rc;
    }
    part->opened = true;
    *ret_writer = w;
    return BAKE_OK;
}

/* ---- trees ----------------------------------------------------------------------------------- */

int dk_put_entry(void *writer, const struct bake_entry *entry)
{
    struct writer *w = writer;
    if (w->part->place)
        return dk_place_put(w->part->place, w->ctx, entry);
    if (w->part->files)
        return rs_files_put(w->part->files, w->ctx, entry);
    if (w->part->found == RS_WITHIN)
        return BAKE_END; /* it is there, or will be */
    return bake_fail(w->ctx, BAKE_E_INTERNAL, "'%s' is no tree", w->part->name);
}

int dk_entry_end(void *writer, int good)
{
    struct writer *w = writer;
    return w->part->place   ? dk_place_entry_end(w->part->place, good)
           : w->part->files ? rs_files_entry_end(w->part->files, good)
                            : BAKE_OK;
}

/* ---- blobs ----------------------------------------------------------------------------------- */

static int write_text(struct writer *w, struct bake_in *in)
{
    struct rs_part *p = w->part;
    size_t n = in->size - in->pos;
    if (n > DEFINITION_MAX - p->size)
        return bake_fail(w->ctx, BAKE_E_CORRUPT, "'%s' is too big to be a definition", p->name);
    if (p->size + n > w->room) {
        size_t room = (p->size + n) * 2;
        char *text = malloc(room);
        if (!text)
            return dk_nomem(w->ctx);
        if (p->text) {
            memcpy(text, p->text, p->size);
            explicit_bzero(p->text, p->size); /* it holds passwords */
            free(p->text);
        }
        p->text = text;
        w->room = room;
    }
    memcpy(p->text + p->size, (const char *)in->data + in->pos, n);
    p->size += n;
    in->pos = in->size;
    return BAKE_OK;
}

int dk_write(void *writer, struct bake_in *in)
{
    struct writer *w = writer;
    struct rs_part *p = w->part;
    if (p->place)
        return dk_place_write(p->place, in);
    if (p->files)
        return rs_files_write(p->files, in);
    if (p->known && p->kind == DK_DEFINITION)
        return write_text(w, in);
    int rc = w->load ? dk_load_write(w->load, (const char *)in->data + in->pos, in->size - in->pos)
                     : BAKE_OK;
    in->pos = in->size;
    return rc;
}

/* ---- the end --------------------------------------------------------------------------------- */

int dk_commit(void *writer)
{
    struct writer *w = writer;
    struct rs_part *p = w->part;
    int rc = p->place                               ? dk_place_staged(p->place, w->ctx)
             : p->files                             ? rs_files_staged(p->files, w->ctx)
             : w->load                              ? dk_load_finish(w->load)
             : p->known && p->kind == DK_DEFINITION ? rs_define_read(w->r, w->ctx, p)
                                                    : BAKE_OK;
    p->staged = w->done = rc == BAKE_OK;
    return rc;
}

void dk_writer_close(void *writer)
{
    struct writer *w = writer;
    if (w->part->place && !w->done)
        dk_place_abort(w->part->place);
    if (w->load)
        dk_load_close(w->load);
    free(w);
}
