/* A tool's arguments and environment: how it is told where to connect. */
#include "tools.h"

#include "text.h"
#include <stdlib.h>
#include <string.h>

/* ---- lists that grow ------------------------------------------------------------------------- */

static bool push(const char ***list, size_t *n, const char *item)
{
    const char **more = realloc(*list, (*n + 2) * sizeof(char *));
    if (!more)
        return false;
    more[(*n)++] = item;
    more[*n] = NULL;
    *list = more;
    return true;
}

/* Takes text over. */
static const char *own(struct pg_call *call, char *text)
{
    char **more = text ? realloc(call->owned, (call->n_owned + 1) * sizeof(char *)) : NULL;
    if (!more) {
        free(text);
        call->failed = true;
        return NULL;
    }
    call->owned = more;
    call->owned[call->n_owned++] = text;
    return text;
}

static void add_env(struct pg_call *call, const char *entry)
{
    if (!entry || !push(&call->env, &call->n_env, entry))
        call->failed = true;
}

static void set_env(struct pg_call *call, const char *name, const char *value)
{
    if (value)
        add_env(call, own(call, pg_text("%s=%s", name, value)));
}

void pg_call_arg(struct pg_call *call, const char *arg)
{
    const char *copy = own(call, strdup(arg));
    if (!copy || !push(&call->argv, &call->n_argv, copy))
        call->failed = true;
}

void pg_call_argf(struct pg_call *call, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *text = own(call, pg_vtext(fmt, ap));
    va_end(ap);
    if (!text || !push(&call->argv, &call->n_argv, text))
        call->failed = true;
}

/* ---- where to -------------------------------------------------------------------------------- */

/* A throw-away server asks for nothing, and nothing of ours may lead away from it. */
static void env_of_place(struct pg_call *call, const struct pg_place *place)
{
    static const char *const strange[] = {"PGHOSTADDR",
                                          "PGSERVICE",
                                          "PGSERVICEFILE",
                                          "PGPASSWORD",
                                          "PGPASSFILE",
                                          "PGOPTIONS",
                                          "PGSSLCERT",
                                          "PGSSLKEY",
                                          "PGSSLROOTCERT",
                                          "PGSSLCRL",
                                          "PGSSLCRLDIR",
                                          "PGSSLSNI",
                                          "PGCHANNELBINDING",
                                          "PGTARGETSESSIONATTRS",
                                          "PGREQUIREAUTH",
                                          "PGREQUIREPEER",
                                          "PGREQUIRESSL",
                                          "PGLOADBALANCEHOSTS",
                                          NULL};
    for (const char *const *s = strange; *s; s++)
        add_env(call, *s);
    set_env(call, "PGHOST", place->host);
    add_env(call, own(call, pg_text("PGPORT=%d", place->port)));
    set_env(call, "PGUSER", place->user);
    add_env(call, "PGSSLMODE=disable");
    add_env(call, "PGGSSENCMODE=disable");
}

static void env_of_options(struct pg_call *call, const struct pg_config *cfg)
{
    set_env(call, "PGSERVICE", cfg->service);
    set_env(call, "PGHOST", cfg->host);
    if (cfg->port > 0)
        add_env(call, own(call, pg_text("PGPORT=%d", (int)cfg->port)));
    set_env(call, "PGUSER", cfg->user);
    set_env(call, "PGSSLMODE", cfg->sslmode);
    set_env(call, "PGSSLROOTCERT", cfg->sslrootcert);
    set_env(call, "PGSSLCERT", cfg->sslcert);
    set_env(call, "PGSSLKEY", cfg->sslkey);
    if (!cfg->password)
        return;
    add_env(call, "PGPASSWORD"); /* would count for more than the file */
    if (!(call->passfile = pg_passfile(cfg->password)))
        call->failed = true;
}

