/* Bundles (store: {bundle: stack}, format archive): the components of one group in one tar at the
 * sink's root, as other programs expect it there. What comp.h promises of groups is done here.
 *
 * Of a bundle that is about to be put backups/<id>/bundles/<uuid>/<name> says so beforehand:
 * nothing else at the root is ever removed. */
#ifndef BK_BUNDLE_H
#define BK_BUNDLE_H

#include "store/comp.h"

#define BK_BUNDLES    "bundles/" /* below backups/<id>/ */
#define BK_BUNDLE_CAP 256        /* of a bundle's name */

/* Does the pipeline ask for them? */
bool bk_bundles_wanted(const struct bk_store *store);
/* The calls of comp.h; without bundles they do nothing. */
int bk_bundles_begin(struct bk_store *store, const struct bk_manifest *head, struct bk_err *err);
int bk_bundles_group_end(struct bk_store *store, const char *group, struct bk_err *err);
/* Ends those that are open, and tells the manifest of them: a component whose bundle failed has
 * failed. */
int bk_bundles_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err);
void bk_bundles_undo(struct bk_store *store);
void bk_bundles_end(struct bk_store *store);
int bk_bundles_open_writer(struct bk_store *store, const char *group, struct bk_cancel *parent,
                           const char *name, uint32_t kind, struct bk_compw **ret,
                           struct bk_err *err);

/* ---- names ----------------------------------------------------------------------------------- */

/* May an object at the root be called so by us? No '/', no name of ours, printable ASCII. */
bool bk_bundle_name_ok(const char *name);
/* Of an object below backups/: the bundle that it announces (a part of `object`), or NULL. */
const char *bk_bundle_announced(const char *object);

#endif
