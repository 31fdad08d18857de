/* The contents of a repository's files and blobs, apart from their entries. */
#ifndef BK_REPO_CONTENT_H
#define BK_REPO_CONTENT_H

#include "store/format.h"
#include "store/streamr.h"

struct bk_repo_content {
    struct bk_content base;
    struct bk_fetch *fetch;
    struct bk_cancel *cancel;
    const char *component;
    char *path; /* NULL: a blob's */
    struct bk_refs refs;
    size_t at;                 /* of refs, where they are the stream's own chunks */
    struct bk_streamr *stream; /* where they are lists */
    struct bk_held held;
    size_t used; /* of held */
    bool begun, failed;
};

/* Takes a content up; what was there before is let go of, memory is kept. refs and path (may be
 * NULL) are copied. */
int bk_repo_content_set(struct bk_repo_content *c, const char *path, const struct bk_refs *refs,
                        struct bk_err *err);
void bk_repo_content_release(struct bk_repo_content *c);
/* Lends the next chunk's bytes until the next call. OK | BAKE_END. */
int bk_repo_content_pull(struct bk_repo_content *c, const void **ret, size_t *ret_n,
                         struct bk_err *err);

/* The ops of format.h. */
int bk_repo_content_read(struct bk_content *base, struct bake_out *out, struct bk_err *err);
int bk_repo_content_check(struct bk_content *base, uint64_t *ret_bytes, struct bk_err *err);
void bk_repo_content_free(struct bk_content *base);

#endif
