/* See tools.h. */
#include "tools.h"

#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct known {
    const char *name, *older, *package;
    bool versioned; /* --version says of which server's release it is */
} tools[] = {
    {"mariadb-dump", "mysqldump", "mariadb-client", true},
    {"mariadb", "mysql", "mariadb-client", true},
    {"mariadb-binlog", "mysqlbinlog", "mariadb-client", false},
    {"mariadb-backup", "mariabackup", "mariadb-backup", true},
    {"mbstream", NULL, "mariadb-backup", false},
    {"mariadbd", "mysqld", "mariadb-server", true},
    {"mariadb-install-db", "mysql_install_db", "mariadb-server", false},
};

/* ---- finding --------------------------------------------------------------------------------- */

static bool runs(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* BAKE_E_NOTFOUND without a word. */
static int find(const char *folders, const char *name, char **ret)
{
    for (const char *p = folders; p && name; p = *p ? p + 1 : NULL) {
        size_t n = strcspn(p, ":");
        if (n > 0 && *p == '/') {
            if (asprintf(ret, "%.*s/%s", (int)n, p, name) < 0)
                return BAKE_E_NOMEM;
            if (runs(*ret))
                return BAKE_OK;
            free(*ret);
        }
        p += n;
    }
    *ret = NULL;
    return BAKE_E_NOTFOUND;
}

/* ---- versions -------------------------------------------------------------------------------- */

/* "10.11.19" of "... 10.11.19-MariaDB ..."; "" when there is none. */
static char *version_in(const char *text)
{
    const char *end = strstr(text, "-MariaDB"), *from = end;
    while (from && from > text && strchr("0123456789.", from[-1]))
        from--;
    return from && from < end ? strndup(from, (size_t)(end - from)) : strdup("");
}

/* 1011 of "10.11.19": releases that belong together. 0: unknown. */
static unsigned long series_of(const char *version)
{
    unsigned long parts[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        for (; *version >= '0' && *version <= '9' && parts[i] < 1000; version++)
            parts[i] = parts[i] * 10 + (unsigned long)(*version - '0');
        version += *version == '.';
    }
    return parts[0] * 100 + parts[1];
}

struct heard {
    char text[512];
};

static void hear(void *arg, const char *line)
{
    struct heard *h = arg;
    size_t n = strlen(h->text);
    (void)snprintf(h->text + n, sizeof(h->text) - n, "%s\n", line);
}

/* What --version says, wherever it says it. */
static int ask_version(struct bake_ctx *ctx, const char *path, char **ret)
{
    const char *argv[] = {path, "--no-defaults", "--version", NULL};
    struct heard heard = {""};
    struct bkc_child_spec spec = {
        .argv = argv, .out = true, .said = hear, .arg = &heard, .silence_ms = 60000};
    char *out = NULL;
    int rc = bkc_child_run(ctx, &spec, NULL, 4096, &out);
    if (rc == BAKE_OK) {
        *ret = version_in(out ? out : "");
        if (*ret && !**ret) {
            free(*ret);
            *ret = version_in(heard.text);
        }
        rc = *ret ? BAKE_OK : my_nomem(ctx);
    }
    free(out);
    return rc;
}

static int check_version(struct bake_ctx *ctx, const struct known *k, const char *path,
                         const char *found, unsigned long server)
{
    if (!*found)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "'%s' does not say of which MariaDB it is\n"
                         "HINT: install %s, or set 'bin' to the directory of MariaDB's tools",
                         path, k->package);
    if (server && series_of(found) < server / 100)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "'%s' is of MariaDB %s, the server is of %lu.%lu\n"
                         "HINT: install %s of the server's release, or set 'bin' to its directory",
                         path, found, server / 10000, server / 100 % 100, k->package);
    return BAKE_OK;
}

