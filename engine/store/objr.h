/* Reading one stored object back: get -> digest -> ring -> transforms reversed, digest -> ring.
 *
 * Damage (the object is gone, cut, changed, does not decode) does not cancel the flow: what could
 * be decoded before it is still delivered, then the stream ends and bk_objr_damage() says why. */
#ifndef BK_OBJR_H
#define BK_OBJR_H

#include "store/manifest.h"
#include "store/objw.h"

struct bk_objr;

struct bk_objr_spec {
    const char *id;                        /* the backup's; NULL: it stands at the root */
    const struct bk_object *object;        /* size and digest as stored; digest "": not known */
    const char *plain_sha256;              /* NULL: not known */
    const struct bk_transform *transforms; /* in writing order */
    size_t n_transforms;
    uint32_t flags; /* BAKE_SMALL_OBJECT */
};

/* The spec's pointers must live until the flow is joined. *ret is set on failure too, once it is
 * not NULL: free it once the flow is joined. */
int bk_objr_open(struct bk_flow *flow, struct bk_sink *sink, const struct bk_objr_spec *spec,
                 struct bk_objr **ret, struct bk_err *err);
/* Lends the next plain bytes until the next call; *ret_n 0 at the end, or after damage. OK or
 * BAKE_E_CANCELLED. */
int bk_objr_pull(struct bk_objr *r, const void **ret_data, size_t *ret_n);
/* Once the stream has ended: 0, or what is wrong with the object. */
int bk_objr_damage(struct bk_objr *r, struct bk_err *err);
void bk_objr_free(struct bk_objr *r); /* after the flow's threads are joined; NULL is fine */

#endif
