/* conform_sink: what its cases share. Everything is put below a random prefix, so that a store
 * that is in use may be given; it is removed at the end. */
#ifndef CF_SINK_H
#define CF_SINK_H

#include "subject.h"

#include <stddef.h>

struct sink {
    struct cf_subject subject;
    struct cf_report *r;
    const struct bake_sink_ops *ops;
    void *self; /* an instance for the case under way */
    char prefix[48];
    char text[2048]; /* the plugin's words in the last call through a helper */
};

#define NAME_CAP 1200

struct listed {
    char (*names)[NAME_CAP];
    uint64_t *sizes;
    size_t n, cap;
};

/* A case is a function; the instance is opened before and closed after it, when neither
 * descriptors nor threads may be left. */
void sink_case(struct sink *s, const char *name, void (*fn)(struct sink *));

/* prefix/name in one of a few static-free buffers: out holds NAME_CAP. Returns out. */
char *sink_name(const struct sink *s, char *out, const char *name);

/* Each makes one call (or the calls of one put or get) with a context of its own, checks that an
 * error came with words, and returns the result. Names are full names. */
int sink_put(struct sink *s, const char *name, const void *data, size_t n, uint64_t size_or_0,
             uint32_t flags, size_t cut);
/* Puts n bytes that follow from seed. */
int sink_put_seed(struct sink *s, const char *name, size_t n, uint64_t seed);
/* *ret is to be freed; the result is the first error, or OK. */
int sink_get(struct sink *s, const char *name, uint64_t offset, uint64_t length_or_0, char **ret,
             size_t *ret_n);
int sink_stat(struct sink *s, const char *name, uint64_t *ret_size);
int sink_remove(struct sink *s, const char *name);
int sink_list(struct sink *s, const char *prefix, struct listed *ret); /* listed_free() */
void listed_free(struct listed *l);
bool listed_has(const struct listed *l, const char *name);

/* Checks that the object holds n bytes that follow from seed. */
void sink_expect(struct sink *s, const char *name, size_t n, uint64_t seed);
void sink_expect_absent(struct sink *s, const char *name);
bool sink_want(struct sink *s, int rc, int wanted, const char *what); /* after a helper */

/* Runs fn(arg + i * size) on n threads at once. */
void sink_threads(struct sink *s, unsigned n, void *(*fn)(void *), void *args, size_t size);

void sink_object_cases(struct sink *s);     /* sink_objects.c */
void sink_range_cases(struct sink *s);      /* sink_ranges.c */
void sink_name_cases(struct sink *s);       /* sink_names.c */
void sink_list_cases(struct sink *s);       /* sink_lists.c */
void sink_concurrent_cases(struct sink *s); /* sink_concurrent.c */

#endif
