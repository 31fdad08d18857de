/* Dumping a database: the program in its container is read, and judged at its end. */
#include "dump_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WAIT_MS 60000 /* for a server that is starting, where no other time is given */

struct dk_dump {
    struct dk_source *s;
    struct bake_ctx *ctx;
    const struct dk_item *item;
    struct dk_server server;
    struct dk_exec *exec;
    char tail[DK_DUMP_TAIL];
    size_t n_tail;
    uint64_t total;
    char *facts;
};

/* $1: tcp or socket; MariaDB: then what is dumped. */
static const char PG_DUMP[] = "[ \"$1\" = socket ] || { PGHOST=127.0.0.1; export PGHOST; }; "
                              "exec pg_dumpall -w --clean --if-exists -U \"$u\"";

static const char MARIA_DUMP[] =
    "d=$(command -v mariadb-dump || command -v mysqldump); "
    "if [ \"$1\" = tcp ]; then h='-h 127.0.0.1 --protocol=tcp'; else h=--protocol=socket; fi; "
    "shift; exec \"$d\" -u \"$u\" $h --single-transaction --quick --routines --events --triggers "
    "--skip-dump-date --default-character-set=utf8mb4 --max-allowed-packet=1G \"$@\"";

/* ---- starting -------------------------------------------------------------------------------- */

/* argv of the dump; free() the array alone. NULL: out of memory. */
static const char **argv_of(const struct dk_server *sv, const char *script)
{
    size_t n = json_array_size(sv->databases), at = 0;
    const char **argv = calloc(n + 12, sizeof(*argv));
    if (!argv)
        return NULL;
    argv[at++] = "sh";
    argv[at++] = "-c";
    argv[at++] = script;
    argv[at++] = "sh";
    argv[at++] = sv->login.user ? sv->login.user : "";
    argv[at++] = sv->login.password ? sv->login.password : "";
    argv[at++] = sv->tcp ? "tcp" : "socket";
    if (sv->kind == DK_MARIA && !sv->login.own_only)
        argv[at++] = "--all-databases";
    if (sv->kind == DK_MARIA && sv->login.own_only) {
        argv[at++] = "--no-tablespaces"; /* takes a right of the whole server */
        argv[at++] = "--databases";
        argv[at++] = "--";
        for (size_t i = 0; i < n; i++)
            argv[at++] = json_string_value(json_array_get(sv->databases, i));
    }
    return argv;
}

static int start(struct dk_dump *d)
{
    const struct dk_container *c = d->item->container;
    char *script = dk_script(d->server.kind, d->server.kind == DK_PG ? PG_DUMP : MARIA_DUMP);
    const char **argv = script ? argv_of(&d->server, script) : NULL;
    const struct dk_exec_opts opts = {.argv = argv, .name = d->server.tool};
    int rc = argv ? dk_exec_start(d->s->api, d->ctx, c->id, &opts, &d->exec) : dk_nomem(d->ctx);
    free(argv);
    free(script);
    return rc;
}

static int check_databases(struct dk_dump *d)
{
    const struct dk_login *l = &d->server.login;
    if (d->server.kind != DK_MARIA || !l->own_only)
        return BAKE_OK;
    if (json_array_size(d->server.databases) == 0)
        return bake_fail(d->ctx, BAKE_E_NOTFOUND,
                         "container '%s': the user of %s sees no database, and the environment has "
                         "no password of root",
                         d->item->container->name, l->user);
    bake_report(d->ctx, BAKE_NOTICE, d->item->container->name,
                "only the databases of the user of %s are dumped, without accounts: the "
                "container's environment has no password of root",
                l->user);
    return BAKE_OK;
}

