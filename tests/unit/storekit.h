/* A pipeline of memory sinks and fake transforms, and the store on it. */
#ifndef STOREKIT_H
#define STOREKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faketransform.h"
#include "memsink.h"
#include "store/manifest.h"
#include "store/store.h"

#define KIT_PARTS 3
#define KIT_ID    "nightly-20251105T120000Z-3f9c2a"

struct kit {
    struct bk_pipeline pipeline;
    struct bk_part sinks[KIT_PARTS], transforms[KIT_PARTS];
    struct memsink ms[KIT_PARTS];
    struct ms_cfg ms_cfgs[KIT_PARTS];
    struct ft_cfg ft_cfgs[KIT_PARTS];
    atomic_int transforms_open;
    struct bk_cancel *cancel;
    struct bk_store *store; /* NULL until kit_open() */
    uint64_t fired_ms;      /* when kit_fire() did */
    struct bk_err err;
};

/* Sinks "first", "second", "third". */
void kit_init(struct kit *k, size_t n_sinks, size_t n_transforms);
int kit_open(struct kit *k, enum bk_store_mode mode); /* closes what was open before */
void kit_must_open(struct kit *k);                    /* for writing */
/* Checks that nothing is left open, too. */
void kit_release(struct kit *k);

/* A thread's main: fires the cancel (arg is the kit) after 50 ms. */
void *kit_fire(void *arg);

/* n bytes that look random, but are the same for the same seed; owned by the caller. */
char *kit_bytes(size_t n, uint64_t seed);
uint64_t kit_random(uint64_t *state);

/* A manifest with `n` blob components "c0", "c1", ... each of one object; to be freed. */
struct bk_manifest *kit_manifest(const char *id, const char *pipeline, const char *host,
                                 int64_t start_ns, size_t n);
/* Writes it to the sink behind everybody's back. */
void kit_put_manifest(struct memsink *s, const struct bk_manifest *m);

#endif
