/* Asking a database server: is it there, and is it more than what an image starts to make its
 * database? That one listens on its socket only; so TCP is what tells them apart. */
#include "dump_impl.h"

#include "api_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAID_MAX (1024U * 1024)

/* The first line: how it could be reached. Then lines with a letter first: V version, U user, L
 * does it listen on TCP at all (1: no), D a database, X the tool; T how TCP failed, S how the
 * socket did; P the first process's name. */
static const char PG_ASK[] =
    "PGCONNECT_TIMEOUT=5; export PGCONNECT_TIMEOUT; "
    "command -v psql >/dev/null || { echo missing; echo Xpsql; exit 0; }; "
    "q=\"select 'V' || current_setting('server_version') union all select 'U' || current_user "
    "union all select 'L' || (current_setting('listen_addresses') = '')::int "
    "union all select 'D' || datname from pg_database where datallowconn and not datistemplate\"; "
    "t=$(psql -XAtqw -h 127.0.0.1 -U \"$u\" -d postgres -c \"$q\" 2>&1) && "
    "{ printf 'tcp\\n%s\\nXpg_dumpall\\n' \"$t\"; exit 0; }; "
    "s=$(psql -XAtqw -U \"$u\" -d postgres -c \"$q\" 2>&1) && "
    "{ printf 'socket\\n%s\\nXpg_dumpall\\nT%s\\nP%s\\n' \"$s\" \"$t\" \"$(cat /proc/1/comm)\"; "
    "exit 0; }; "
    "printf 'none\\nT%s\\nS%s\\n' \"$t\" \"$s\"";

static const char MARIA_ASK[] =
    "c=$(command -v mariadb || command -v mysql) || { echo missing; echo Xmariadb; exit 0; }; "
    "d=$(command -v mariadb-dump || command -v mysqldump) || "
    "{ echo missing; echo Xmariadb-dump; exit 0; }; "
    "q=\"select concat('V', version()); select concat('U', current_user()); "
    "select concat('L', @@skip_networking); select concat('D', schema_name) from "
    "information_schema.schemata where schema_name not in "
    "('information_schema', 'performance_schema', 'mysql', 'sys')\"; "
    "tried=tcp; t=$(\"$c\" -NBr --connect-timeout=5 -h 127.0.0.1 --protocol=tcp -u \"$u\" "
    "-e \"$q\" 2>&1) || tried=; "
    "s=$(\"$c\" -NBr --connect-timeout=5 --protocol=socket -u \"$u\" -e \"$q\" 2>&1) && "
    "{ printf 'socket\\n%s\\nX%s\\nP%s\\n' \"$s\" \"${d##*/}\" \"$(cat /proc/1/comm)\"; "
    "[ -n \"$tried\" ] || printf 'T%s\\n' \"$t\"; exit 0; }; "
    "[ -z \"$tried\" ] || { printf 'tcp\\n%s\\nX%s\\n' \"$t\" \"${d##*/}\"; exit 0; }; "
    "printf 'none\\nT%s\\nS%s\\n' \"$t\" \"$s\"";

void dk_server_release(struct dk_server *sv)
{
    free(sv->version);
    free(sv->tool);
    free(sv->user);
    json_decref(sv->databases);
    sv->version = sv->tool = sv->user = NULL;
    sv->databases = NULL;
}

/* ---- what was said --------------------------------------------------------------------------- */

struct said {
    const char *tcp, *socket, *first; /* or NULL */
    bool deaf;                        /* it listens on its socket only */
};

static bool copy(char **to, const char *text, size_t n)
{
    free(*to);
    *to = strndup(text, n);
    return *to != NULL;
}

