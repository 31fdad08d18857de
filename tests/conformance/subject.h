/* The plugin under test: loaded by path, its description checked, its options filled in. */
#ifndef CF_SUBJECT_H
#define CF_SUBJECT_H

#include "host.h"
#include "options.h"
#include "report.h"

struct cf_subject {
    const struct bake_plugin *plugin;
    struct cf_config config;
    struct cf_report report;
    struct cf_ctx ctx; /* for open() and what comes before it */
    void *handle;
};

enum cf_kind { CF_SINK, CF_TRANSFORM };

/* 0, or -1 after saying on standard error what is wrong: no such file, no symbol, bad options. */
int cf_subject_load(struct cf_subject *s, const char *path, char *const *words, size_t n);
void cf_subject_free(struct cf_subject *s);

/* The cases that every kind of plugin has to pass. */
void cf_subject_cases(struct cf_subject *s, enum cf_kind kind);

/* rc came from a call with ctx: if it is an error, has the plugin said so with that rc, and in
 * words that follow the house's rules (lower case, no full stop, HINT: last)? */
void cf_check_words(struct cf_report *r, const struct cf_ctx *ctx, int rc);
/* rc is what was wanted; and the words as above. */
bool cf_want(struct cf_report *r, const struct cf_ctx *ctx, int rc, int wanted, const char *what);

/* Open descriptors and threads of this process. */
unsigned cf_open_fds(void);
unsigned cf_threads(void);
/* Threads end a moment after they were joined, as far as the kernel shows: waits up to 2 s. */
bool cf_threads_back_to(unsigned n);

/* n bytes that follow from seed alone. random: look compressible to nobody. */
void cf_fill(void *data, size_t n, uint64_t seed);
uint64_t cf_random(uint64_t *state); /* xorshift64*; the state is not 0 */

#endif
