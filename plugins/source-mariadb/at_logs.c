/* See at_logs.h. */
#include "at_logs.h"

#include "binlog.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEAD          19 /* bytes of an event's head: time, type, server, length, next, flags */
#define QUERY         2  /* the type of statements */
#define STATEMENT_MAX (64U << 20)
#define BILLION       1000000000LL

/* ---- times ----------------------------------------------------------------------------------- */

static uint32_t little(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int open_log(struct bake_ctx *ctx, const char *path, off_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        *size = st.st_size;
        return fd;
    }
    int e = errno;
    if (fd >= 0)
        (void)close(fd);
    (void)bake_fail(ctx, BAKE_E_IO, "cannot read '%s': %s", path, strerror(e));
    return -1;
}

/* The head of the event there; false: there is none, it is encrypted, or cut off. */
static bool event_at(int fd, off_t at, off_t size, unsigned char head[HEAD])
{
    if (at + HEAD > size || pread(fd, head, HEAD, at) != HEAD)
        return false;
    uint32_t length = little(head + 9);
    return length >= HEAD && (off_t)length <= size - at;
}

int my_binlog_times(struct bake_ctx *ctx, const char *path, int64_t *first, int64_t *last)
{
    unsigned char head[HEAD];
    off_t size = 0;
    int fd = open_log(ctx, path, &size);
    *first = *last = 0;
    if (fd < 0)
        return BAKE_E_IO;
    for (off_t at = 4; event_at(fd, at, size, head); at += (off_t)little(head + 9)) {
        int64_t when = little(head);
        *first = *first ? *first : when;
        *last = when > *last ? when : *last;
    }
    (void)close(fd);
    return BAKE_OK;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* Does it change a database's content? Grants name databases, too. */
static bool changes(const char *text)
{
    static const char *const verbs[] = {"CREATE",   "ALTER",  "DROP",   "RENAME",
                                        "TRUNCATE", "INSERT", "UPDATE", "DELETE",
                                        "REPLACE",  "LOAD",   "WITH"};
    static const char *const accounts[] = {" USER ", " ROLE "};
    text += strspn(text, " \t\r\n(");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        size_t n = strlen(verbs[i]);
        if (strncasecmp(text, verbs[i], n) != 0)
            continue;
        for (size_t k = 0; k < sizeof(accounts) / sizeof(accounts[0]); k++)
            if (strncasecmp(text + n, accounts[k], strlen(accounts[k])) == 0)
                return false;
        return true;
    }
    return false;
}

/* A whole event of a statement: thread, seconds, length of the database's name, error, length of
 * variables; these, the name and a NUL, the statement. */
static bool strays(char *event, size_t n, const char *database)
{
    size_t fixed = HEAD + 13;
    if (n < fixed)
        return false;
    const unsigned char *p = (const unsigned char *)event + HEAD;
    size_t name = fixed + p[11] + (size_t)p[12] * 256, length = p[8];
    if (name + length + 1 >= n || event[name + length] != '\0' ||
        strcmp(event + name, database) == 0)
        return false;
    const char *text = event + name + length + 1;
    return changes(text) && strstr(text, database) != NULL;
}

int my_binlog_strays(struct bake_ctx *ctx, const char *path, const char *database, uint64_t start,
                     int64_t at, uint64_t *ret, uint64_t *where)
{
    unsigned char head[HEAD];
    off_t size = 0;
    int rc = BAKE_OK, fd = open_log(ctx, path, &size);
    if (fd < 0)
        return BAKE_E_IO;
    for (off_t pos = 4; event_at(fd, pos, size, head); pos += (off_t)little(head + 9)) {
        uint32_t n = little(head + 9);
        if ((uint64_t)pos < start || head[4] != QUERY || (int64_t)little(head) >= at ||
            n > STATEMENT_MAX)
            continue;
        char *event = calloc(1, (size_t)n + 1);
        if (!event) {
            rc = my_nomem(ctx);
            break;
        }
        if (pread(fd, event, n, pos) == (ssize_t)n && strays(event, n, database) && ++*ret == 1)
            *where = (uint64_t)pos;
        free(event);
    }
    (void)close(fd);
    return rc;
}

static void moment(int64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = '\0';
}