char *pg_passfile(const char *password)
{
    static const char begin[] = "*:*:*:*:";
    char *text = malloc(sizeof(begin) + 2 * strlen(password) + 1), *to = text;
    if (!text)
        return NULL;
    memcpy(to, begin, sizeof(begin) - 1);
    to += sizeof(begin) - 1;
    for (const char *p = password; *p; p++) {
        if (*p == ':' || *p == '\\')
            *to++ = '\\';
        *to++ = *p;
    }
    *to++ = '\n';
    *to = '\0';
    return text;
}

struct conninfo {
    char *text;
    bool failed;
};

/* key='value', as libpq reads connection strings */
static void say(struct conninfo *c, const char *key, const char *value)
{
    if (!value || c->failed)
        return;
    char *quoted = malloc(2 * strlen(value) + 1), *to = quoted;
    for (const char *p = value; quoted && *p; p++) {
        if (*p == '\'' || *p == '\\')
            *to++ = '\\';
        *to++ = *p;
    }
    if (quoted)
        *to = '\0';
    char *all =
        quoted ? pg_text("%s%s%s='%s'", c->text ? c->text : "", c->text ? " " : "", key, quoted)
               : NULL;
    free(quoted);
    free(c->text);
    c->text = all;
    c->failed = !all;
}

char *pg_conninfo(const struct pg_config *cfg, const struct pg_place *place, const char *database)
{
    struct conninfo c = {0};
    char port[24];
    int64_t number = place ? place->port : cfg->port;
    (void)snprintf(port, sizeof(port), "%d", (int)number);
    say(&c, "dbname", database);
    say(&c, "host", place ? place->host : cfg->host);
    say(&c, "port", number > 0 ? port : NULL);
    say(&c, "user", place ? place->user : cfg->user);
    if (place) { /* an empty text counts for more than the environment and a service */
        static const char *const none[] = {"hostaddr", "password", "passfile", "options", NULL};
        for (const char *const *n = none; *n; n++)
            say(&c, *n, "");
        say(&c, "sslmode", "disable");
        say(&c, "gssencmode", "disable");
        say(&c, "target_session_attrs", "any");
        say(&c, "connect_timeout", "10");
    } else {
        say(&c, "sslmode", cfg->sslmode);
        say(&c, "sslrootcert", cfg->sslrootcert);
        say(&c, "sslcert", cfg->sslcert);
        say(&c, "sslkey", cfg->sslkey);
        say(&c, "keepalives_idle", "60"); /* a server that is gone without a word */
        say(&c, "keepalives_interval", "15");
        say(&c, "keepalives_count", "4");
    }
    return c.text;
}

/* ---- all of it ------------------------------------------------------------------------------- */

void pg_call_begin(struct pg_call *call, const struct pg_config *cfg, const struct pg_place *place,
                   const char *tool_path, const char *database)
{
    memset(call, 0, sizeof(*call));
    pg_call_arg(call, tool_path);
    if (database) {
        char *conninfo = pg_conninfo(cfg, place, database);
        pg_call_argf(call, "--dbname=%s", conninfo ? conninfo : "");
        call->failed |= !conninfo;
        free(conninfo);
        set_env(call, "PGDATABASE", database);
    }
    if (place)
        env_of_place(call, place);
    else
        env_of_options(call, cfg);
    add_env(call, "PGAPPNAME=bakengine");
    add_env(call, "PGCLIENTENCODING"); /* dumps are in the database's own */
}

int pg_call_spec(struct bake_ctx *ctx, struct pg_call *call, struct bkc_child_spec *spec)
{
    if (call->failed)
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    spec->argv = call->argv;
    spec->env = call->env;
    spec->secrets[0] = (struct bkc_child_secret){.text = call->passfile, .env = "PGPASSFILE"};
    return BAKE_OK;
}

void pg_call_release(struct pg_call *call)
{
    if (call->passfile)
        explicit_bzero(call->passfile, strlen(call->passfile));
    free(call->passfile);
    for (size_t i = 0; i < call->n_owned; i++)
        free(call->owned[i]);
    free(call->owned);
    free(call->argv);
    free(call->env);
    memset(call, 0, sizeof(*call));
}