int dk_dump_open(struct dk_source *s, struct bake_ctx *ctx, const struct dk_item *item,
                 struct dk_dump **ret)
{
    struct dk_dump *d = calloc(1, sizeof(*d));
    if (!d)
        return dk_nomem(ctx);
    d->s = s;
    d->ctx = ctx;
    d->item = item;
    uint64_t ms = s->cfg->health_timeout ? s->cfg->health_timeout : WAIT_MS;
    int rc = dk_server_wait(s, ctx, item->container, item->kind, ms, &d->server);
    if (rc == BAKE_OK)
        rc = check_databases(d);
    if (rc == BAKE_OK)
        rc = start(d);
    if (rc != BAKE_OK) {
        dk_dump_close(d);
        return rc;
    }
    *ret = d;
    return BAKE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void keep_tail(struct dk_dump *d, const char *data, size_t n)
{
    d->total += n;
    if (n >= sizeof(d->tail)) {
        memcpy(d->tail, data + n - sizeof(d->tail), sizeof(d->tail));
        d->n_tail = sizeof(d->tail);
        return;
    }
    if (d->n_tail + n > sizeof(d->tail)) {
        size_t drop = d->n_tail + n - sizeof(d->tail);
        memmove(d->tail, d->tail + drop, d->n_tail - drop);
        d->n_tail -= drop;
    }
    memcpy(d->tail + d->n_tail, data, n);
    d->n_tail += n;
}

int dk_dump_read(struct dk_dump *d, struct bake_out *out)
{
    size_t from = out->pos;
    int rc = dk_exec_read(d->exec, out);
    keep_tail(d, (const char *)out->data + from, out->pos - from);
    return rc;
}

/* ---- judging --------------------------------------------------------------------------------- */

bool dk_dump_complete(enum dk_kind kind, const char *tail, size_t n)
{
    static const char pg[] = "\n-- PostgreSQL database cluster dump complete\n";
    static const char maria[] = "\n-- Dump completed";
    const char *mark = kind == DK_PG ? pg : maria;
    size_t len = strlen(mark);
    const char *found = memmem(tail, n, mark, len);
    if (!found)
        return false;
    /* nothing that does anything stands behind it */
    const char *end = tail + n;
    for (const char *line = memchr(found + 1, '\n', (size_t)(end - found - 1)); line;) {
        const char *next = ++line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        size_t size = (size_t)((next ? next : end) - line);
        bool idle = size == 0 || (size >= 2 && memcmp(line, "--", 2) == 0) ||
                    (size >= 12 && memcmp(line, "\\unrestrict ", 12) == 0);
        if (!idle)
            return false;
        line = next;
    }
    return true;
}

void dk_first_error(const char *errors, char *out, size_t cap)
{
    const char *best = NULL;
    size_t n_best = 0;
    out[0] = '\0';
    for (const char *line = errors; *line;) {
        size_t n = strcspn(line, "\r\n");
        bool telling = false;
        for (size_t i = 0; i + 5 <= n && !telling; i++)
            telling = strncasecmp(line + i, "error", 5) == 0;
        if (n > 0 && (telling || !best)) {
            best = line;
            n_best = n;
        }
        if (telling)
            break;
        line += n;
        line += strspn(line, "\r\n");
    }
    if (best)
        (void)snprintf(out, cap, "%.*s", n_best < cap ? (int)n_best : (int)cap - 1, best);
}

static int judge(struct dk_dump *d, int code)
{
    const char *tool = d->server.tool, *name = d->item->container->name;
    char text[400];
    dk_first_error(dk_exec_errors(d->exec), text, sizeof(text));
    const char *said = text[0] ? text : "it said nothing";
    if (code != 0)
        return bake_fail(d->ctx, BAKE_E_CHILD,
                         "'%s' in container '%s' failed with exit status %d: %s", tool, name, code,
                         said);
    if (d->total == 0)
        return bake_fail(d->ctx, BAKE_E_CHILD, "'%s' in container '%s' wrote nothing: %s", tool,
                         name, said);
    if (!dk_dump_complete(d->server.kind, d->tail, d->n_tail))
        return bake_fail(d->ctx, BAKE_E_CHILD,
                         "'%s' in container '%s' ended well, but the dump's end is missing: %s",
                         tool, name, said);
    if (text[0])
        bake_report(d->ctx, BAKE_WARNING, d->item->container->name, "'%s' says: %s", tool, text);
    return BAKE_OK;
}

static int make_facts(struct dk_dump *d)
{
    json_t *facts = d->item->facts ? json_loads(d->item->facts, 0, NULL) : NULL;
    if (!facts)
        facts = json_object();
    bool good = json_object_set_new(facts, "server_version", json_string(d->server.version)) == 0 &&
                json_object_set_new(facts, "tool", json_string(d->server.tool)) == 0 &&
                json_object_set(facts, "databases", d->server.databases) == 0;
    d->facts = good ? json_dumps(facts, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(facts);
    return d->facts ? BAKE_OK : dk_nomem(d->ctx);
}

int dk_dump_finish(struct dk_dump *d, struct bake_result *ret)
{
    int code = 0;
    int rc = dk_exec_finish(d->exec, &code);
    if (rc == BAKE_OK)
        rc = judge(d, code);
    if (rc == BAKE_OK)
        rc = make_facts(d);
    ret->facts = d->facts;
    return rc;
}

void dk_dump_close(struct dk_dump *d)
{
    if (!d)
        return;
    dk_exec_close(d->exec);
    dk_server_release(&d->server);
    free(d->facts);
    free(d);
}
