/* Components in a store: what a run writes and what restore, cat, ls, diff and verify read. Each of
 * the store's formats does it behind the same calls (format.h). */
#ifndef BK_COMP_H
#define BK_COMP_H

#include "store/manifest.h"
#include "store/store.h"

/* ---- a backup: around its components -------------------------------------------------------- */

/* Makes ready what the components will share. The writer's intent must stand in the store by now:
 * from here on what the store holds is relied upon (design 12.1). head: its id, pipeline, host and
 * start are filled in; needed for bundles alone. */
int bk_backup_begin(struct bk_store *store, const struct bk_manifest *head, struct bk_err *err);
/* Must the components of a group be written one after another? (They stand in one object.) Those of
 * other groups, and those without one, need not care. */
bool bk_comp_in_turn(const struct bk_store *store);
/* After the last component of a group was finished or aborted: ends what they share, so that a sink
 * need not wait for it until the seal, and says early what came of it. bk_backup_seal() does it for
 * groups that were not ended. A failure is that of all components of the group: it is to be told;
 * the seal notes it in the manifest. Nothing to do is BAKE_OK. Any thread. */
int bk_backup_group_end(struct bk_store *store, const char *group, struct bk_err *err);
/* The manifest will not be put: removes what was put outside of the backup's own folder. */
void bk_backup_undo(struct bk_store *store);
/* After the last component: waits until everything is durable, puts what stands beside the
 * components, and fills in what only now is known of them. Then the manifest may be put. */
int bk_backup_seal(struct bk_store *store, struct bk_manifest *m, struct bk_err *err);
/* Whatever came of it. Without bk_backup_begin() it does nothing. */
void bk_backup_end(struct bk_store *store);
/* What is shared may need, in bytes; beside bk_comp_memory() of each component. */
uint64_t bk_backup_memory(const struct bk_store *store);

/* ---- writing: one thread per component ------------------------------------------------------ */

struct bk_compw;

/* Makes a flow below `parent`. The component's name and kind are copied. */
int bk_compw_open(struct bk_store *store, const char *id, struct bk_cancel *parent,
                  const char *name, uint32_t kind, struct bk_compw **ret, struct bk_err *err);
/* The same for a component of a group (NULL: of none). */
int bk_compw_open_in(struct bk_store *store, const char *group, const char *id,
                     struct bk_cancel *parent, const char *name, uint32_t kind,
                     struct bk_compw **ret, struct bk_err *err);
struct bk_cancel *bk_compw_cancel(struct bk_compw *w); /* for the source's reader */
/* Before the first entry: the same component of the backup that this one builds upon; m and c must
 * live until free. What of it cannot be read is only not relied upon. */
int bk_compw_build_on(struct bk_compw *w, const struct bk_manifest *m, const struct bk_mcomp *c,
                      struct bk_err *err);
/* Takes over the whole component as it was there: BAKE_OK, and bk_compw_finish() follows; or
 * BAKE_END: it must be read. Only before the first entry or byte. *ret_bytes, *ret_entries of it.
 */
int bk_compw_reuse(struct bk_compw *w, uint64_t *ret_bytes, uint64_t *ret_entries,
                   struct bk_err *err);
/* BAKE_OK: the entry is as it was there and has been taken over, without being read. BAKE_END: it
 * must be written. *ret_bytes of its content. Entries must come in the order that plugin.h asks
 * for. */
int bk_compw_unchanged(struct bk_compw *w, const struct bake_entry *e, uint64_t *ret_bytes,
                       struct bk_err *err);
/* Trees: entry, data*, entry_end. Blobs: data*. A result of BAKE_E_CANCELLED may only mean that a
 * stage failed: bk_compw_finish() has the reason. The entry must live until entry_end. */
int bk_compw_entry(struct bk_compw *w, const struct bake_entry *e, struct bk_err *err);
int bk_compw_data(struct bk_compw *w, const void *data, size_t n, struct bk_err *err);
/* sure: false if it was read with a warning, so that it will not be taken for unchanged. */
int bk_compw_entry_end(struct bk_compw *w, bool sure, struct bk_err *err);
/* Ends the streams and waits until all of its own is durable in every usable sink (what components
 * share is by bk_backup_seal()). ret's objects or stream, sizes, digests and transforms are filled
 * in. */
