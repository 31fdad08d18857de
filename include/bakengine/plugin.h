/*
 * bakengine's plugin interface: the only header a plugin author needs.
 *
 * A plugin is a shared object with one exported symbol, bake_plugin_v1, that returns a constant
 * description: what it is called, which options it takes and the functions of exactly one kind
 * (source, transform or sink). docs/plugin-api.md has the whole contract: the timeline of calls,
 * threads, ownership and errors; the comments here say what each member means.
 *
 * Compiles as C99, C11 and C++11.
 */
#ifndef BAKENGINE_PLUGIN_H
#define BAKENGINE_PLUGIN_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BAKE_ABI_MAJOR 1 /* part of the entry symbol; a new major may break */
#define BAKE_ABI_MINOR 2 /* +1 for every appended member, option type or op */

/* ---- results: the values are pinned; 0 and 1 are not errors --------------------------------- */

enum bake_rc {
    BAKE_OK = 0,
    BAKE_END = 1,          /* no more components, entries or bytes */
    BAKE_E_CANCELLED = -1, /* the engine asked; never logged as a failure */
    BAKE_E_CONFIG = -2,    /* fix the YAML and run again */
    BAKE_E_AUTH = -3,      /* the other side refused who we are */
    BAKE_E_NOTFOUND = -4,
    BAKE_E_EXISTS = -5,      /* put-if-absent lost; or an existing file was kept */
    BAKE_E_UNAVAILABLE = -6, /* transient: the engine may retry */
    BAKE_E_TIMEOUT = -7,     /* transient */
    BAKE_E_NOSPACE = -8,
    BAKE_E_IO = -9,
    BAKE_E_CORRUPT = -10, /* a digest, MAC or format check failed */
    BAKE_E_CHILD = -11,   /* a helper program exited non-zero or by a signal */
    BAKE_E_NOMEM = -12,
    BAKE_E_UNSUPPORTED = -13,
    BAKE_E_INTERNAL = -14, /* a bug: the contract was broken */
    BAKE_E_KEY = -15       /* none of the keys given opens this */
};

enum bake_level { BAKE_LOG_ERROR = 0, BAKE_LOG_WARN = 1, BAKE_LOG_INFO = 2, BAKE_LOG_DEBUG = 3 };

/* What a source or a restore met that does not end it. */
enum bake_severity {
    BAKE_NOTICE = 1,  /* worth a line, nothing is missing: a socket was skipped */
    BAKE_WARNING = 2, /* counted and kept in the manifest; the backup is still good */
    BAKE_PARTIAL = 3  /* something is missing or torn: the component is partial (exit 3) */
};

/* ---- what the engine gives: one context per instance, reader or writer ---------------------- */

struct bake_ctx;

struct bake_host {
    size_t struct_size;
    uint32_t abi_major, abi_minor;
    /* from any thread */
    void (*vlog)(struct bake_ctx *, int level, const char *fmt, va_list);
    int (*cancelled)(struct bake_ctx *); /* non-zero once the run is to end */
    int (*cancel_fd)(struct bake_ctx *); /* readable once cancelled: for poll(); never read it */
    /* `subject` is what it is about (a path, a table), any bytes; masked and made printable. */
    void (*vreport)(struct bake_ctx *, int severity, const char *subject, const char *fmt, va_list);
    /* from the thread that the plugin was called on */
    int (*vfail)(struct bake_ctx *, int rc, const char *fmt, va_list); /* returns rc */
    int (*sleep_ms)(struct bake_ctx *, uint32_t ms); /* BAKE_OK, or BAKE_E_CANCELLED early */

    /* Since 1.1; sources only. Before a source changes what must be undone even if this process
     * dies, the engine keeps `what` durably: a JSON object, for the source's own redeem(). *id 0:
     * a new obligation, whose id it becomes; else the one that `what` takes the place of. Unless
     * this returns OK nothing may be changed. */
    int (*oblige)(struct bake_ctx *, const char *what, uint64_t *id);
    int (*redeemed)(struct bake_ctx *, uint64_t id); /* it is undone, or need not be any more */