int my_tool(struct bake_ctx *ctx, const struct my_config *cfg, const char *name,
            unsigned long version, char **ret_path, char **ret_version)
{
    const struct known *k = NULL;
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        if (strcmp(tools[i].name, name) == 0)
            k = &tools[i];
    if (!k)
        return bake_fail(ctx, BAKE_E_INTERNAL, "no tool is called '%s'", name);
    char *folders = NULL;
    const char *path = getenv("PATH");
    if (!cfg->bin && asprintf(&folders, "%s:/usr/bin:/usr/sbin:/usr/local/bin:/usr/local/sbin",
                              path ? path : "") < 0)
        return my_nomem(ctx);
    char *found = NULL;
    *ret_path = NULL;
    int rc = find(cfg->bin ? cfg->bin : folders, name, ret_path);
    if (rc == BAKE_E_NOTFOUND)
        rc = find(cfg->bin ? cfg->bin : folders, k->older, ret_path);
    free(folders);
    if (rc == BAKE_E_NOTFOUND)
        return bake_fail(ctx, rc,
                         "there is no '%s' in %s\nHINT: install %s, or set 'bin' to its directory",
                         name, cfg->bin ? cfg->bin : "PATH", k->package);
    if (rc == BAKE_OK && !k->versioned)
        rc = (found = strdup("")) ? BAKE_OK : BAKE_E_NOMEM;
    else if (rc == BAKE_OK && (rc = ask_version(ctx, *ret_path, &found)) == BAKE_OK)
        rc = check_version(ctx, k, *ret_path, found, version);
    if (rc != BAKE_OK) {
        free(*ret_path);
        *ret_path = NULL;
    }
    if (rc == BAKE_OK && ret_version)
        *ret_version = found;
    else
        free(found);
    return rc == BAKE_E_NOMEM ? my_nomem(ctx) : rc;
}

/* ---- calling --------------------------------------------------------------------------------- */

/* Takes text, which may be NULL: out of memory. */
static void own(struct my_call *call, char *text)
{
    size_t cap = sizeof(call->owned) / sizeof(call->owned[0]);
    if (!text || call->n_owned == cap || call->n_argv + 1 >= cap) {
        free(text);
        call->failed = true;
        return;
    }
    call->owned[call->n_owned++] = text;
    call->argv[call->n_argv++] = text;
    call->argv[call->n_argv] = NULL;
}

void my_call_begin(struct my_call *call, const struct my_config *cfg, const struct my_place *place,
                   const char *tool_path)
{
    struct my_login login;
    memset(call, 0, sizeof(*call));
    if (my_login_make(cfg, place, &login) == BAKE_OK) {
        call->options = my_login_text(&login);
        my_login_release(&login);
    }
    call->failed = !call->options;
    my_call_arg(call, tool_path);
}

void my_call_arg(struct my_call *call, const char *arg) { own(call, strdup(arg)); }

void my_call_argf(struct my_call *call, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    own(call, text);
}

void my_call_option(struct my_call *call, const char *key, const char *value)
{
    char *line = my_login_line(key, value), *all = NULL;
    if (line && call->options && asprintf(&all, "%s%s", call->options, line) < 0)
        all = NULL;
    free(line);
    if (!all) {
        call->failed = true;
        return;
    }
    explicit_bzero(call->options, strlen(call->options));
    free(call->options);
    call->options = all;
}

int my_call_spec(struct bake_ctx *ctx, struct my_call *call, struct bkc_child_spec *spec)
{
    if (call->failed)
        return my_nomem(ctx);
    spec->argv = call->argv;
    /* not --defaults-extra-file: what ~/.my.cnf says would win over it */
    spec->secrets[0] =
        (struct bkc_child_secret){.text = call->options, .argument = "--defaults-file="};
    return BAKE_OK;
}

void my_call_release(struct my_call *call)
{
    for (size_t i = 0; i < call->n_owned; i++)
        free(call->owned[i]);
    if (call->options)
        explicit_bzero(call->options, strlen(call->options));
    free(call->options);
    memset(call, 0, sizeof(*call));
}
