/* Getting logs out of the archive: from the first sink that can give them. */
#include "store/wal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What the sinks said, one after the other. */
struct asked {
    size_t absent;       /* have not got it, for sure */
    struct bk_err worst; /* of those that could not say, or gave damage */
};

/* Nobody had it. As each stored log is in so many sinks, it was never stored if fewer than those
 * could not be asked: else it is not known, and must not look as if the logs ended here. A store
 * that was opened with one of its sinks alone (--from) is taken as all there is. */
static int judge(const struct bk_store *s, const struct asked *a, const char *object,
                 struct bk_err *err)
{
    if (s->n_sinks - a->absent < bk_wal_required(s))
        return bk_fail(err, BAKE_E_NOTFOUND, "there is no log '%s'", object + strlen(BK_WAL));
    *err = a->worst;
    if (a->absent > 0)
        bk_hint(err,
                "the sinks that answer have no log '%s', but this one may; to go by one sink "
                "alone say which with --from",
                object + strlen(BK_WAL));
    if (err->rc == BAKE_E_NOTFOUND) /* what is not there is the sink */
        err->rc = BAKE_E_UNAVAILABLE;
    return err->rc;
}

/* *own: the failure is the taker's own, so that no other sink helps. */
static int get_from_any(struct bk_store *s, const char *object, const struct bk_wal_taker *taker,
                        const bool *own, struct bk_err *err)
{
    struct asked a = {0};

    for (size_t i = 0; i < s->n_sinks; i++) {
        struct bk_err why = {0};
        int rc;

        if (!bk_store_sink_ok(s, i)) {
            a.worst = s->failed[i];
            continue;
        }
        rc = bk_wal_read(s, &s->sinks[i], object, taker, &why);
        if (rc >= 0)
            return BAKE_OK;
        if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM || *own) {
            *err = why;
            return rc;
        }
        if (rc == BAKE_E_NOTFOUND) {
            a.absent++;
            continue;
        }
        bk_log(BAKE_LOG_WARN, "%s", why.text);
        a.worst = why;
    }
    return judge(s, &a, object, err);
}

/* ---- into a file ----------------------------------------------------------------------------- */

struct target {
    const char *path;
    char *temp;
    int fd;
    bool failed;
};

static int file_begin(void *arg, const struct bk_wal_facts *facts, struct bk_err *err)
{
    struct target *t = arg;

    (void)facts;
    if (ftruncate(t->fd, 0) == 0 && lseek(t->fd, 0, SEEK_SET) == 0)
        return BAKE_OK;
    t->failed = true;
    return bk_fail_errno(err, errno, "cannot start '%s' over", t->temp);
}

static int file_data(void *arg, const void *data, size_t n, struct bk_err *err)
{
    struct target *t = arg;

    if (bk_write_full(t->fd, data, n) == 0)
        return BAKE_OK;
    t->failed = true;
    return bk_fail_errno(err, errno, "cannot write '%s'", t->temp);
}

/* A name of its own, so that two that fetch the same do not meet. */
static int open_temp(struct target *t, struct bk_err *err)
{
    unsigned char random[6];
    char hex[2 * sizeof(random) + 1];
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), hex);
    t->temp = bk_asprintf("%s.bakengine-%s", t->path, hex);
    if (!t->temp)
        return bk_nomem(err);
    t->fd = open(t->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return t->fd < 0 ? bk_fail_errno(err, errno, "cannot make '%s'", t->temp) : BAKE_OK;
}

static int publish(struct target *t, struct bk_err *err)
{
    char *dir BK_FREE = bk_path_dir(t->path);
    int fd = t->fd;

    if (!dir)
        return bk_nomem(err);
    if (fsync(fd) < 0)
        return bk_fail_errno(err, errno, "cannot sync '%s'", t->temp);
    t->fd = -1;
    if (close(fd) < 0)
        return bk_fail_errno(err, errno, "cannot close '%s'", t->temp);
    if (rename(t->temp, t->path) < 0)
        return bk_fail_errno(err, errno, "cannot rename '%s' to '%s'", t->temp, t->path);
    return bk_fsync_dir(dir, err);
}

int bk_wal_get(struct bk_store *s, const char *stream, const char *name, const char *path,
               struct bk_err *err)
{
    struct target t = {.path = path, .fd = -1};
    const struct bk_wal_taker taker = {.begin = file_begin, .data = file_data, .arg = &t};
    struct bk_err why = {0};
    char object[BK_WAL_NAME_CAP];
    int rc = bk_wal_object(stream, name, object, &why);

    if (rc >= 0)
        rc = open_temp(&t, &why);
    if (rc == BAKE_E_NOTFOUND) /* the folder: must not look as if the log were not there */
        rc = why.rc = BAKE_E_IO;
    if (rc >= 0)
        rc = get_from_any(s, object, &taker, &t.failed, &why);
    if (rc >= 0) {
        rc = publish(&t, &why);
        if (rc == BAKE_E_NOTFOUND)
            rc = why.rc = BAKE_E_IO;
    }
    if (rc < 0 && t.temp)
        (void)unlink(t.temp);
    if (rc < 0 && err)
        *err = why;
    bk_close_p(&t.fd);
    free(t.temp);
    return rc;
}

/* ---- into memory ----------------------------------------------------------------------------- */

static int small_begin(void *arg, const struct bk_wal_facts *facts, struct bk_err *err)
{
    struct bk_buf *b = arg;

    bk_buf_clear(b);
    if (facts->size <= BK_WAL_SMALL)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_CORRUPT, "it has %llu bytes, which is more than can be right",
                   (unsigned long long)facts->size);
}

static int small_data(void *arg, const void *data, size_t n, struct bk_err *err)
{
    return bk_buf_add(arg, data, n) < 0 ? bk_nomem(err) : BAKE_OK;
}

int bk_wal_read_small(struct bk_store *s, struct bk_sink *sink, const char *object,
                      struct bk_buf *out, struct bk_err *err)
{
    const struct bk_wal_taker taker = {.begin = small_begin, .data = small_data, .arg = out};

    bk_buf_clear(out);
    return bk_wal_read(s, sink, object, &taker, err);
}
