/* source-hostfacts: what the kernel and the system say about this host, as one blob: by default the
 * memory, the mounts and the release. A small example of a source; read docs/plugin-api.md with it.
 *
 * The blob is text: for each file a line "=== <path> ===", its content, and an empty line. */
#include <bakengine/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    const struct bake_path *files;
};

static const struct bake_option options[] = {
    {.key = "files",
     .type = BAKE_T_PATHLIST,
     .offset = BAKE_MEMBER(struct config, files, const struct bake_path *),
     .fallback = "[/proc/meminfo, /proc/mounts, /etc/os-release]",
     .help = "The files to read, in this order; no globs."},
    {.key = NULL},
};

/* One per `sources:` entry. Readers of one instance may run at once: it never changes after open.
 */
struct hostfacts {
    struct bake_ctx *ctx;
    const struct config *cfg; /* the engine keeps it until close() has returned */
    int listed;               /* plan() alone uses it */
};

static int hostfacts_open(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    struct hostfacts *h = calloc(1, sizeof(*h));
    if (!h)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    h->ctx = ctx;
    h->cfg = cfg;
    *ret_self = h;
    return BAKE_OK;
}

static void hostfacts_close(void *self) { free(self); }

static int hostfacts_plan(void *self, struct bake_component *ret)
{
    struct hostfacts *h = self;
    h->listed = !h->listed; /* once, then END; then from the start again */
    if (!h->listed)
        return BAKE_END;
    ret->name = "."; /* as the source is named in the YAML */
    ret->kind = BAKE_BLOB;
    return BAKE_OK;
}

/* ---- reading -----------------------------------------------------------------------------------
 */

struct reader {
    const struct config *cfg;
    struct bake_ctx *ctx; /* the reader's own: what it reports is about this component */
    size_t index;         /* of the file that is read */
    int fd;               /* -1: between two files */
    char *text;           /* to be given out before the file's content: its heading */
    size_t text_size, text_pos;
    uint64_t files, bytes;
    char facts[80];
};

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *component,
                       void **ret_reader)
{
    const struct hostfacts *h = self;
    (void)component; /* there is only one */
    struct reader *r = calloc(1, sizeof(*r));
    if (!r)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    r->cfg = h->cfg;
    r->ctx = ctx;
    r->fd = -1;
    *ret_reader = r;
    return BAKE_OK;
}

static void reader_close(void *reader)
{
    struct reader *r = reader;
    if (r->fd >= 0)
        (void)close(r->fd);
    free(r->text);
    free(r);
}

static int set_text(struct reader *r, const char *before, const char *path, const char *after)
{
    size_t cap = strlen(before) + strlen(path) + strlen(after) + 1;
    free(r->text);
    r->text = malloc(cap);
    if (!r->text)
        return bake_fail(r->ctx, BAKE_E_NOMEM, "out of memory");
    r->text_size = (size_t)snprintf(r->text, cap, "%s%s%s", before, path, after);
    r->text_pos = 0;
    return BAKE_OK;
}

/* What cannot be read is said and left out. The engine counts it: an optional file that is absent
 * is worth a line, anything else makes the component partial. */
static void report(struct reader *r, const struct bake_path *file, int e)
{
    if (e == ENOENT && file->optional)
        bake_report(r->ctx, BAKE_NOTICE, file->path, "is not there, skipping");
    else
        bake_report(r->ctx, BAKE_PARTIAL, file->path, "cannot be read: %s, skipping", strerror(e));
}

/* Opens the next file that can be opened. OK, or END after the last. */
static int next_file(struct reader *r)
{
    for (;; r->index++) {
        const struct bake_path *file = &r->cfg->files[r->index];
        if (!file->path)
            return BAKE_END;
        if (r->ctx->host->cancelled(r->ctx))
            return bake_fail(r->ctx, BAKE_E_CANCELLED, "cancelled");
        r->fd = open(file->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not wait */
        if (r->fd >= 0) {
            r->files++;
            return set_text(r, "=== ", file->path, " ===\n");
        }
        report(r, file, errno);
    }
}

static size_t give_text(struct reader *r, struct bake_out *out)
{
    size_t n = r->text_size - r->text_pos, room = out->size - out->pos;
    if (n > room)
        n = room;
    if (n > 0)
        memcpy((char *)out->data + out->pos, r->text + r->text_pos, n);
    r->text_pos += n;
    out->pos += n;
    r->bytes += n;
    return n;
}

/* Some bytes of the open file; at its end the empty line is next. */
static int give_content(struct reader *r, struct bake_out *out)
{
    ssize_t n;
    do
        n = read(r->fd, (char *)out->data + out->pos, out->size - out->pos);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        out->pos += (size_t)n;
        r->bytes += (uint64_t)n;
        return BAKE_OK;
    }
    if (n < 0)
        report(r, &r->cfg->files[r->index], errno);
    (void)close(r->fd);
    r->fd = -1;
    r->index++;
    return set_text(r, "\n", "", "");
}

/* Each call gives at least one byte, or END, or an error: one without progress would be a bug. */
static int reader_read(void *reader, struct bake_out *out)
{
    struct reader *r = reader;
    size_t start = out->pos;
    while (out->pos == start) {
        int rc = BAKE_OK;
        if (r->text_pos < r->text_size)
            (void)give_text(r, out);
        else
            rc = r->fd >= 0 ? give_content(r, out) : next_file(r);
        if (rc != BAKE_OK)
            return rc;
    }
    return BAKE_OK;
}

/* The place to say that it all was for nothing. */
static int reader_finish(void *reader, struct bake_result *ret)
{
    struct reader *r = reader;
    if (r->files == 0)
        return bake_fail(r->ctx, BAKE_E_NOTFOUND,
                         "none of the files can be read\n"
                         "HINT: name files that exist on this host in 'files'");
    (void)snprintf(r->facts, sizeof(r->facts), "{\"files\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
                   r->files, r->bytes);
    ret->facts = r->facts;
    return BAKE_OK;
}

/* No way back: a host's facts cannot be put in place, so there is no writer_open, and backups are
 * restored with `restore --target`. Blobs need neither next nor open_entry. */
static const struct bake_source_ops ops = {
    .struct_size = sizeof(ops),
    .open = hostfacts_open,
    .plan = hostfacts_plan,
    .reader_open = reader_open,
    .read = reader_read,
    .finish = reader_finish,
    .reader_close = reader_close,
    .close = hostfacts_close,
};

/* No I/O here: this runs whenever a pipeline file is checked, on any machine. */
static int validate(struct bake_ctx *ctx, const void *cfg)
{
    const struct config *c = cfg;
    if (!c->files[0].path)
        return bake_fail(ctx, BAKE_E_CONFIG, "'files' is empty: there is nothing to read");
    return BAKE_OK;
}

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,
    .name = "hostfacts",
    .version = "1.0",
    .summary = "what the kernel and the system say about this host, as one text",
    .options = options,
    .config_size = sizeof(struct config),
    .validate = validate,
    .source = &ops,
};

BAKE_PLUGIN(plugin)
