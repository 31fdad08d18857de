/* Loading a dump: psql or mariadb in the container is fed, and what it says is judged line by line.
 */
#include "dump_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DK_SAID_MAX 1024 /* the rest of a longer line is not looked at */

struct dk_load {
    struct bake_ctx *ctx;
    struct dk_server server;
    struct dk_exec *exec;
    char *name; /* the container's */
    char line[DK_SAID_MAX], bad[DK_SAID_MAX];
    size_t n_line;
    unsigned expected; /* of psql's */
};

/* $1: tcp or socket. Errors are told in the server's own language unless it is asked not to. */
static const char PG_LOAD[] =
    "[ \"$1\" = socket ] || { PGHOST=127.0.0.1; export PGHOST; }; "
    "PGOPTIONS='-c lc_messages=C'; export PGOPTIONS; "
    "exec psql -Xwq -f - -o /dev/null -v ON_ERROR_STOP=0 -v VERBOSITY=terse -U \"$u\" -d postgres";

static const char MARIA_LOAD[] =
    "c=$(command -v mariadb || command -v mysql); "
    "if [ \"$1\" = tcp ]; then h='-h 127.0.0.1 --protocol=tcp'; else h=--protocol=socket; fi; "
    "exec \"$c\" -u \"$u\" $h -B --default-character-set=utf8mb4 --max-allowed-packet=1G "
    ">/dev/null";

/* ---- what it says ---------------------------------------------------------------------------- */

enum dk_line dk_psql_line(const char *line, const char *user)
{
    static const char *const fine[] = {"NOTICE:  ", "WARNING:  ", "INFO:  ", "LOG:  ", "DEBUG:  "};
    static const char role[] = "role \"", there[] = "\" already exists";
    const char *error = strstr(line, "ERROR:  ");
    size_t n = strlen(user);

    if (line[0] == '\0')
        return DK_LINE_FINE;
    for (size_t i = 0; !error && i < sizeof(fine) / sizeof(fine[0]); i++)
        if (strstr(line, fine[i]))
            return DK_LINE_FINE;
    if (!error)
        return DK_LINE_BAD;
    error += 8;
    if (strcmp(error, "current user cannot be dropped") == 0)
        return DK_LINE_EXPECTED;
    if (strncmp(error, role, sizeof(role) - 1) != 0)
        return DK_LINE_BAD;
    error += sizeof(role) - 1;
    return strncmp(error, user, n) == 0 && strcmp(error + n, there) == 0 ? DK_LINE_EXPECTED
                                                                         : DK_LINE_BAD;
}

static void take_line(struct dk_load *l)
{
    l->line[l->n_line] = '\0';
    l->n_line = 0;
    enum dk_line what = DK_LINE_FINE;
    if (l->server.kind == DK_PG)
        what = dk_psql_line(l->line, l->server.user);
    else if (strncmp(l->line, "ERROR", 5) == 0)
        what = DK_LINE_BAD;
    /* one statement each that cannot work while this user is who loads */
    if (what == DK_LINE_EXPECTED && ++l->expected > 2)
        what = DK_LINE_BAD;
    if (what == DK_LINE_BAD && l->bad[0] == '\0')
        memcpy(l->bad, l->line, strlen(l->line) + 1);
}

static void on_errors(void *arg, const char *data, size_t n)
{
    struct dk_load *l = arg;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n')
            take_line(l);
        else if (l->n_line + 1 < sizeof(l->line) && data[i] != '\0')
            l->line[l->n_line++] = data[i];
    }
}

/* ---- feeding --------------------------------------------------------------------------------- */

static const char *program(const struct dk_load *l)
{
    return l->server.kind == DK_PG ? "psql" : "mariadb";
}

static int start(struct dk_load *l, struct dk_source *s, const struct dk_container *c)
{
    const struct dk_login *login = &l->server.login;
    char *script = dk_script(l->server.kind, l->server.kind == DK_PG ? PG_LOAD : MARIA_LOAD);
    if (!script)
        return dk_nomem(l->ctx);
    const char *const argv[] = {"sh",
                                "-c",
                                script,
                                "sh",
                                login->user ? login->user : "",
                                login->password ? login->password : "",
                                l->server.tcp ? "tcp" : "socket",
                                NULL};
    const struct dk_exec_opts opts = {
        .argv = argv, .name = program(l), .input = true, .on_errors = on_errors, .arg = l};
    int rc = dk_exec_start(s->api, l->ctx, c->id, &opts, &l->exec);
    free(script);
    return rc;
}

int dk_load_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                 enum dk_kind kind, struct dk_load **ret)
{
    struct dk_load *l = calloc(1, sizeof(*l));
    if (!l)
        return dk_nomem(ctx);
    l->ctx = ctx;
    l->name = strdup(c->name);
    int rc = l->name ? dk_server_ask(s, ctx, c, kind, &l->server) : dk_nomem(ctx);
    if (rc == BAKE_END)
        rc = BAKE_E_UNAVAILABLE; /* said */
    if (rc == BAKE_OK)
        rc = start(l, s, c);
    if (rc != BAKE_OK) {
        dk_load_close(l);
        return rc;
    }
    *ret = l;
    return BAKE_OK;
}

static int bad_line(struct dk_load *l)
{
    return bake_fail(l->ctx, BAKE_E_CHILD, "the dump cannot be loaded in container '%s': %s",
                     l->name, l->bad);
}

/* The end of what it said and did. */
static int judge(struct dk_load *l)
{
    int code = 0;
    int rc = dk_exec_finish(l->exec, &code);
    if (rc != BAKE_OK)
        return rc;
    if (l->n_line > 0)
        take_line(l);
    if (l->bad[0])
        return bad_line(l);
    if (code == 0)
        return BAKE_OK;
    char text[400];
    dk_first_error(dk_exec_errors(l->exec), text, sizeof(text));
    return bake_fail(l->ctx, BAKE_E_CHILD, "'%s' in container '%s' failed with exit status %d: %s",
                     program(l), l->name, code, text[0] ? text : "it said nothing");
}

int dk_load_write(struct dk_load *l, const void *data, size_t n)
{
    int rc = dk_exec_write(l->exec, data, n);
    if (rc != BAKE_OK)
        return rc;
    if (l->bad[0]) /* what follows would be in vain: all of it will be undone */
        return bad_line(l);
    if (!dk_exec_ended(l->exec))
        return BAKE_OK;
    rc = judge(l);
    return rc != BAKE_OK
               ? rc
               : bake_fail(l->ctx, BAKE_E_CHILD, "'%s' in container '%s' ended before the dump did",
                           program(l), l->name);
}

int dk_load_finish(struct dk_load *l)
{
    /* accounts came as rows of tables, which the server reads when it is told to */
    static const char flush[] = "\nFLUSH PRIVILEGES;\n";
    int rc = BAKE_OK;
    if (l->server.kind == DK_MARIA && !l->server.login.own_only)
        rc = dk_load_write(l, flush, sizeof(flush) - 1);
    return rc == BAKE_OK ? judge(l) : rc;
}

void dk_load_close(struct dk_load *l)
{
    if (!l)
        return;
    dk_exec_close(l->exec);
    dk_server_release(&l->server);
    free(l->name);
    free(l);
}