    /* Since 1.2; sources only: the store's log archive, where a database's own logs stand (WAL
     * segments, binary logs). `stream` is whose they are (letters, digits, '-', '_', '.'), `name`
     * is theirs, with at most one '/'. Files at `path` are whole. From any thread. */
    /* Stored, durably, in the sinks; one that is there with the same bytes is OK, with others
     * BAKE_E_EXISTS. */
    int (*log_put)(struct bake_ctx *, const char *stream, const char *name, const char *path);
    /* Makes the file (new, mode 0600). BAKE_E_NOTFOUND. */
    int (*log_get)(struct bake_ctx *, const char *stream, const char *name, const char *path);
    /* Each name of a stream, ascending; each() returns non-zero to stop, which is returned. */
    int (*log_list)(struct bake_ctx *, const char *stream,
                    int (*each)(void *arg, const char *name, uint64_t size), void *arg);
};

struct bake_ctx {
    const struct bake_host *host; /* engine-private members follow */
};

/* ---- options: the engine parses, checks, documents and stores ------------------------------- */

enum bake_type {
    BAKE_T_BOOL = 1,     /* int: 0 or 1 */
    BAKE_T_INT = 2,      /* int64_t */
    BAKE_T_SIZE = 3,     /* uint64_t, bytes: "64 MiB" */
    BAKE_T_DURATION = 4, /* uint64_t, milliseconds: "90s" */
    BAKE_T_STRING = 5,   /* const char *, NULL when absent */
    BAKE_T_PATH = 6,     /* const char *, absolute and normal after loading, NULL when absent */
    BAKE_T_SECRET = 7,   /* const char *; from KEY, KEY_file; never printed; wiped */
    BAKE_T_ENUM = 8,     /* int: index into choices[] */
    BAKE_T_STRLIST = 9,  /* const char *const *, NULL-ended, never NULL itself; a single string
                            is a list of one */
    BAKE_T_PATHLIST = 10 /* const struct bake_path *, ended by a NULL path, never NULL itself;
                            an item is a string or {path: P, optional: true} */
};

struct bake_path {
    const char *path; /* absolute and normal; may hold glob characters where the help says so */
    int optional;     /* absent is no failure */
};

#define BAKE_OPT_REQUIRED   (1u << 0)
#define BAKE_OPT_DEPRECATED (1u << 1) /* works, with a notice that quotes `help` */
#define BAKE_OPT_HAS_RANGE  (1u << 2) /* INT, SIZE and DURATION: min and max count */

struct bake_option {
    const char *key; /* lower case, '_' between words */
    uint32_t type, flags;
    size_t offset;        /* into the plugin's own config struct */
    const char *fallback; /* the default, spelled as in YAML; or NULL */
    int64_t min, max;
    const char *const *choices; /* BAKE_T_ENUM: NULL-ended */
    const char *help;           /* one sentence */
};

/* offsetof that warns (C) or fails (-Werror, C++) if the member is not of type ctype */
#define BAKE_MEMBER(st, m, ctype) (offsetof(st, m) + 0 * sizeof(&((st *)0)->m == (ctype *)0))

/* ---- data ------------------------------------------------------------------------------------ */

struct bake_in {
    const void *data;
    size_t size, pos; /* the callee advances pos */
};
struct bake_out {
    void *data;
    size_t size, pos; /* the callee advances pos */
};
enum bake_op { BAKE_CONTINUE = 0, BAKE_FLUSH = 1, BAKE_FINISH = 2 };
enum bake_dir { BAKE_FORWARD = 0, BAKE_REVERSE = 1 }; /* back up / restore */

enum bake_component_kind { BAKE_TREE = 1, BAKE_BLOB = 2 };

struct bake_component { /* what is backed up and restored by itself */
    size_t struct_size;
    const char *name;  /* "db/database/pg_dumpall.sql": relative, '/' between parts, no "." or
                          ".." part, printable UTF-8; or "." alone: named as the source is in
                          the YAML */
    const char *group; /* read in the same moment; or NULL */
    uint32_t kind;
    uint64_t size_hint;      /* bytes; 0: unknown */
    const char *fingerprint; /* equal to the parent's: unchanged, not read; or NULL */
    const char *facts;       /* a JSON object for the manifest: versions, labels; or NULL */
    uint32_t flags;          /* since 1.2 */
};

