/* What every verb that touches a store starts with: registry, pipeline, cancel, store. */
#ifndef BK_SESSION_H
#define BK_SESSION_H

#include "run/report.h"
#include "store/catalog.h"
#include "store/store.h"

struct bk_session {
    struct bk_registry *registry;
    struct bk_pipeline *pipeline;
    struct bk_store *store; /* NULL until opened */
    struct bk_cancel *cancel;
    struct bk_reporter *reporter; /* borrowed */
    char host[256];
    bool by_address;         /* opened by a store's address: there is no pipeline file */
    struct bk_ctx_logs logs; /* what bk_wal_attach() gives to sources */
};

/* target: a pipeline file, or a store's address (a directory, or SCHEME://...) where `flags` has
 * BK_LOAD_STORE. Mistakes in the file are printed; then the result is BAKE_E_CONFIG. */
int bk_session_open(const char *target, unsigned flags, struct bk_cancel *cancel,
                    struct bk_reporter *reporter, struct bk_session *ret, struct bk_err *err);
/* The same with options of sources that count in place of the file's: see bk_pipeline_load_set().
 */
int bk_session_open_set(const char *target, unsigned flags, const struct bk_strv *set,
                        struct bk_cancel *cancel, struct bk_reporter *reporter,
                        struct bk_session *ret, struct bk_err *err);
/* Of a session that was opened with BK_LOAD_STORE, before its store is opened: reads all of the
 * file. A failure leaves the session as it was; mistakes in the file are err's text. BAKE_END:
 * there is no file. */
int bk_session_load_sources(struct bk_session *s, struct bk_err *err);
int bk_session_open_store(struct bk_session *s, enum bk_store_mode mode, const char *from,
                          struct bk_err *err);
void bk_session_close(struct bk_session *s);

/* What --host means: NULL stands for this host's backups (any host's, when opened by address) and
 * "*" for any host's. The result is NULL for any host. */
const char *bk_session_host(const struct bk_session *s, const char *host);

/* The backups of this pipeline (of any, when opened by address) on this host (host NULL: any).
 * Read from the first sink that is usable. */
int bk_session_catalog(struct bk_session *s, const char *host, unsigned flags,
                       struct bk_catalog **ret, struct bk_err *err);

#endif
