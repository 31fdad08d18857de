/* sink-local: what its files share. An instance is read-only once open, but for the lock under
 * which directories are walked and made. */
#ifndef LOCAL_H
#define LOCAL_H

#include <bakengine/plugin.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct local_cfg {
    const char *path, *dir_mode, *file_mode, *owner, *group;
    uint64_t min_free;
    int create, fsync;
};

struct local {
    char *root;
    mode_t dir_mode, file_mode;
    uid_t uid; /* -1: as it comes */
    gid_t gid;
    uint64_t min_free;
    bool create, fsync;
    pthread_mutex_t walking;
};

#define LOCAL_NAME_MAX 1024
#define LOCAL_PART_MAX 255
#define LOCAL_TMP      ".tmp-" /* no object's name has a part that starts so */
#define LOCAL_TMP_CAP  24      /* LOCAL_TMP, 16 hex digits, NUL */

/* ---- errors.c: every text of this plugin about a failed system call ---------------------------
 */

/* "cannot <verb> '<root>/<name>': <why>" and a hint; name may be "". Returns the result that
 * follows from errno e. */
int local_fail(const struct local *s, struct bake_ctx *ctx, int e, const char *verb,
               const char *name);
char *local_size_text(char *out, size_t cap, uint64_t bytes); /* "12.5 MiB" */

/* ---- names.c ----------------------------------------------------------------------------------
 */

bool local_name_ok(const char *name);
int local_check_name(struct bake_ctx *ctx, const char *name); /* BAKE_E_INTERNAL */
const char *local_base(const char *name);                     /* after the last '/' */
bool local_is_tmp(const char *part);
int local_tmp_name(char out[LOCAL_TMP_CAP]); /* random; 0 or -errno */

/* ---- dirs.c: descriptors of directories; all results are a descriptor or -errno ----------------
 */

enum local_walk { LOCAL_LOOK, LOCAL_READ, LOCAL_MAKE };

int local_open_root(const struct local *s);
/* The directory that holds name ("a/b/c": that of "a/b"). LOOK: good for *at() calls alone. READ:
 * can be read and fsynced. MAKE: as READ, missing directories are made, *ret_made says if any. */
int local_walk(struct local *s, const char *name, enum local_walk how, bool *ret_made);
/* fsync, or what stands in for it where directories cannot be fsynced. 0 or -errno. */
int local_sync_dir(const struct local *s, int fd);
int local_give(const struct local *s, int fd, mode_t mode); /* owner, then mode; 0 or -errno */
/* Removes the empty directories above name, lowest first, as far as the root. True: some were
 * removed, and that is durable. */
bool local_drop_empty(struct local *s, const char *name);

/* ---- put.c, get.c, list.c, manage.c: the operations -------------------------------------------
 */

int local_put_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t size_or_0,
                    uint32_t flags, void **ret_put);
int local_put_write(void *put, struct bake_in *in);
int local_put_end(void *put);
void local_put_abort(void *put);
uint64_t local_put_memory(void);

int local_get_begin(void *self, struct bake_ctx *ctx, const char *name, uint64_t offset,
                    uint64_t length_or_0, void **ret_get);
int local_get_read(void *get, struct bake_out *out);
void local_get_close(void *get);
uint64_t local_get_memory(void);

/* Calls each() for all regular files below the root whose name starts with prefix: the objects,
 * or (tmp) what unfinished puts left. */
struct local_visit {
    struct bake_ctx *ctx;
    const char *prefix;
    bool tmp;
    int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns);
    void *arg;
};
int local_visit(struct local *s, const struct local_visit *v);
int local_list(void *self, struct bake_ctx *ctx, const char *prefix,
               int (*each)(void *arg, const char *name, uint64_t size, int64_t mtime_ns),
               void *arg);

int local_stat(void *self, struct bake_ctx *ctx, const char *name, uint64_t *ret_size,
               int64_t *ret_mtime_ns);
int local_remove(void *self, struct bake_ctx *ctx, const char *name);
int local_space(void *self, struct bake_ctx *ctx, uint64_t *ret_free);
int local_sweep(void *self, struct bake_ctx *ctx, uint64_t age_ms, uint64_t *ret_removed);
/* Bytes that ordinary users can still write where fd is; false: the file system does not say. */
bool local_free_bytes(int fd, uint64_t *ret);

#endif
