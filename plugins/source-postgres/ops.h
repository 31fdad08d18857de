/* The parts of the source's table that stand in files of their own. Each is as plugin.h says;
 * `self` is a struct pg_source. */
#ifndef PG_OPS_H
#define PG_OPS_H

#include "catalog.h"

#define PG_GLOBALS "globals.sql" /* components with names of their own */
#define PG_BASE    "base"

extern const struct bake_source_ops pg_source_ops;
int pg_validate(struct bake_ctx *ctx, const void *config); /* options.c */
int pg_probe(struct bake_ctx *ctx, const void *config);    /* probe.c */

struct pg_reader { /* what a component is read by; the first member of each kind's own struct */
    int (*next)(void *reader, struct bake_entry *ret);
    int (*open_entry)(void *reader, struct bake_entry *entry);
    int (*read)(void *reader, struct bake_out *);
    int (*finish)(void *reader, struct bake_result *ret);
    void (*close)(void *reader);
};
struct pg_writer {
    int (*put_entry)(void *writer, const struct bake_entry *);
    int (*write)(void *writer, struct bake_in *);
    int (*entry_end)(void *writer, int good);
    int (*commit)(void *writer);
    void (*close)(void *writer);
};

/* dump*.c: <db>.sql, <db>.dump, globals.sql */
int pg_dump_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct pg_reader **ret);
/* base*.c: the component "base" */
int pg_base_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct pg_reader **ret);
/* inspect*.c: purpose BAKE_INSPECT without restore_begin(), logical and physical */
int pg_inspect_open(struct pg_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                    struct pg_writer **ret);
int pg_base_inspect_open(struct pg_source *src, struct bake_ctx *ctx,
                         const struct bake_component *c, struct pg_writer **ret);
/* restore*.c, drill*.c: logical; base_restore*.c, base_drill*.c: physical. The source is in one
 * mode or the other when the backup was made; the component's name ("base") decides. */
struct pg_back { /* the way back of one mode */
    int (*begin)(struct pg_source *, struct bake_ctx *, const struct bake_restore *,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage);
    int (*writer_open)(struct pg_source *, struct bake_ctx *, const struct bake_component *,
                       const struct bake_restore *, struct pg_writer **ret);
    int (*switch_group)(struct pg_source *, struct bake_ctx *, const char *group);
    int (*end)(struct pg_source *, struct bake_ctx *, const char *group, int good,
               struct bake_result *ret);
    int (*redeem)(struct bake_ctx *, const struct pg_config *, const char *what, bool *ret_mine);
    int (*tidy)(struct pg_source *, struct bake_ctx *);
};
extern const struct pg_back pg_logical_back, pg_base_back;

/* follow*.c: logs_follow() */
int pg_follow(struct pg_source *src, struct bake_ctx *ctx, const char *spool);

#endif
