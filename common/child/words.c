/* What a program is started with: its path, arguments, environment and user. */
#include "child/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int nomem(struct bake_ctx *ctx) { return bake_fail(ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- the user -------------------------------------------------------------------------------- */

void bkc_user_release(struct bkc_user *u)
{
    free(u->groups);
    free(u->name);
    free(u->home);
    memset(u, 0, sizeof(*u));
}

static int list_groups(struct bkc_user *u)
{
    int n = 32, had;

    do {
        had = n;
        gid_t *more = realloc(u->groups, (size_t)n * sizeof(*more));
        if (!more)
            return -1;
        u->groups = more;
        u->n_groups = getgrouplist(u->name, u->gid, u->groups, &n);
    } while (u->n_groups < 0 && n > had);
    return u->n_groups < 0 ? -1 : 0;
}

static int look_up(struct bake_ctx *ctx, const char *name, struct passwd *pw, char **ret_text)
{
    struct passwd *found = NULL;
    int e = ERANGE;

    for (size_t size = 1024; e == ERANGE && size <= 1 << 20; size *= 4) {
        free(*ret_text);
        *ret_text = malloc(size);
        if (!*ret_text)
            return nomem(ctx);
        do
            e = getpwnam_r(name, pw, *ret_text, size, &found);
        while (e == EINTR);
    }
    if (found)
        return BAKE_OK;
    if (e == ENOMEM)
        return nomem(ctx);
    if (e != 0 && e != ENOENT && e != ESRCH)
        return bake_fail(ctx, BAKE_E_CONFIG, "cannot look up the user '%s': %s", name, strerror(e));
    return bake_fail(ctx, BAKE_E_CONFIG, "there is no user '%s' on this host", name);
}

int bkc_user_find(struct bake_ctx *ctx, const char *name, struct bkc_user *ret)
{
    struct passwd pw;
    char *text = NULL;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (!name || geteuid() != 0)
        return BAKE_OK;
    rc = look_up(ctx, name, &pw, &text);
    if (rc == BAKE_OK && pw.pw_uid != 0) {
        ret->change = true;
        ret->uid = pw.pw_uid;
        ret->gid = pw.pw_gid;
        ret->name = strdup(name);
        ret->home = strdup(pw.pw_dir && pw.pw_dir[0] ? pw.pw_dir : "/");
        if (!ret->name || !ret->home || list_groups(ret) < 0)
            rc = nomem(ctx);
    }
    free(text);
    if (rc != BAKE_OK)
        bkc_user_release(ret);
    return rc;
}

/* ---- arguments and environment --------------------------------------------------------------- */

void bkc_words_release(struct bkc_words *w)
{
    for (size_t i = 0; i < w->n_owned; i++)
        free(w->owned[i]);
    free(w->path);
    free(w->argv);
    free(w->env);
    memset(w, 0, sizeof(*w));
}

/* "NAME=value", or "NAME" to take it away. */
static void set_env(struct bkc_words *w, const char *entry)
{
    size_t n = strcspn(entry, "="), i = 0;

    while (i < w->n_env && (strncmp(w->env[i], entry, n) != 0 || w->env[i][n] != '='))
        i++;
    if (entry[n] == '=') {
        w->env[i] = entry;
        if (i == w->n_env)
            w->n_env++;
    } else if (i < w->n_env) {
        w->env[i] = w->env[--w->n_env];
    }
    w->env[w->n_env] = NULL;
}

void bkc_words_env(struct bkc_words *w, char *owned)
{
    w->owned[w->n_owned++] = owned;
    set_env(w, owned);
}

void bkc_words_argument(struct bkc_words *w, char *owned)
{
    size_t at = 1 + w->n_owned_arguments;

    memmove(&w->argv[at + 1], &w->argv[at], (w->n_argv - at + 1) * sizeof(w->argv[0]));
    w->argv[at] = owned;
    w->n_argv++;
    w->n_owned_arguments++;
    w->owned[w->n_owned++] = owned;
}

static int joined(struct bake_ctx *ctx, struct bkc_words *w, const char *name, const char *value)
{
    char *text = NULL;

    if (asprintf(&text, "%s=%s", name, value) < 0)
        return nomem(ctx);
    bkc_words_env(w, text);
    return BAKE_OK;
}

static int fill_env(struct bake_ctx *ctx, struct bkc_words *w, const char *const *env,
                    const struct bkc_user *user)
{
    int rc = BAKE_OK;

    for (char *const *e = environ; e && *e; e++)
        w->env[w->n_env++] = *e;
    w->env[w->n_env] = NULL;
    set_env(w, "LANGUAGE");
    set_env(w, "LC_ALL=C.UTF-8");
    if (user->change) {
        set_env(w, "TMPDIR"); /* root's own may be closed to that user */
        rc = joined(ctx, w, "HOME", user->home);
        if (rc == BAKE_OK)
            rc = joined(ctx, w, "USER", user->name);
        if (rc == BAKE_OK)
            rc = joined(ctx, w, "LOGNAME", user->name);
    }
    for (; env && *env; env++)
        set_env(w, *env);
    return rc;
}

/* Of the environment that the program gets. Relative directories in it are not looked at. */
static int find_in_path(struct bake_ctx *ctx, const char *name, struct bkc_words *w)
{
    const char *dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    bool barred = false;

    for (size_t i = 0; i < w->n_env; i++)
        if (strncmp(w->env[i], "PATH=", 5) == 0)
            dirs = w->env[i] + 5;
    for (size_t n; *dirs; dirs += n + (dirs[n] == ':')) {
        struct stat st;

        n = strcspn(dirs, ":");
        if (dirs[0] != '/')
            continue;
        if (asprintf(&w->path, "%.*s/%s", (int)n, dirs, name) < 0) {
            w->path = NULL;
            return nomem(ctx);
        }
        if (stat(w->path, &st) == 0 && S_ISREG(st.st_mode)) {
            if (faccessat(AT_FDCWD, w->path, X_OK, AT_EACCESS) == 0)
                return BAKE_OK;
            barred = true;
        }
        free(w->path);
        w->path = NULL;
    }
    if (barred)
        return bake_fail(ctx, BAKE_E_CHILD, "cannot run '%s': %s", name, strerror(EACCES));
    return bake_fail(ctx, BAKE_E_NOTFOUND, "there is no program '%s' in PATH", name);
}

static int find_program(struct bake_ctx *ctx, const char *name, struct bkc_words *w)
{
    if (!strchr(name, '/'))
        return find_in_path(ctx, name, w);
    w->path = strdup(name);
    return w->path ? BAKE_OK : nomem(ctx);
}

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

int bkc_words_make(struct bake_ctx *ctx, const char *const *argv, const char *const *env,
                   const struct bkc_user *user, size_t more, struct bkc_words *ret)
{
    size_t n = count(argv), n_env = count((const char *const *)environ) + count(env);
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (n == 0 || !argv[0][0])
        return bake_fail(ctx, BAKE_E_INTERNAL, "a program without a name");
    ret->argv = calloc(n + more + 1, sizeof(*ret->argv));
    ret->env = calloc(n_env + more + 8, sizeof(*ret->env));
    if (!ret->argv || !ret->env) {
        rc = nomem(ctx);
    } else {
        memcpy(ret->argv, argv, n * sizeof(*argv));
        ret->n_argv = n;
        rc = fill_env(ctx, ret, env, user);
    }
    if (rc == BAKE_OK)
        rc = find_program(ctx, argv[0], ret);
    if (rc != BAKE_OK)
        bkc_words_release(ret);
    return rc;
}