/* ---- which ----------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    return my_binlog_compare(*(char *const *)a, *(char *const *)b);
}

static uint64_t number_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    uint64_t n = 0;
    for (dot = dot ? dot + 1 : ""; *dot >= '0' && *dot <= '9' && n < UINT64_MAX / 100; dot++)
        n = n * 10 + (uint64_t)(*dot - '0');
    return n;
}

static int missing(struct my_restore *r, const char *stream, const char *like, uint64_t number)
{
    const char *dot = strrchr(like, '.');
    int base = dot ? (int)(dot - like) : (int)strlen(like);
    int width = dot ? (int)strlen(dot + 1) : 6;
    return bake_fail(r->ctx, BAKE_E_NOTFOUND,
                     "binary log '%.*s.%0*llu' of '%s' is not in the store: nothing behind it can "
                     "be restored\nHINT: choose a moment before it, or a later backup",
                     base, like, width, (unsigned long long)number, stream);
}

static int get_one(struct my_restore *r, const char *stream, const char *name, struct my_chain *c)
{
    char *path = my_text("%s/%s", bkc_scratch_path(c->room), name);
    char **paths = realloc(c->paths, (c->n + 1) * sizeof(char *));
    if (paths)
        c->paths = paths;
    if (!path || !paths) {
        free(path);
        return my_nomem(r->ctx);
    }
    paths[c->n++] = path;
    int rc = r->ctx->host->log_get(r->ctx, stream, name, path);
    return rc == BAKE_OK ? my_binlog_check(r->ctx, path, name, 0) : rc;
}

static int too_early(struct my_restore *r, const char *stream, int64_t last)
{
    char end[32], at[32];
    moment(last, end);
    moment(r->at_ns / BILLION, at);
    return bake_fail(r->ctx, BAKE_E_NOTFOUND,
                     "the binary logs of '%s' in the store end at %s, before %s\n"
                     "HINT: choose an earlier moment; a run of the pipeline, or wal-receive, puts "
                     "newer logs into the store",
                     stream, end, at);
}

static int fetch(struct my_restore *r, const char *stream, const char *from, char *const *names,
                 size_t n, struct my_chain *c)
{
    uint64_t next = number_of(from);
    int64_t first = 0, last = 0, at = r->at_ns / BILLION;
    for (size_t i = 0; i < n; i++) {
        if (my_binlog_compare(names[i], from) < 0)
            continue;
        if (number_of(names[i]) != next)
            return missing(r, stream, from, next);
        next++;
        int rc = get_one(r, stream, names[i], c);
        if (rc == BAKE_OK)
            rc = my_binlog_times(r->ctx, c->paths[c->n - 1], &first, &last);
        if (rc != BAKE_OK)
            return rc;
        if (first == 0)
            bake_report(r->ctx, BAKE_WARNING, names[i],
                        "when its events were written cannot be read");
        if (last > at) /* it goes on behind the moment */
            return BAKE_OK;
    }
    if (c->n == 0)
        return missing(r, stream, from, next);
    return last == 0 || last >= at ? BAKE_OK : too_early(r, stream, last);
}

int my_chain_fetch(struct my_restore *r, const char *stream, const char *from, struct my_chain *ret)
{
    struct bkc_scratch_spec spec = {.above = r->cfg->scratch, .what = "binlogs"};
    struct my_stored stored;
    *ret = (struct my_chain){0};
    if (!my_binlog_name(from))
        return bake_fail(r->ctx, BAKE_E_CORRUPT, "'%s' is no binary log's name", from);
    int rc = my_stored_list(r->ctx, stream, &stored);
    if (rc != BAKE_OK)
        return rc;
    if (stored.n > 1)
        qsort(stored.names, stored.n, sizeof(char *), by_number);
    rc = bkc_scratch_new(r->ctx, &spec, &ret->room);
    if (rc == BAKE_OK)
        rc = fetch(r, stream, from, stored.names, stored.n, ret);
    my_stored_release(&stored);
    return rc;
}

int my_chain_release(struct my_chain *c, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->paths[i]);
    free(c->paths);
    int rc = bkc_scratch_end(c->room, ctx, SIGKILL, 0);
    *c = (struct my_chain){0};
    return rc;
}