/* bake_component.flags */
#define BAKE_UNORDERED (1u << 0) /* a tree whose entries come as they come: all are read */

struct bake_result { /* the engine zeroes it and sets struct_size */
    size_t struct_size;
    const char *facts;       /* a JSON object: row counts, positions, seconds stopped; or NULL */
    const char *fingerprint; /* as read; or NULL */
};

enum bake_entry_type {
    BAKE_FILE = 1,
    BAKE_DIR = 2,
    BAKE_SYMLINK = 3,
    BAKE_HARDLINK = 4, /* `link` is the path of an earlier entry of the same component */
    BAKE_CHARDEV = 5,
    BAKE_BLOCKDEV = 6,
    BAKE_FIFO = 7
};

/* bake_entry.valid: which fields hold something; type, path and (of a file) size always do */
#define BAKE_HAS_MODE   (1u << 0)
#define BAKE_HAS_OWNER  (1u << 1) /* uid and gid; user and group where not NULL */
#define BAKE_HAS_MTIME  (1u << 2)
#define BAKE_HAS_CTIME  (1u << 3)
#define BAKE_HAS_INODE  (1u << 4) /* inode, device and nlink */
#define BAKE_HAS_XATTRS (1u << 5) /* xattrs were looked at, though there may be none */

struct bake_extent { /* data; what lies between extents is a hole that reads as zeros */
    uint64_t offset, length;
};

struct bake_entry { /* one object of a tree */
    size_t struct_size;
    uint32_t type;
    uint32_t valid;
    const char *path; /* relative, normal ("a/b"; the root itself is "."); any bytes but NUL */
    const char *link; /* symbolic link: its text; hard link: the earlier path; else NULL */
    const char *user, *group;
    uint32_t mode; /* permission bits with set-id and sticky, without the type */
    uint32_t uid, gid, dev_major, dev_minor;
    uint64_t size; /* of a file: logical size, holes included */
    uint64_t inode, device, nlink;
    int64_t mtime_ns, ctime_ns;        /* since the epoch, may be negative */
    const char *fingerprint;           /* instead of stat data, e.g. an ETag; or NULL */
    const struct bake_extent *extents; /* ascending, apart; n_extents 0 with extents not NULL: */
    size_t n_extents;                  /* all hole; extents NULL: all data */
    const void *xattrs; /* packed: name, NUL, value length as 4 bytes little-endian, value; */
    size_t xattrs_size; /* POSIX ACLs are the attributes system.posix_acl_{access,default} */
};

/* ---- sources --------------------------------------------------------------------------------- */

enum bake_purpose { BAKE_RESTORE = 1, BAKE_INSPECT = 2, BAKE_DRILL = 3 };

/* bake_restore.flags */
#define BAKE_RESTORE_KEEP_RUNNING (1u << 0) /* stop nothing: the user has (--skip-stop) */
#define BAKE_RESTORE_KEEP_STOPPED (1u << 1) /* at the end all runs or stands as it did before */

struct bake_restore {
    size_t struct_size;
    int purpose;
    int force; /* replace what is there */
    /* since 1.1 */
    uint32_t flags;
    const char *backup;   /* the backup's id */
    const char *as_group; /* restore the group under this name; or NULL */
    /* since 1.2 */
    const char *as_name; /* restore the only component chosen under this name; or NULL */
    const char *const
        *parts;           /* only these parts of the blobs (tables), globs, NULL-ended; or NULL */
    int64_t at_ns;        /* the state of this moment, with the help of logs; 0: as backed up */
    const char *pipeline; /* its file; or NULL */
    const char *program;  /* the engine's own path, for what has to call it later */
};

/* bake_source_ops.traits */
#define BAKE_NAMES_BELOW                                                                           \
    (1u << 0) /* components and groups are named below the source's name: the                      \
                 plugin says "x", all else says "<source>/x" */
#define BAKE_INSPECTS                                                                              \
    (1u << 1) /* verification: a writer with BAKE_INSPECT only looks whether what                  \
                 it is given is sound; commit() says. Nothing is changed, nothing                  \
                 outside is needed, and it does so without restore_begin() */
