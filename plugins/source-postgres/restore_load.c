/* psql or pg_restore that is fed with a dump. The first error ends it; what it says of it, with the
 * statement, is the failure's text. */
#include "restore.h"

#include "dump.h"
#include "text.h"
#include "tools.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#define LINE_MAX_BYTES 400 /* of a line that is kept: statements may be long */

struct pg_load {
    struct bake_ctx *ctx;
    struct bkc_child *child;
    struct pg_lines lines;
    const char *tool;
    char *subject;
    bool lenient, bad, drill;
    size_t missing; /* roles that are not there */
};

/* ---- what it says ---------------------------------------------------------------------------- */

/* What follows the word may be one. */
static void hide_secrets(char *line)
{
    static const char *const words[] = {"password", "passwd", "secret"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char *at = strcasestr(line, words[i]);
        size_t n = strlen(words[i]);
        if (at && strlen(at + n) > 4)
            (void)memcpy(at + n, " ...", 5);
    }
}

static bool about_role(const char *line)
{
    const char *at = strstr(line, "role \"");
    return at && strstr(at, "\" does not exist");
}

static void said(void *arg, const char *text)
{
    struct pg_load *l = arg;
    char line[LINE_MAX_BYTES];
    size_t n = strnlen(text, sizeof(line) - 1);
    while (n > 0 && text[n] && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    memcpy(line, text, n);
    line[n] = '\0';
    bool error = strstr(line, "ERROR:") != NULL;
    if (l->lenient && error && about_role(line)) {
        l->missing++;
        return;
    }
    if (l->drill && strstr(line, "wal_level"))
        return; /* a publication, in a server that nobody listens to */
    hide_secrets(line);
    if (error && !l->bad) { /* what came before is of no interest, and there is room */
        pg_lines_free(&l->lines);
        l->bad = true;
    }
    if (l->bad || !l->lenient)
        pg_lines_add(&l->lines, line);
}

static const char *hint_of(const struct pg_load *l)
{
    for (size_t i = 0; i < l->lines.n; i++) {
        const char *line = l->lines.line[i];
        if (strstr(line, "restrict"))
            return "\nHINT: this 'psql' is too old for the dump: install its newest minor version";
        if (strstr(line, "extension") && strstr(line, "is not available"))
            return "\nHINT: install the extension on the server's host";
        if (strstr(line, "must be loaded via") || strstr(line, "shared_preload_libraries"))
            return "\nHINT: name the extension in the server's 'shared_preload_libraries'";
    }
    return NULL;
}

static int failed(struct pg_load *l, int status)
{
    const char *hint = hint_of(l);
    if (!hint)
        return pg_lines_fail(&l->lines, l->ctx, l->tool, l->subject, status);
    struct pg_hush h;
    pg_hush(&h, l->ctx);
    int rc = pg_lines_fail(&l->lines, &h.ctx, l->tool, l->subject, status);
    h.text[strcspn(h.text, "\n")] = '\0';
    return bake_fail(l->ctx, rc, "%s%s", h.text, hint);
}

/* ---- starting -------------------------------------------------------------------------------- */

/* The same name given twice would leave it open which of them counts. */
static void without(struct pg_call *call, const char *name)
{
    size_t kept = 0, n = strlen(name);
    for (size_t i = 0; i < call->n_env; i++)
        if (strncmp(call->env[i], name, n) != 0 || (call->env[i][n] && call->env[i][n] != '='))
            call->env[kept++] = call->env[i];
    call->n_env = kept;
}

void pg_call_env(struct pg_call *call, const char *name, const char *value)
{
    char *text = pg_text("%s=%s", name, value);
    char **owned = realloc(call->owned, (call->n_owned + 1) * sizeof(char *));
    if (owned)
        call->owned = owned;
    const char **env = realloc(call->env, (call->n_env + 2) * sizeof(char *));
    if (env)
        call->env = env;
    if (!text || !owned || !env) {
        free(text);
        call->failed = true;
        return;
    }
    without(call, name);
    call->owned[call->n_owned++] = text;
    call->env[call->n_env++] = text;
    call->env[call->n_env] = NULL;
}

/* What a later commit of ours makes durable need not be waited for one by one. */
static const char options[] = "-c synchronous_commit=off -c default_transaction_read_only=off "
                              "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0";

static void args(const struct pg_restore *r, struct pg_call *call, bool custom, bool lenient)
{
    if (custom) {
        pg_call_arg(call, "--no-password");
        if (!lenient)
            pg_call_arg(call, "--exit-on-error");
    } else {
        pg_call_arg(call, "--no-password");
        pg_call_arg(call, "--no-psqlrc");
        pg_call_arg(call, "--quiet");
        pg_call_arg(call, "--echo-errors");
        pg_call_arg(call, lenient ? "--set=ON_ERROR_STOP=0" : "--set=ON_ERROR_STOP=1");
        pg_call_arg(call, "--file=-");
    }
    pg_call_env(call, "PGOPTIONS", options);
    pg_call_env(call, "PGAPPNAME", r->app);
}

int pg_load_start(const struct pg_restore *r, struct bake_ctx *ctx, bool custom, bool lenient,
                  const char *database, const char *subject, struct pg_load **ret)
{
    struct pg_load *l = calloc(1, sizeof(*l));
    if (!l || !(l->subject = strdup(subject))) {
        free(l);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    l->ctx = ctx;
    l->tool = custom ? "pg_restore" : "psql";
    l->lenient = lenient;
    l->drill = r->drill;
    struct pg_call call;
    struct bkc_child_spec spec = {.in = true, .said = said, .arg = l};
    pg_call_begin(&call, r->cfg, pg_restore_place(r), custom ? r->pg_restore : r->psql, database);
    args(r, &call, custom, lenient);
    int rc = pg_call_spec(ctx, &call, &spec);
    if (rc == BAKE_OK)
        rc = bkc_child_start(ctx, &spec, &l->child);
    pg_call_release(&call);
    if (rc == BAKE_OK)
        *ret = l;
    else
        pg_load_free(l);
    return rc;
}

/* ---- feeding --------------------------------------------------------------------------------- */

/* Why it takes no more. */
static int ended_early(struct pg_load *l)
{
    int status = 0, rc = bkc_child_wait(l->child, &status);
    return rc == BAKE_OK ? failed(l, status) : rc;
}

int pg_load_write(struct pg_load *l, const void *data, size_t n)
{
    if (l->lenient && l->bad)
        return ended_early(l);
    int rc = bkc_child_write(l->child, data, n);
    return rc == BAKE_E_CHILD ? ended_early(l) : rc;
}

int pg_load_end(struct pg_load *l, size_t *ret_lenient)
{
    int status = 0, rc = bkc_child_wait(l->child, &status);
    if (rc != BAKE_OK)
        return rc;
    bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (l->lenient && l->missing > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 1)
        good = true; /* pg_restore: some statements failed, and we know which */
    if (!good || l->bad)
        return failed(l, status);
    if (!l->lenient)
        pg_lines_report(&l->lines, l->ctx, l->tool, l->subject);
    *ret_lenient = l->missing;
    return BAKE_OK;
}

void pg_load_free(struct pg_load *l)
{
    if (!l)
        return;
    bkc_child_free(l->child);
    pg_lines_free(&l->lines);
    free(l->subject);
    free(l);
}
