/* Files of obligations. */
#include "run/duty_file.h"

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/num.h"
#include "run/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT (16u << 20)
#define TRIES      40 /* to make or take a file */
#define TRY_MS     50

int bk_duty_dir(char **ret, struct bk_err *err)
{
    char *state BK_FREE = NULL;
    int rc = bk_state_dir(&state, err);

    if (rc < 0)
        return rc;
    *ret = bk_asprintf("%s/obligations", state);
    return *ret ? BAKE_OK : bk_nomem(err);
}

static void obligation_release(struct bk_obligation *o)
{
    free(o->source);
    free(o->plugin);
    free(o->pipeline);
    free(o->what);
    bk_strv_free(&o->set);
    memset(o, 0, sizeof(*o));
}

static struct bk_obligation *find(struct bk_duty_file *f, uint64_t id)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->items[i].id == id)
            return &f->items[i];
    return NULL;
}

static void forget(struct bk_duty_file *f, uint64_t id)
{
    struct bk_obligation *o = find(f, id);

    if (!o)
        return;
    obligation_release(o);
    *o = f->items[--f->n];
}

static bool copy_set(const struct bk_strv *from, struct bk_strv *to)
{
    bool ok = true;

    for (size_t i = 0; ok && i < from->n; i++)
        ok = bk_strv_add(to, from->items[i]) >= 0;
    return ok;
}

/* Takes the place of the one with the same id. */
static int keep(struct bk_duty_file *f, const struct bk_obligation *o, struct bk_err *err)
{
    struct bk_obligation copy = {.id = o->id,
                                 .source = bk_strdup(o->source),
                                 .plugin = bk_strdup(o->plugin),
                                 .pipeline = bk_strdup(o->pipeline),
                                 .what = bk_strdup(o->what)};
    struct bk_obligation *more = realloc(f->items, (f->n + 1) * sizeof(*more));

    if (more)
        f->items = more;
    if (!more || !copy_set(&o->set, &copy.set) || !copy.source || !copy.plugin || !copy.pipeline ||
        !copy.what) {
        obligation_release(&copy);
        return bk_nomem(err);
    }
    forget(f, o->id);
    f->items[f->n++] = copy;
    return BAKE_OK;
}

/* One line, whole and durable, or nothing of it: what a full disk left of it is taken back. */
static int append(struct bk_duty_file *f, json_t *line, struct bk_err *err)
{
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    off_t end = lseek(f->fd, 0, SEEK_END);
    int rc = bk_json_text(line, 0, &b, err);

    if (rc < 0)
        return rc;
    bk_buf_str(&b, "\n");
    if (b.failed)
        return bk_nomem(err);
    if (end >= 0 && bk_write_full(f->fd, b.data, b.len) == 0 && fdatasync(f->fd) == 0)
        return BAKE_OK;
    rc = bk_fail_errno(err, errno, "cannot write '%s'", f->path);
    if (end >= 0 && ftruncate(f->fd, end) == 0)
        (void)fdatasync(f->fd);
    return rc;
}

static json_t *to_json(const struct bk_obligation *o)
{
    json_t *j = json_object(), *set = json_array();

    bk_json_set_str(j, "op", "oblige");
    bk_json_set_u64(j, "id", o->id);
    bk_json_set_str(j, "source", o->source);
    bk_json_set_str(j, "plugin", o->plugin);
    bk_json_set_str(j, "pipeline", o->pipeline);
    bk_json_set_str(j, "what", o->what);
    for (size_t i = 0; i < o->set.n; i++)
        if (json_array_append_new(set, json_string(o->set.items[i])) < 0) {
            json_decref(set);
            json_decref(j);
            return NULL;
        }
    if (o->set.n > 0 && json_object_set(j, "set", set) < 0) {
        json_decref(j);
        j = NULL;
    }
    json_decref(set);
    return j;
}