#define BAKE_DRILLS                                                                                    \
    (1u << 2)                    /* restores with BAKE_DRILL: the same calls as a restore, into        \
                                    something thrown away at the end; restore_end() proves and reports \
                                    what it found in facts */
#define BAKE_HAS_PARTS (1u << 3) /* bake_restore.parts */
#define BAKE_HAS_LOGS                                                                              \
    (1u << 4) /* bake_restore.at_ns: a component's facts hold "wal": {"stream",                    \
                 "from": the first name needed, "end": RFC 3339} */

/* hold(): flags */
#define BAKE_HOLD_PREVIEW (1u << 0) /* only say in ret->facts what would be done */

struct bake_source_ops {
    size_t struct_size;
    int (*open)(struct bake_ctx *, const void *cfg, void **ret_self);
    /* Lists what there is, without side effects: --dry-run calls it as well. OK | END. The
     * strings live until the next plan() or close(). After END the next call starts over. */
    int (*plan)(void *self, struct bake_component *ret);

    /* One reader per component; readers of one instance may run at once on several threads. */
    int (*reader_open)(void *self, struct bake_ctx *, const struct bake_component *,
                       void **ret_reader);
    /* Trees only: the next entry's metadata; a directory before what is in it, names of one
     * directory in byte order. OK | END. What it points at lives until the next next(),
     * open_entry() or reader_close(). */
    int (*next)(void *reader, struct bake_entry *ret);
    /* Trees only; called for a file whose data are wanted, before its first read(). Opens it and
     * brings the entry up to date (size, times, extents). OK, or END when the file is gone or
     * cannot be read: that was reported, and the entry is left out. */
    int (*open_entry)(void *reader, struct bake_entry *entry);
    /* Bytes of the entry's extents, or of the blob, in order. OK | END. A tree's file yields as
     * many bytes as open_entry() said or fails with BAKE_E_IO for that entry alone, when the
     * engine pads it with zeros and the component is partial. */
    int (*read)(void *reader, struct bake_out *);
    /* After the last entry or byte: decides whether the component counts as read. */
    int (*finish)(void *reader, struct bake_result *ret);
    void (*reader_close)(void *reader);

    /* The way back; optional as a group: NULL writer_open means `restore --target` only. */
    int (*writer_open)(void *self, struct bake_ctx *, const struct bake_component *,
                       const struct bake_restore *, void **ret_writer);
    /* OK: its data follow by write(), then entry_end(). BAKE_END: it is there already, just as it
     * should be. BAKE_E_EXISTS: something else is there and is kept. Another error is this entry's
     * alone, but for CANCELLED, NOSPACE, NOMEM and INTERNAL. */
    int (*put_entry)(void *writer, const struct bake_entry *);
    int (*write)(void *writer, struct bake_in *); /* bytes of the extents, or of the blob */
    /* Trees only: after each put_entry() that returned OK. good == 0: the data did not match
     * their digest or could not be had; nothing of the entry may stay. */
    int (*entry_end)(void *writer, int good);
    int (*commit)(void *writer);        /* all is there and right: take it into use */
    void (*writer_close)(void *writer); /* without commit: leave what was there */

    void (*interrupt)(void *self); /* optional; any thread; only wakes a blocked call */
    void (*close)(void *self);

    /* ---- since 1.1: groups. Optional; hold and release together, with redeem. ---- */

    /* Makes what the chosen components of a group are read from stand still, until release(). All
     * are read in between. A failure is that of all of them; release() is called then too. facts:
     * what was (would be) done, for people: lists "stops", "pauses", "keeps". */
    int (*hold)(void *self, struct bake_ctx *, const char *group,
                const struct bake_component *const *chosen, size_t n, uint32_t flags,
                struct bake_result *ret);
    /* Once all is read, failed or cancelled (ctx then is not: it must be done): puts everything
     * back as it was and waits until it is. facts: "stopped_seconds" and more. */
    int (*release)(void *self, struct bake_ctx *, const char *group, struct bake_result *ret);
    /* Undoes what an obligation tells of, if it still is as it was left: in another process, at
     * any later time, perhaps once more. OK: undone, or there is nothing to undo. */
    int (*redeem)(struct bake_ctx *, const void *cfg, const char *what);
    /* Optional. When a verb that may act begins: redeems what this source keeps elsewhere than
     * with the engine, and removes what it kept for a time that is over. */
    int (*tidy)(void *self, struct bake_ctx *);

