/* A host for plugins without an engine: keeps what a plugin says, can be cancelled. */
#ifndef CF_HOST_H
#define CF_HOST_H

#include <bakengine/plugin.h>
#include <stdatomic.h>

struct cf_ctx {
    struct bake_ctx base;
    int rc;              /* of the last vfail() */
    char text[2048];     /* its words */
    unsigned fails;      /* calls of vfail() */
    unsigned reports[4]; /* by severity */
    atomic_int cancelled;
    int event; /* readable once cancelled */
};

void cf_ctx_init(struct cf_ctx *c);
void cf_ctx_free(struct cf_ctx *c);
void cf_ctx_cancel(struct cf_ctx *c); /* from any thread */

#endif
