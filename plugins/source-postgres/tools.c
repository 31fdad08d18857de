/* The server's own tools: finding the ones that fit its version. */
#include "tools.h"

#include "text.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VERSION_TEXT 4096  /* what `--version` may say */
#define VERSION_MS   60000 /* and how long it may take */

/* Where packages of several majors stand side by side: a directory with one for each, named
 * <before><major>. */
static const struct {
    const char *directory, *before, *below;
} homes[] = {
    {"/usr/lib/postgresql", "", "/bin"}, /* Debian and its kin */
    {"/usr", "pgsql-", "/bin"},          /* the project's own packages for Red Hat's kin */
};

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- versions -------------------------------------------------------------------------------- */

bool pg_tool_version(const char *said, char *ret, size_t cap, int *ret_major)
{
    const char *p = strstr(said, "(PostgreSQL) ");
    if (!p)
        return false;
    p += strlen("(PostgreSQL) ");
    size_t n = strspn(p, "0123456789."),
           more = strspn(p + n, "abcdefghijklmnopqrstuvwxyz0123456789");
    int major = 0;
    for (size_t i = 0; i < n && p[i] != '.'; i++) {
        if (i > 3)
            return false;
        major = major * 10 + (p[i] - '0');
    }
    if (major == 0 || n + more >= cap)
        return false;
    memcpy(ret, p, n + more); /* "15.18", "19devel" */
    ret[n + more] = '\0';
    *ret_major = major;
    return true;
}

static int ask_version(struct bake_ctx *ctx, const char *path, char *ret, size_t cap,
                       int *ret_major)
{
    const char *argv[] = {path, "--version", NULL};
    struct bkc_child_spec spec = {.argv = argv, .out = true, .silence_ms = VERSION_MS};
    char *said = NULL;
    int rc = bkc_child_run(ctx, &spec, NULL, VERSION_TEXT, &said);
    if (rc == BAKE_OK && !pg_tool_version(said ? said : "", ret, cap, ret_major))
        rc = bake_fail(ctx, BAKE_E_UNSUPPORTED,
                       "'%s --version' does not say which version of PostgreSQL it is", path);
    free(said);
    return rc;
}

/* ---- places ---------------------------------------------------------------------------------- */

static int major_of(const char *name, const char *before)
{
    size_t n = strlen(before);
    int major = 0;
    if (strncmp(name, before, n) != 0 || !name[n] || strlen(name + n) > 3)
        return 0;
    for (const char *p = name + n; *p; p++) {
        if (*p < '0' || *p > '9')
            return 0;
        major = major * 10 + (*p - '0');
    }
    return major;
}

/* wanted 0: the highest; else the lowest that is not lower */
static bool better(int major, int best, int wanted)
{
    if (wanted == 0)
        return major > best;
    return major >= wanted && (best == 0 || major < best);
}

/* The best path in a home, if it is better than what *best has. Out of memory: it stays. */
static void look(size_t home, const char *name, int wanted, int *best, char **path)
{
    DIR *d = opendir(homes[home].directory);
    for (const struct dirent *e; d && (e = readdir(d));) {
        int major = major_of(e->d_name, homes[home].before);
        if (major == 0 || !better(major, *best, wanted))
            continue;
        char *p = pg_text("%s/%s%s/%s", homes[home].directory, e->d_name, homes[home].below, name);
        if (p && access(p, X_OK) == 0) {
            free(*path);
            *path = p;
            *best = major;
        } else {
            free(p);
        }
    }
    if (d)
        (void)closedir(d);
}

static bool in_path(const char *name)
{
    const char *path = getenv("PATH"); // NOLINT(concurrency-mt-unsafe): nobody sets it
    char file[PATH_MAX];
    for (const char *p = path ? path : ""; *p;) {
        size_t n = strcspn(p, ":");
        int len = snprintf(file, sizeof(file), "%.*s/%s", (int)n, p, name);
        if (n > 0 && len > 0 && (size_t)len < sizeof(file) && access(file, X_OK) == 0)
            return true;
        p += n + (p[n] == ':');
    }
    return false;
}

static int missing(struct bake_ctx *ctx, const char *name, int wanted, const char *in)
{
    bool server = strcmp(name, "postgres") == 0 || strcmp(name, "initdb") == 0 ||
                  strcmp(name, "pg_ctl") == 0 || strcmp(name, "pg_verifybackup") == 0;
    char major[16] = "";
    if (wanted)
        (void)snprintf(major, sizeof(major), "-%d", wanted);
    return bake_fail(ctx, BAKE_E_NOTFOUND,
                     "there is no '%s'%s%s\nHINT: install PostgreSQL's %s (Debian: "
                     "postgresql%s%s), or name their directory by 'bin'",
                     name, in ? " in " : "", in ? in : "", server ? "server" : "client programs",
                     server ? "" : "-client", major);
}

static int find(struct bake_ctx *ctx, const struct pg_config *cfg, const char *name, int wanted,
                char **ret)
{
    char *path = NULL;
    int best = 0;
    if (cfg->bin) {
        path = pg_text("%s/%s", cfg->bin, name);
        if (path && access(path, X_OK) != 0) {
            free(path);
            return missing(ctx, name, wanted, cfg->bin);
        }
    } else {
        for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++)
            look(i, name, wanted, &best, &path);
        if (!path && !in_path(name)) {
            /* one that is too old says more than none */
            look(0, name, 0, &best, &path);
            if (!path)
                return missing(ctx, name, wanted, NULL);
        } else if (!path) {
            path = strdup(name);
        }
    }
    *ret = path;
    return path ? BAKE_OK : nomem(ctx);
}

/* ---- both ------------------------------------------------------------------------------------ */

static int check(struct bake_ctx *ctx, const char *path, int wanted, int major, const char *version)
{
    if (major >= wanted)
        return BAKE_OK;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                     "'%s' is of version %s and cannot work with a server of version %d\n"
                     "HINT: install PostgreSQL's client programs of version %d (Debian: "
                     "postgresql-client-%d), or name their directory by 'bin'",
                     path, version, wanted, wanted, wanted);
}

int pg_tool(struct bake_ctx *ctx, const struct pg_config *cfg, const char *name, int version_num,
            char **ret_path, char **ret_version)
{
    char *path = NULL, version[64] = "", *copy = NULL;
    int wanted = version_num / 10000, major = 0;
    int rc = find(ctx, cfg, name, wanted, &path);
    if (rc == BAKE_OK)
        rc = ask_version(ctx, path, version, sizeof(version), &major);
    if (rc == BAKE_OK)
        rc = check(ctx, path, wanted, major, version);
    if (rc == BAKE_OK && ret_version && !(copy = strdup(version)))
        rc = nomem(ctx);
    if (rc != BAKE_OK) {
        free(path);
        return rc;
    }
    *ret_path = path;
    if (ret_version)
        *ret_version = copy;
    return BAKE_OK;
}