    /* Restoring a group; together. restore_begin says in ret_stage[i] when chosen[i] is written.
     * For each stage from 0 to the highest: all its writers, each up to commit() (staged and
     * whole, not in use yet); then, but after the last stage, switch_group. At last restore_end.
     * chosen[].facts are as recorded. writer_open returning BAKE_E_NOTFOUND: there is no place for
     * this component any more, which does not make the group's restore fail. When restore_begin
     * fails, or its purpose is BAKE_INSPECT (a dry run: nothing may be changed), nothing follows.
     */
    int (*restore_begin)(void *self, struct bake_ctx *, const struct bake_restore *,
                         const char *group, const struct bake_component *const *chosen, size_t n,
                         uint32_t *ret_stage);
    int (*switch_group)(void *self, struct bake_ctx *, const char *group);
    /* good: all was written: takes into use what is not yet, makes the group run (or stand) as it
     * should and checks it. If that fails, or !good (ctx then is not cancelled: it must be done):
     * data and state are put back as they were before restore_begin(). Facts count either way. */
    int (*restore_end)(void *self, struct bake_ctx *, const char *group, int good,
                       struct bake_result *ret);
    /* Optional: puts back what a good restore of the group replaced, while it is still kept. */
    int (*undo_group)(void *self, struct bake_ctx *, const char *group);

    /* ---- since 1.2 ---- */
    uint32_t traits;
    /* Optional. At the end of a run, once all is read: puts what logs there are by log_put(). */
    int (*logs_pull)(void *self, struct bake_ctx *);
    /* Optional: `bakengine wal-receive`. Puts logs as they are written, until cancelled. `spool`
     * is a directory of its own, kept from one call to the next. */
    int (*logs_follow)(void *self, struct bake_ctx *, const char *spool);
};

/* ---- transforms ------------------------------------------------------------------------------ */

#define BAKE_COMPRESSES (1u << 0)
#define BAKE_ENCRYPTS   (1u << 1)

/* transform open(), memory() */
#define BAKE_SMALL_OBJECT (1u << 0) /* a little object beside a big one: be frugal with memory */
#define BAKE_ONE_THREAD   (1u << 1) /* one of several side by side: no threads of its own */

struct bake_transform_ops {
    size_t struct_size;
    const char *suffix; /* ".zst" */
    uint32_t traits;    /* BAKE_COMPRESSES, BAKE_ENCRYPTS */
    /* Upper bound in bytes of one instance, for the stated budget. */
    uint64_t (*memory)(const void *cfg, int dir, uint32_t flags);
    int (*open)(struct bake_ctx *, const void *cfg, int dir, uint32_t flags, void **ret_self);
    /* Consumes from in, produces to out, or both. CONTINUE: OK. FLUSH and FINISH: OK while there
     * is more to come out, END when all is out; the same op is then repeated with new room.
     * Reverse: FINISH before the stream's own end is BAKE_E_CORRUPT, bytes after it too. */
    int (*process)(void *self, struct bake_in *, struct bake_out *, int op);
    int (*reset)(void *self);      /* optional: reuse for the next object */
    void (*interrupt)(void *self); /* optional */
    void (*close)(void *self);
};

/* ---- sinks: object stores -------------------------------------------------------------------- */

#define BAKE_PUT_IF_ABSENT (1u << 0)