int bk_duty_file_add(struct bk_duty_file *f, struct bk_obligation *o, struct bk_err *err)
{
    bool is_new = o->id == 0;
    json_t *line BK_JSON = NULL;
    int rc;

    if (!is_new && !find(f, o->id))
        return bk_fail(err, BAKE_E_INTERNAL, "there is no obligation %llu to replace",
                       (unsigned long long)o->id);
    if (is_new)
        o->id = ++f->last;
    line = to_json(o);
    rc = line ? append(f, line, err) : bk_nomem(err);
    if (rc >= 0)
        rc = keep(f, o, err);
    if (rc < 0 && is_new)
        o->id = 0;
    return rc;
}

int bk_duty_file_drop(struct bk_duty_file *f, uint64_t id, struct bk_err *err)
{
    json_t *line BK_JSON = json_object();
    int rc;

    if (!find(f, id))
        return bk_fail(err, BAKE_E_INTERNAL, "there is no obligation %llu to redeem",
                       (unsigned long long)id);
    bk_json_set_str(line, "op", "redeemed");
    bk_json_set_u64(line, "id", id);
    rc = append(f, line, err);
    if (rc >= 0)
        forget(f, id);
    return rc;
}

/* BAKE_END: before it was locked somebody took it for a dead process's, which had promised nothing.
 */
static int make(const char *dir, struct bk_duty_file *ret, struct bk_err *err)
{
    unsigned char random[8];
    char hex[2 * sizeof(random) + 1];
    struct stat st;
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), hex);
    ret->path = bk_asprintf("%s/%ld-%s", dir, (long)getpid(), hex);
    if (!ret->path)
        return bk_nomem(err);
    ret->fd = open(ret->path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (ret->fd < 0)
        return bk_fail_errno(err, errno, "cannot make '%s'", ret->path);
    if (flock(ret->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? BAKE_END
                                    : bk_fail_errno(err, errno, "cannot lock '%s'", ret->path);
    if (fstat(ret->fd, &st) < 0)
        return bk_fail_errno(err, errno, "cannot look at '%s'", ret->path);
    return st.st_nlink > 0 ? bk_fsync_dir(dir, err) : BAKE_END;
}

int bk_duty_file_new(struct bk_duty_file *ret, struct bk_err *err)
{
    char *dir BK_FREE = NULL;
    int rc = bk_duty_dir(&dir, err);

    if (rc < 0 || (rc = bk_mkdir_p(dir, 0700, err)) < 0)
        return rc;
    for (int i = 0; i < TRIES; i++) {
        rc = make(dir, ret, err);
        if (rc == BAKE_OK)
            return rc;
        bk_duty_file_close(ret);
        if (rc < 0)
            return rc;
    }
    return bk_fail(err, BAKE_E_IO, "cannot keep a file of obligations in '%s': it is taken away",
                   dir);
}

static int read_set(const json_t *list, struct bk_strv *ret, struct bk_err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text && bk_strv_add(ret, text) < 0)
            return bk_nomem(err);
    }
    return BAKE_OK;
}

/* A line that a crash cut short never counted: its oblige() had not returned. */
static int read_line(struct bk_duty_file *f, const char *text, size_t n, struct bk_err *err)
{
    json_t *j BK_JSON = NULL;
    struct bk_obligation o = {0};
    const char *op = NULL, *source = NULL, *plugin = NULL, *pipeline = NULL, *what = NULL;
    int rc = bk_json_parse(text, n, f->path, &j, err);

    if (rc < 0 || (rc = bk_json_str(j, f->path, "op", &op, err)) < 0 ||
        (rc = bk_json_u64(j, f->path, "id", &o.id, err)) < 0)
        return rc;
    if (o.id > f->last)
        f->last = o.id;
    if (bk_streq(op, "redeemed")) {
        forget(f, o.id);
        return BAKE_OK;
    }
    if ((rc = bk_json_str(j, f->path, "source", &source, err)) < 0 ||
        (rc = bk_json_str(j, f->path, "plugin", &plugin, err)) < 0 ||
        (rc = bk_json_str(j, f->path, "pipeline", &pipeline, err)) < 0 ||
        (rc = bk_json_str(j, f->path, "what", &what, err)) < 0)
        return rc;
    o.source = (char *)source;
    o.plugin = (char *)plugin;
    o.pipeline = (char *)pipeline;
    o.what = (char *)what;
    rc = read_set(json_object_get(j, "set"), &o.set, err);
    if (rc >= 0)
        rc = keep(f, &o, err);
    bk_strv_free(&o.set);
    return rc;
}

