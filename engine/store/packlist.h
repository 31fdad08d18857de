/* backups/<id>/packs: every pack that a backup needs, in clear, so that prune needs no key. */
#ifndef BK_PACKLIST_H
#define BK_PACKLIST_H

#include "store/manifest.h"
#include "store/pack.h"
#include "store/sink.h"

/* ids sorted, each once. */
int bk_packlist_write(const bk_id *ids, size_t n, struct bk_buf *out, struct bk_err *err);
/* Strict: sorted, each once, nothing else. The array is the caller's. */
int bk_packlist_parse(const char *text, size_t n, bk_id **ret, size_t *ret_n, struct bk_err *err);
/* Gets a backup's list and checks it against its manifest. */
int bk_packlist_get(struct bk_sink *sink, const struct bk_manifest *m, bk_id **ret, size_t *ret_n,
                    struct bk_err *err);

#endif
