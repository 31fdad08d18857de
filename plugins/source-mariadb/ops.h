/* The parts of the source's table that stand in files of their own. Each is as plugin.h says;
 * `self` is a struct my_source. */
#ifndef MY_OPS_H
#define MY_OPS_H

#include "catalog.h"

#define MY_USERS "users.sql" /* components beside those of databases */
#define MY_BASE  "base.xb"

int my_validate(struct bake_ctx *ctx, const void *cfg); /* no I/O */
int my_probe(struct bake_ctx *ctx, const void *cfg);    /* connects */

struct my_reader { /* what a component is read by; the first member of each kind's own struct */
    int (*next)(void *reader, struct bake_entry *ret);
    int (*open_entry)(void *reader, struct bake_entry *entry);
    int (*read)(void *reader, struct bake_out *);
    int (*finish)(void *reader, struct bake_result *ret);
    void (*close)(void *reader);
};
struct my_writer {
    int (*put_entry)(void *writer, const struct bake_entry *);
    int (*write)(void *writer, struct bake_in *);
    int (*entry_end)(void *writer, int good);
    int (*commit)(void *writer);
    void (*close)(void *writer);
};

/* dump*.c: <db>.sql, users.sql */
int my_dump_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct my_reader **ret);
/* physical*.c: the blob "base.xb" */
int my_base_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                 struct my_reader **ret);
/* inspect*.c: purpose BAKE_INSPECT without restore_begin() */
int my_inspect_open(struct my_source *src, struct bake_ctx *ctx, const struct bake_component *c,
                    struct my_writer **ret);
struct my_back { /* the way back of one mode */
    int (*begin)(struct my_source *, struct bake_ctx *, const struct bake_restore *,
                 const char *group, const struct bake_component *const *chosen, size_t n,
                 uint32_t *ret_stage);
    int (*writer_open)(struct my_source *, struct bake_ctx *, const struct bake_component *,
                       const struct bake_restore *, struct my_writer **ret);
    int (*switch_group)(struct my_source *, struct bake_ctx *, const char *group);
    int (*end)(struct my_source *, struct bake_ctx *, const char *group, int good,
               struct bake_result *ret);
    int (*redeem)(struct bake_ctx *, const struct my_config *, const char *what, bool *ret_mine);
    int (*tidy)(struct my_source *, struct bake_ctx *);
};
extern const struct my_back my_logical_back, my_base_back; /* restore*.c; physical_restore*.c */

/* binlog*.c */
int my_logs_pull(struct my_source *src, struct bake_ctx *ctx);
int my_logs_follow(struct my_source *src, struct bake_ctx *ctx, const char *spool);

#endif