/* false: out of memory. */
static bool take_line(struct dk_server *sv, struct said *said, const char *line)
{
    const char *text = line + 1;
    switch (line[0]) {
    case 'V':
        return copy(&sv->version, text, strcspn(text, " "));
    case 'U':
        return copy(&sv->user, text, strlen(text));
    case 'X':
        return copy(&sv->tool, text, strlen(text));
    case 'D':
        return json_array_append_new(sv->databases, json_string(text)) == 0;
    case 'L':
        said->deaf = text[0] == '1';
        return true;
    case 'T':
        said->tcp = text;
        return true;
    case 'S':
        said->socket = text;
        return true;
    case 'P':
        said->first = text;
        return true;
    default: /* the rest of a message */
        return true;
    }
}

static bool has(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strstr(text, *words))
            return true;
    return false;
}

/* Nobody listens, or not yet. */
static bool is_absent(const char *text)
{
    static const char *const words[] = {"Connection refused",
                                        "could not connect",
                                        "No such file or directory",
                                        "timeout expired",
                                        "starting up",
                                        "shutting down",
                                        "not yet accepting",
                                        "ERROR 2002",
                                        "ERROR 2003",
                                        "ERROR 2013",
                                        "ERROR 1053",
                                        "ERROR 2006",
                                        NULL};
    return has(text, words);
}

static bool is_refusal(const char *text)
{
    static const char *const words[] = {"authentication failed",
                                        "no password supplied",
                                        "pg_hba.conf",
                                        "ERROR 1045",
                                        "ERROR 1698",
                                        "ERROR 1130",
                                        "ERROR 1044",
                                        NULL};
    return has(text, words) || (strstr(text, "role \"") && strstr(text, "does not exist"));
}

static int refused(struct bake_ctx *ctx, const char *container, const struct dk_server *sv)
{
    const struct dk_login *l = &sv->login;
    static const char hint[] = "HINT: give the container's environment the password that the "
                               "database has now: these variables do not change it";
    if (l->why)
        return bake_fail(ctx, BAKE_E_AUTH, "container '%s': %s\n%s", container, l->why, hint);
    return bake_fail(ctx, BAKE_E_AUTH,
                     "container '%s': the server refuses %s%s with the password of %s (or its "
                     "_FILE) of the container's environment\n%s",
                     container, l->user ? "the user of " : "",
                     l->user             ? l->user
                     : sv->kind == DK_PG ? "'postgres'"
                                         : "root",
                     l->password, hint);
}

static int later(struct bake_ctx *ctx, const char *container, const char *what, const char *why)
{
    (void)bake_fail(ctx, BAKE_E_UNAVAILABLE, "container '%s': its database is not ready: %s: %s",
                    container, what, why);
    return BAKE_END;
}

/* Neither way led to it. */
static int not_reached(struct bake_ctx *ctx, const char *container, const struct said *said,
                       const struct dk_server *sv)
{
    const char *tcp = said->tcp ? said->tcp : "", *socket = said->socket ? said->socket : "";
    if (is_absent(tcp))
        return later(ctx, container, "it takes no connections", tcp);
    if (is_refusal(tcp) || is_refusal(socket))
        return refused(ctx, container, sv);
    return bake_fail(ctx, BAKE_E_IO, "container '%s': cannot ask its database: %s", container,
                     tcp[0] ? tcp : socket);
}

static bool is_server(const char *first)
{
    static const char *const names[] = {"postgres", "mariadbd", "mysqld", NULL};
    return first && has(first, names);
}

