/* Gives a throw-away server the log that the store has. */
#include "base_feed.h"
#include "base_files.h"
#include "text.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT     24 /* digits of its name */
#define OUTPUT_MOST (1u << 20)
#define STOP_STATUS 200 /* of restore_command, from 126 on: a failure, not the log's end */

struct pg_feed {
    struct pg_way *way;
    const char *waldump;
    char *directory, *command;
    int ask, answer;
    char line[64];
    size_t n_line;
    char
        before[SEGMENT + 1]; /* the segment given last; kept, as a record may reach into the next */
    char stopped[SEGMENT + 1];
    uint64_t given;
};

static int no_memory(struct pg_way *w) { return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- what is in a log ------------------------------------------------------------------------ */

static int output_of(struct pg_way *w, const char *const *argv, char **ret)
{
    struct bkc_child_spec spec = {.argv = argv, .out = true};
    struct bkc_child *child = NULL;
    char *text = malloc(OUTPUT_MOST + 1);
    int status = 0, rc = text ? bkc_child_start(w->ctx, &spec, &child) : no_memory(w);
    struct bake_out out = {text, OUTPUT_MOST, 0};
    while (rc == BAKE_OK && out.pos < out.size)
        rc = bkc_child_read(child, &out);
    if (rc == BAKE_END)
        rc = bkc_child_wait(child, &status); /* it always fails at the end of the last segment */
    bkc_child_free(child);
    if (rc != BAKE_OK) {
        free(text);
        return rc;
    }
    text[out.pos] = '\0';
    *ret = text;
    return BAKE_OK;
}

int pg_log_reaches_out(struct pg_way *w, const char *waldump, const char *const *files,
                       bool *ret_does)
{
    const char *argv[16] = {waldump, "--rmgr=Tablespace"};
    char *text = NULL;
    for (size_t i = 0; files[i] && i < 13; i++)
        argv[2 + i] = files[i];
    int rc = output_of(w, argv, &text);
    if (rc == BAKE_OK)
        *ret_does = strstr(text, "desc: CREATE") != NULL;
    free(text);
    return rc;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static int any(void *arg, const char *name, uint64_t size)
{
    (void)arg;
    (void)name;
    (void)size;
    return 1;
}

static int make_pipe(struct pg_feed *f, const char *name, int *ret)
{
    struct pg_way *w = f->way;
    char *path = pg_text("%s/%s", f->directory, name);
    int rc = path ? BAKE_OK : no_memory(w);
    if (rc == BAKE_OK &&
        (mkfifo(path, 0600) != 0 || (w->as_user && lchown(path, w->uid, w->gid) != 0) ||
         (*ret = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0))
        rc = bake_fail(w->ctx, BAKE_E_IO, "cannot make the pipe '%s': %s", path, strerror(errno));
    free(path);
    return rc;
}

/* Written so that whatever goes wrong is a failure, and not taken for the log's end. */
static int make_script(struct pg_feed *f)
{
    struct pg_way *w = f->way;
    char *path = pg_text("%s/fetch", f->directory), *quoted = pg_shell_quoted(f->directory);
    char *script = quoted ? pg_text("d=%s\n"
                                    "printf '%%s\\n' \"$1\" >\"$d/ask\" || exit %d\n"
                                    "read -r answer <\"$d/answer\" || exit %d\n"
                                    "case $answer in\n"
                                    "yes) mv \"$d/$1\" \"$2\" || exit %d ;;\n"
                                    "no) exit 1 ;;\n"
                                    "*) exit %d ;;\n"
                                    "esac\n",
                                    quoted, STOP_STATUS, STOP_STATUS, STOP_STATUS, STOP_STATUS)
                          : NULL;
    char *word = path ? pg_shell_quoted(path) : NULL;
    if (word && !strchr(word, '%'))
        f->command = pg_text("/bin/sh %s %%f \"%%p\"", word);
    int rc = script && word
                 ? pg_write_file(w->ctx, path, script, strlen(script), w->as_user, w->uid, w->gid)
                 : no_memory(w);
    if (rc == BAKE_OK && !f->command)
        rc = bake_fail(w->ctx, BAKE_E_CONFIG, "'scratch': '%s' has a '%%' in it", f->directory);
    free(path);
    free(quoted);
    free(script);
    free(word);
    return rc;
}

int pg_feed_new(struct pg_way *w, const char *waldump, struct pg_feed **ret)
{
    const struct bake_host *host = w->ctx->host;
    if (host->abi_minor < 2 || !host->log_list || !host->log_get)
        return BAKE_END;
    int rc = host->log_list(w->ctx, w->known.system_id, any, NULL);
    if (rc <= 0)
        return rc == BAKE_OK ? BAKE_END : rc;
    struct pg_feed *f = calloc(1, sizeof(*f));
    if (!f)
        return no_memory(w);
    f->way = w;
    f->waldump = waldump;
    f->ask = f->answer = -1;
    f->directory = pg_text("%s/logs", bkc_scratch_path(w->scratch));
    rc =
        f->directory ? pg_make_dir(w->ctx, f->directory, w->as_user, w->uid, w->gid) : no_memory(w);
    if (rc == BAKE_OK)
        rc = make_pipe(f, "ask", &f->ask);
    if (rc == BAKE_OK)
        rc = make_pipe(f, "answer", &f->answer);
    if (rc == BAKE_OK)
        rc = make_script(f);
    if (rc == BAKE_OK)
        *ret = f;
    else
        pg_feed_free(f);
    return rc;
}

void pg_feed_free(struct pg_feed *f)
{
    if (!f)
        return;
    if (f->ask >= 0)
        (void)close(f->ask);
    if (f->answer >= 0)
        (void)close(f->answer);
    free(f->directory);
    free(f->command);
    free(f);
}

const char *pg_feed_command(const struct pg_feed *f) { return f->command; }
uint64_t pg_feed_count(const struct pg_feed *f) { return f->given; }
const char *pg_feed_stopped(const struct pg_feed *f) { return *f->stopped ? f->stopped : NULL; }

/* ---- answering ------------------------------------------------------------------------------- */

static int answer(struct pg_feed *f, const char *text)
{
    size_t n = strlen(text);
    if (write(f->answer, text, n) == (ssize_t)n)
        return BAKE_OK;
    return bake_fail(f->way->ctx, BAKE_E_IO, "cannot answer the throw-away server: %s",
                     strerror(errno));
}

static bool digits(const char *text, size_t n) { return strspn(text, "0123456789ABCDEF") == n; }

/* Both this segment and the one before are kept under other names, by hard links: the server takes
 * the first name away. */
static int look_into(struct pg_feed *f, const char *path, const char *name, bool *ret_bad)
{
    struct pg_way *w = f->way;
    char *keep = pg_text("%s/keep", f->directory), *now = pg_text("%s/keep/%s", f->directory, name);
    char *old = *f->before ? pg_text("%s/keep/%s", f->directory, f->before) : NULL;
    int rc = keep && now && (old || !*f->before) ? BAKE_OK : no_memory(w);
    if (rc == BAKE_OK && mkdir(keep, 0700) != 0 && errno != EEXIST)
        rc = bake_fail(w->ctx, BAKE_E_IO, "cannot make '%s': %s", keep, strerror(errno));
    if (rc == BAKE_OK) {
        (void)unlink(now); /* asked for once more */
        if (link(path, now) != 0)
            rc = bake_fail(w->ctx, BAKE_E_IO, "cannot link '%s': %s", now, strerror(errno));
    }
    bool follows = old && strcmp(f->before, name) < 0 && strncmp(f->before, name, 8) == 0;
    const char *const files[] = {"--path", keep, follows ? f->before : name, follows ? name : NULL,
                                 NULL};
    if (rc == BAKE_OK)
        rc = pg_log_reaches_out(w, f->waldump, files, ret_bad);
    if (old && strcmp(f->before, name) != 0)
        (void)unlink(old);
    (void)snprintf(f->before, sizeof(f->before), "%.24s", name);
    free(keep);
    free(now);
    free(old);
    return rc;
}

/* yes, no, or what is to be done about a failure. */
static int fetch(struct pg_feed *f, const char *name, bool *ret_yes)
{
    struct pg_way *w = f->way;
    bool segment = digits(name, SEGMENT) && !name[SEGMENT], bad = false;
    bool history = digits(name, 8) && strcmp(name + 8, ".history") == 0;
    *ret_yes = false;
    if ((!segment && !history) || (segment && *f->stopped))
        return BAKE_OK;
    char object[48];
    (void)snprintf(object, sizeof(object), "%.8s/%.36s", name, name);
    char *path = pg_text("%s/%s", f->directory, name);
    if (!path)
        return no_memory(w);
    (void)unlink(path);
    int rc = w->ctx->host->log_get(w->ctx, w->known.system_id, object, path);
    if (rc == BAKE_E_NOTFOUND) {
        free(path);
        return BAKE_OK;
    }
    if (rc == BAKE_OK && segment)
        rc = look_into(f, path, name, &bad);
    if (rc == BAKE_OK && bad)
        (void)snprintf(f->stopped, sizeof(f->stopped), "%.24s", name);
    if (rc == BAKE_OK && w->as_user && lchown(path, w->uid, w->gid) != 0)
        rc = bake_fail(w->ctx, BAKE_E_IO, "cannot change the owner of '%s': %s", path,
                       strerror(errno));
    *ret_yes = rc == BAKE_OK && !bad;
    f->given += *ret_yes && segment;
    free(path);
    return rc;
}

static int asked(struct pg_feed *f)
{
    bool yes;
    int rc = fetch(f, f->line, &yes);
    int rc2 = answer(f, rc != BAKE_OK ? "stop\n" : yes ? "yes\n" : "no\n");
    return rc != BAKE_OK ? rc : rc2;
}

int pg_feed_wait(struct pg_feed *f, int64_t ms)
{
    int rc = pg_wait(f->way->ctx, f->ask, false, ms);
    if (rc != BAKE_OK)
        return rc == BAKE_E_TIMEOUT ? BAKE_OK : bake_fail(f->way->ctx, rc, "cannot wait");
    for (;;) {
        char c;
        ssize_t n = read(f->ask, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return BAKE_OK;
        if (c != '\n' && f->n_line + 1 < sizeof(f->line)) {
            f->line[f->n_line++] = c;
            continue;
        }
        f->line[f->n_line] = '\0';
        f->n_line = 0;
        if ((rc = asked(f)) != BAKE_OK)
            return rc;
    }
}
