/* The way back of dumps, from restore_begin() to restore_end(): what its parts share. Each database
 * is made under a name of its own and takes its place when all are whole. In a drill all happens in
 * a server that is thrown away, and under the databases' own names. */
#ifndef PG_RESTORE_H
#define PG_RESTORE_H

#include "ops.h"

#include "scratch/scratch.h"

struct pg_scan;
struct pg_call;

struct pg_target {             /* a database; its writer's own until that has committed */
    char *component, *subject; /* subject: the name that it had when it was dumped */
    char *name;                /* where it goes */
    char *fresh, *aside;       /* as what it is made; where what it replaces goes meanwhile */
    void *facts;               /* json_t, as recorded */
    int format;                /* enum pg_format */
    bool exists, committed;
    bool allowed;            /* what it replaces allowed connections */
    char *new_oid, *old_oid; /* known when names are about to change */
    uint64_t tables, rows;   /* counted */
};

struct pg_restore {
    const struct pg_config *cfg;
    bool drill, force, globals, look_only;
    char **parts; /* globs of tables; or NULL */
    char *backup; /* its id */
    char *mark;   /* hex digits, this restore's own */
    char *app;    /* application_name of its connections */
    char *self;   /* the role that we are */
    char *system_id;
    char *psql, *pg_restore, *pg_dump; /* paths */
    int version;                       /* the server's, 150018 */
    int dumped;                        /* the highest version dumped from; 0: not known */
    int64_t began_ms;
    struct pg_target *targets;
    size_t n;
    bool altered; /* roles that were there before were changed */

    void *roles, *spaces; /* json_t arrays of what was made with the globals: {"name", "oid"} of
                             roles, names of tablespaces */
    bool switching;
    uint64_t duty; /* the obligation's id, or 0 */

    struct bkc_scratch *scratch; /* of a drill */
    struct pg_place own;         /* its server */
    char *home;                  /* the database there that nobody restores */
    char *facts;                 /* restore_end()'s */
};

void pg_restore_free(struct pg_restore *r); /* when the source closes; NULL is fine */

/* ---- restore_plan.c: what is to be done, without asking anybody ---- */

int pg_restore_plan(struct pg_source *src, struct bake_ctx *ctx, const struct bake_restore *how,
                    const struct bake_component *const *chosen, size_t n, struct pg_restore **ret);
struct pg_target *pg_restore_find(const struct pg_restore *r, const char *component);
/* A member of a target's facts; NULL: it is not there, or no text. */
const char *pg_fact(const struct pg_target *t, const char *key);
/* Does one of the globs of --path name this table? key: as in facts. */
bool pg_part_wanted(const struct pg_restore *r, const char *key);

/* ---- restore_conn.c ---- */

/* To a database that is not `avoid` (or NULL), for work on others. */
int pg_restore_home(const struct pg_restore *r, struct bake_ctx *ctx, const char *avoid,
                    struct pg_conn *ret);
/* The same with nothing but the options; app: application_name. */
int pg_home_open(struct bake_ctx *ctx, const struct pg_config *cfg, const char *app,
                 const char *avoid, struct pg_conn *ret);
int pg_restore_conn(const struct pg_restore *r, struct bake_ctx *ctx, const char *database,
                    struct pg_conn *ret);
const struct pg_place *pg_restore_place(const struct pg_restore *r);
/* One statement with a literal text quoted for each %L and an identifier for each %I. A NULL text
 * is NULL. */
int pg_run(struct pg_conn *c, const char *what, const char *fmt, ...);
/* Ends all other sessions of a database, and waits until they are gone. */
int pg_clear_out(struct pg_conn *c, const char *oid, const char *name);
/* *ret_oid: of the database, to be freed; NULL: there is none. */
int pg_database_oid(struct pg_conn *c, const char *name, char **ret_oid);

/* ---- restore_check.c ---- */

/* Can it be done as things are? Changes nothing. */
int pg_restore_check(struct pg_restore *r, struct bake_ctx *ctx);
/* Nothing of a user's is in it. */
int pg_database_empty(const struct pg_restore *r, struct bake_ctx *ctx, const char *name,
                      bool *ret);

/* ---- restore_make.c ---- */