int dk_server_parse(struct bake_ctx *ctx, const char *container, char *said_text,
                    struct dk_server *ret)
{
    struct said said = {.tcp = NULL};
    char *save = NULL;
    char *how = strtok_r(said_text, "\n", &save);
    if (!ret->databases && !(ret->databases = json_array()))
        return dk_nomem(ctx);
    for (char *line; how && (line = strtok_r(NULL, "\n", &save));)
        if (!take_line(ret, &said, line))
            return dk_nomem(ctx);
    if (!how)
        return bake_fail(ctx, BAKE_E_IO, "container '%s': asking its database said nothing",
                         container);
    if (strcmp(how, "missing") == 0)
        return bake_fail(ctx, BAKE_E_NOTFOUND, "container '%s' has no program '%s'", container,
                         ret->tool ? ret->tool : "");
    ret->tcp = strcmp(how, "tcp") == 0;
    if (!ret->tcp && strcmp(how, "socket") != 0)
        return not_reached(ctx, container, &said, ret);
    if (!ret->version || !ret->user || !ret->tool)
        return bake_fail(ctx, BAKE_E_IO, "container '%s': its database did not say its version",
                         container);
    if (!ret->tcp && said.tcp && is_absent(said.tcp) && said.deaf && !is_server(said.first))
        return later(ctx, container, "it is still being made", "it listens on its socket only");
    return BAKE_OK;
}

/* ---- asking ---------------------------------------------------------------------------------- */

int dk_server_ask(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                  enum dk_kind kind, struct dk_server *ret)
{
    *ret = (struct dk_server){.kind = kind, .login = dk_login_of(c, kind)};
    char *script = dk_script(kind, kind == DK_PG ? PG_ASK : MARIA_ASK), *said = NULL;
    int code = 0;
    if (!script)
        return dk_nomem(ctx);
    const char *const argv[] = {"sh",
                                "-c",
                                script,
                                "sh",
                                ret->login.user ? ret->login.user : "",
                                ret->login.password ? ret->login.password : "",
                                NULL};
    const struct dk_exec_opts opts = {.argv = argv, .name = kind == DK_PG ? "psql" : "mariadb"};
    int rc = dk_exec_run(s->api, ctx, c->id, &opts, SAID_MAX, &said, &code);
    if (rc == BAKE_OK && code != 0) {
        char text[300];
        dk_first_error(said, text, sizeof(text));
        rc = bake_fail(ctx, BAKE_E_CHILD, "container '%s': cannot ask its database: %s%s", c->name,
                       text, strstr(text, "exec") ? "\nHINT: a shell must be in it" : "");
    }
    if (rc == BAKE_OK)
        rc = dk_server_parse(ctx, c->name, said, ret);
    free(said);
    free(script);
    if (rc != BAKE_OK)
        dk_server_release(ret);
    return rc;
}

int dk_server_wait(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                   enum dk_kind kind, uint64_t timeout_ms, struct dk_server *ret)
{
    uint64_t start = bkc_http_now();
    bool asked = false;
    for (;;) {
        int rc = dk_server_ask(s, ctx, c, kind, ret);
        /* One that answers at its socket alone may be an image's temporary server in its last
         * moment: while it was asked, the real one may have taken the place of process 1. */
        if (rc == BAKE_OK && !ret->tcp && !asked) {
            asked = true;
            dk_server_release(ret);
            rc = BAKE_END;
        }
        if (rc != BAKE_END)
            return rc;
        if (bkc_http_now() - start >= timeout_ms)
            return BAKE_E_TIMEOUT; /* what it waits for has been said */
        if ((rc = ctx->host->sleep_ms(ctx, 500)) != BAKE_OK)
            return rc;
    }
}

int dk_database_ready(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                      enum dk_kind kind, uint64_t timeout_ms)
{
    struct dk_server sv;
    int rc = dk_server_wait(s, ctx, c, kind, timeout_ms, &sv);
    if (rc == BAKE_OK)
        dk_server_release(&sv);
    return rc;
}

int dk_database_version(struct dk_source *s, struct bake_ctx *ctx, const struct dk_container *c,
                        enum dk_kind kind, char **ret)
{
    struct dk_server sv;
    int rc = dk_server_ask(s, ctx, c, kind, &sv);
    if (rc != BAKE_OK)
        return rc == BAKE_END ? BAKE_E_UNAVAILABLE : rc;
    *ret = sv.version;
    sv.version = NULL;
    dk_server_release(&sv);
    return BAKE_OK;
}