static int read_all(struct bk_duty_file *f, struct bk_err *err)
{
    struct bk_buf b BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    const char *at, *end;
    int rc = bk_read_file(f->path, FILE_LIMIT, &b, err);

    at = b.data ? b.data : "";
    while (rc >= 0 && (end = memchr(at, '\n', b.len - (size_t)(at - b.data)))) {
        rc = read_line(f, at, (size_t)(end - at), err);
        at = end + 1;
        if (at == b.data + b.len)
            break;
    }
    /* What stands behind the last newline must not be joined with what is appended. */
    if (rc >= 0 && b.len > 0 && at < b.data + b.len && ftruncate(f->fd, at - b.data) < 0)
        rc = bk_fail_errno(err, errno, "cannot cut '%s'", f->path);
    return rc;
}

/* By its name. Where processes are numbered otherwise (another container) a stranger may bear that
 * number, and seem to be the one. */
static bool is_dead(const char *path)
{
    const char *name = strrchr(path, '/');
    char digits[24] = "";
    int64_t pid;
    size_t n;

    name = name ? name + 1 : path;
    n = strcspn(name, "-");
    if (n >= sizeof(digits))
        return false;
    memcpy(digits, name, n);
    return bk_parse_i64(digits, &pid) && pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* The guard of a process that has just died lets go in a moment, as does one that only counts. */
static int lock(int fd, const char *path)
{
    int rc = flock(fd, LOCK_EX | LOCK_NB);

    for (int i = 0; i < TRIES && rc < 0 && errno == EWOULDBLOCK && is_dead(path); i++) {
        (void)poll(NULL, 0, TRY_MS);
        rc = flock(fd, LOCK_EX | LOCK_NB);
    }
    return rc < 0 ? -errno : 0;
}

int bk_duty_file_take(const char *path, struct bk_duty_file *ret, struct bk_err *err)
{
    struct stat st;
    int rc, locked;

    ret->path = bk_strdup(path);
    if (!ret->path)
        return bk_nomem(err);
    ret->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (ret->fd < 0)
        rc = errno == ENOENT ? BAKE_END : bk_fail_errno(err, errno, "cannot open '%s'", path);
    else if ((locked = lock(ret->fd, path)) < 0)
        rc = locked == -EWOULDBLOCK ? BAKE_END
                                    : bk_fail_errno(err, -locked, "cannot lock '%s'", path);
    else /* whoever had it may have removed it meanwhile */
        rc = fstat(ret->fd, &st) == 0 && st.st_nlink == 0 ? BAKE_END : read_all(ret, err);
    if (rc == BAKE_OK)
        return BAKE_OK;
    if (ret->fd >= 0) /* what cannot be read is not removed: somebody must look at it */
        (void)close(ret->fd);
    ret->fd = -1;
    bk_duty_file_close(ret);
    return rc;
}

void bk_duty_file_close(struct bk_duty_file *f)
{
    if (f->fd >= 0) {
        if (f->n == 0)
            (void)unlink(f->path);
        (void)close(f->fd);
    }
    while (f->n > 0)
        obligation_release(&f->items[--f->n]);
    free(f->items);
    free(f->path);
    *f = (struct bk_duty_file)BK_DUTY_FILE_INIT;
}