/* An object's name is relative, '/' between parts, printable ASCII, no empty, "." or ".." part. */
struct bake_sink_ops {
    size_t struct_size;
    int (*open)(struct bake_ctx *, const void *cfg, void **ret_self);
    uint64_t (*memory)(const void *cfg, int dir); /* of one put (FORWARD) or get (REVERSE) */
    /* Invisible until put_end() returns OK; whole and durable from then on. Several puts and gets
     * of one instance may run at once, each on one thread. size_or_0: what will come, if known. */
    int (*put_begin)(void *self, struct bake_ctx *, const char *name, uint64_t size_or_0,
                     uint32_t flags, void **ret_put);
    int (*put_write)(void *put, struct bake_in *); /* takes all or fails */
    int (*put_end)(void *put);                     /* frees put; BAKE_E_EXISTS */
    void (*put_abort)(void *put);                  /* frees put; leaves no partials */
    /* length 0: to the end. BAKE_E_NOTFOUND. */
    int (*get_begin)(void *self, struct bake_ctx *, const char *name, uint64_t offset,
                     uint64_t length_or_0, void **ret_get);
    int (*get_read)(void *get, struct bake_out *); /* OK | END */
    void (*get_close)(void *get);
    /* Every object whose name starts with prefix (a string of bytes, "" is all), in any order;
     * each() returns non-zero to stop, and list() then returns that. An empty store is OK. */
    int (*list)(void *self, struct bake_ctx *, const char *prefix,
                int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns),
                void *arg);
    int (*stat)(void *self, struct bake_ctx *, const char *name, uint64_t *ret_size,
                int64_t *ret_mtime_ns);
    int (*remove)(void *self, struct bake_ctx *, const char *name); /* BAKE_E_NOTFOUND */
    /* optional: bytes that can still be put; UNSUPPORTED when it cannot be known */
    int (*space)(void *self, struct bake_ctx *, uint64_t *ret_free);
    /* optional: removes what aborted or killed puts left, if older than age_ms */
    int (*sweep)(void *self, struct bake_ctx *, uint64_t age_ms, uint64_t *ret_removed);
    void (*interrupt)(void *self); /* optional */
    void (*close)(void *self);
};

/* ---- the plugin ------------------------------------------------------------------------------ */

struct bake_plugin {
    size_t struct_size; /* the first four members: BAKE_PLUGIN_HEAD */
    uint32_t abi_major, abi_minor;
    size_t option_size;
    const char *name; /* as in YAML: "files"; its file is <kind>-<name>.so */
    const char *version, *summary;
    const struct bake_option *options; /* ended by a NULL key */
    size_t config_size;                /* the engine allocates, zeroes and fills it */
    int (*validate)(struct bake_ctx *, const void *cfg); /* optional; no I/O */
    int (*probe)(struct bake_ctx *, const void *cfg);    /* optional; may do I/O */
    const struct bake_source_ops *source;                /* exactly one of the three */
    const struct bake_transform_ops *transform;
    const struct bake_sink_ops *sink;
};

#if defined(__GNUC__)
#define BAKE_EXPORT       __attribute__((visibility("default")))
#define BAKE_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BAKE_EXPORT
#define BAKE_PRINTF(f, a)
#endif

#define BAKE_PLUGIN_HEAD                                                                           \
    sizeof(struct bake_plugin), BAKE_ABI_MAJOR, BAKE_ABI_MINOR, sizeof(struct bake_option)

BAKE_EXPORT const struct bake_plugin *bake_plugin_v1(void); /* the only export */

#define BAKE_PLUGIN(p)                                                                             \
    const struct bake_plugin *bake_plugin_v1(void) { return &(p); }

/* return bake_fail(ctx, BAKE_E_IO, "cannot read '%s': %s", path, why); a line "HINT: ..." at the
 * end of the text says what to do next. */
static inline BAKE_PRINTF(3, 4) int bake_fail(struct bake_ctx *ctx, int rc, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    rc = ctx->host->vfail(ctx, rc, fmt, ap);
    va_end(ap);
    return rc;
}

static inline BAKE_PRINTF(4, 5) void bake_report(struct bake_ctx *ctx, int severity,
                                                 const char *subject, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ctx->host->vreport(ctx, severity, subject, fmt, ap);
    va_end(ap);
}

static inline BAKE_PRINTF(3, 4) void bake_log(struct bake_ctx *ctx, int level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    ctx->host->vlog(ctx, level, fmt, ap);
    va_end(ap);
}

#ifdef __cplusplus
}
#endif
#endif