/* Makes the database under its new name. */
int pg_target_make(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t);
/* Its own settings and rights; what cannot be had back is reported. */
int pg_target_dress(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t);
/* The comment that ours are known by; to be freed. replaced: of what has been put aside. */
char *pg_our_comment(bool replaced);

/* ---- restore_count.c ---- */

/* Rows of every table against what was recorded. */
int pg_target_count(const struct pg_restore *r, struct bake_ctx *ctx, struct pg_target *t);
/* What the dump itself holds against what was recorded. */
int pg_scan_compare(struct bake_ctx *ctx, const struct pg_scan *scan, const void *facts,
                    const char *subject);

/* ---- restore_write.c ---- */

int pg_restore_writer(struct pg_restore *r, struct bake_ctx *ctx, const struct bake_component *c,
                      struct pg_writer **ret);

/* ---- restore_load.c: a tool that is fed ---- */

struct pg_load;

/* Into `database`. custom: pg_restore, else psql. lenient: that a role is missing is only counted.
 */
int pg_load_start(const struct pg_restore *r, struct bake_ctx *ctx, bool custom, bool lenient,
                  const char *database, const char *subject, struct pg_load **ret);
int pg_load_write(struct pg_load *l, const void *data, size_t n);
int pg_load_end(struct pg_load *l, size_t *ret_lenient);
void pg_load_free(struct pg_load *l); /* NULL is fine */
/* Adds "NAME=value" to what the tool will see, instead of what is there. */
void pg_call_env(struct pg_call *call, const char *name, const char *value);

/* ---- restore_part.c ---- */

/* Moves the tables that are wanted from the new database to the one in use. */
int pg_parts_move(struct pg_restore *r, struct bake_ctx *ctx, struct pg_target *t);
/* Of the tables to be restored none is there, or --force was given. */
int pg_parts_check(const struct pg_restore *r, struct bake_ctx *ctx, const struct pg_target *t);

/* ---- restore_roles.c, restore_words.c ---- */

/* Runs what globals.sql holds. */
int pg_roles_apply(struct pg_restore *r, struct bake_ctx *ctx, const char *text, size_t n);

struct pg_words {
    const char *at, *end;
};
/* The next statement, without its semicolon. 1; 0: there is none; -1: the text is not sound. */
int pg_words_statement(struct pg_words *w, const char **ret, size_t *ret_n);
/* The next word of a statement: an identifier as it is meant, an operator, a literal with its
 * quotes. False: there is none, or it is too long. */
bool pg_words_next(struct pg_words *w, char *ret, size_t cap);

/* ---- restore_promise.c, restore_swap.c, restore_undo.c, restore_tidy.c ---- */

#define PG_RESTORE_KIND "postgres-restore"

/* A json_t: what the obligation says; NULL: out of memory. */
void *pg_restore_document(const struct pg_restore *r);
int pg_restore_oblige(struct pg_restore *r, struct bake_ctx *ctx);
/* All databases take their places. */
int pg_restore_swap(struct pg_restore *r, struct bake_ctx *ctx);
/* Have all of them, whatever was heard of it? Ends the sessions that might still change that. */
int pg_restore_switched(const struct pg_restore *r, struct bake_ctx *ctx, bool *ret);
/* Puts back what was there. */
int pg_restore_undo(struct pg_restore *r, struct bake_ctx *ctx);
int pg_restore_redeem(struct bake_ctx *ctx, const struct pg_config *cfg, const char *what,
                      bool *ret_mine);
int pg_restore_tidy(struct bake_ctx *ctx, const struct pg_config *cfg);
int pg_drop_database(struct pg_conn *c, const char *name);

/* ---- drill.c ---- */

int pg_drill_begin(struct pg_restore *r, struct bake_ctx *ctx, uint64_t bytes);
/* Runs the checks. Sets r->facts. */
int pg_drill_prove(struct pg_restore *r, struct bake_ctx *ctx);
/* Ends the server and removes it; OK when there is none. */
int pg_drill_end(struct pg_restore *r, struct bake_ctx *ctx);

/* ---- restore_hush.c: a context whose failures are kept apart ---- */

struct pg_hush {
    struct bake_ctx ctx;
    struct bake_ctx *to;
    bool calm; /* never cancelled: for what must be done */
    int rc;
    char text[1200];
};
void pg_hush(struct pg_hush *h, struct bake_ctx *to);
void pg_calm(struct pg_hush *h, struct bake_ctx *to);

#endif
