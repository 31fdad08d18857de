/* What the tests of sink-local share: a directory of their own, an instance, short calls. */
#ifndef SINKLOCAL_KIT_H
#define SINKLOCAL_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../conformance/subject.h"

struct kit {
    char dir[64];   /* removed with all that is in it */
    char store[96]; /* dir/store: not there until something is put */
    struct cf_subject subject;
    const struct bake_sink_ops *ops;
    void *self; /* NULL: open() failed */
    struct cf_ctx ctx;
    int rc; /* of open() */
};

int kit_setup(void **state); /* cmocka fixture: *state is a struct kit */
int kit_teardown(void **state);

/* Loads and opens the plugin with the words (NULL-ended) and path=store, if no path is given;
 * what was open is closed. The result stands in k->rc, the words in k->ctx.text. */
void kit_open(struct kit *k, ...) __attribute__((sentinel));
void kit_close(struct kit *k);

int kit_put(struct kit *k, const char *name, const void *data, size_t n, uint32_t flags);
/* BAKE_OK and equal to text, or the error. */
int kit_get(struct kit *k, const char *name, const char *text);
size_t kit_count(struct kit *k, const char *prefix); /* of the objects listed */
size_t kit_files(const char *dir); /* regular files anywhere below, temporaries too */
void kit_write(const char *path, const char *text);
const char *kit_path(struct kit *k, const char *name, char *out, size_t cap); /* in the store */
void kit_says(const struct kit *k, const char *part); /* the last error's words have it */

#endif