int bk_compw_finish(struct bk_compw *w, struct bk_mcomp *ret, struct bk_err *err);
/* why (may be NULL) is the source's failure: recorded before the stages are stopped. Returns in
 * ret (may be NULL) what failed first, be it a stage or the source; removes what was put. */
void bk_compw_abort(struct bk_compw *w, const struct bk_err *why, struct bk_err *ret);
void bk_compw_free(struct bk_compw *w); /* after finish or abort; NULL is fine */

/* What no two components of a backup may share: an object's name ("system.tar.zst") where each has
 * one of its own. Owned by the caller: for the plan. */
char *bk_comp_object_name(const struct bk_store *store, const char *component, uint32_t kind);
/* What one component being written may need, in bytes. */
uint64_t bk_comp_memory(const struct bk_store *store, uint32_t kind);

/* ---- reading: one thread per component ------------------------------------------------------ */

#define BK_COMPR_LIST  (1u << 0) /* entries only: nothing will be read; trees */
#define BK_COMPR_RAW   (1u << 1) /* a tree's own stream (its tar) as if it were a blob */
#define BK_COMPR_FEW   (1u << 2) /* little of it is wanted: nothing is read ahead */
#define BK_COMPR_PROVE (1u << 3) /* finish() proves what holds the entries as well */

struct bk_compr;

/* m and c must live until free. */
int bk_compr_open(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                  const struct bk_mcomp *c, unsigned flags, struct bk_cancel *parent,
                  struct bk_compr **ret, struct bk_err *err);
/* Trees: OK | BAKE_END. BAKE_E_CORRUPT: the component is damaged from here on; what it lost can
 * be asked for. Lives until the next call. */
int bk_compr_next(struct bk_compr *r, struct bake_entry *ret, struct bk_err *err);
/* Of the current entry: what two files have in common if and only if their contents are the same
 * (within one format); "" for what has no content. Lives until the next bk_compr_next(). */
const char *bk_compr_identity(struct bk_compr *r);
/* Bytes of the entry's extents, or of the blob. OK | BAKE_END, after which the content's digest
 * has been checked: BAKE_E_CORRUPT with bk_compr_bad_entry() true is this entry's alone. */
int bk_compr_read(struct bk_compr *r, struct bake_out *out, struct bk_err *err);
bool bk_compr_bad_entry(const struct bk_compr *r);
/* After BAKE_END: reads what is left of the objects; 0, or what is wrong with them. */
int bk_compr_finish(struct bk_compr *r, struct bk_err *err);
/* After damage: each path that the listing still names behind the last good entry. */
void bk_compr_lost(struct bk_compr *r, void (*each)(void *arg, const char *path), void *arg);
void bk_compr_free(struct bk_compr *r); /* NULL is fine */

/* ---- contents apart from their entries ------------------------------------------------------- */

/* The bytes of one file (or of the blob), to be read on any one thread, while its reader goes on.
 * Every failure of it is that file's alone. */
struct bk_content;

/* Instead of bk_compr_read(): takes the current file's (or the blob's) content off the reader.
 * BAKE_END: this format reads in order only; bk_compr_read() must be used. */
int bk_compr_detach(struct bk_compr *r, struct bk_content **ret, struct bk_err *err);
/* As bk_compr_read(). */
int bk_content_read(struct bk_content *c, struct bake_out *out, struct bk_err *err);
/* Proves that all of it can be read, without handing it out, and each byte of the store once in
 * the reader's session. *ret_bytes: of the content. */
int bk_content_check(struct bk_content *c, uint64_t *ret_bytes, struct bk_err *err);
void bk_content_free(struct bk_content *c); /* before its reader; NULL is fine */

/* ---- checking a backup ------------------------------------------------------------------------
 */

struct bk_look {
    /* Something that the backup needs is not there as it should be. c: whose it is; NULL: the whole
     * backup's. */
    void (*damage)(void *arg, const struct bk_mcomp *c, const struct bk_err *why);
    void *arg;
    uint64_t objects; /* looked at */
};
/* Is all that a backup needs in the sink, by name and size? Nothing of it is read. A failure says
 * that it could not be found out. */
int bk_backup_look(struct bk_store *store, struct bk_sink *sink, const struct bk_manifest *m,
                   struct bk_look *look, struct bk_err *err);
/* After damage was found by reading from the sink: no later backup is to build on what is damaged
 * there. *ret: what was marked so. */
int bk_backup_distrust(struct bk_store *store, struct bk_sink *sink, const char *host,
                       uint64_t *ret, struct bk_err *err);

#endif
