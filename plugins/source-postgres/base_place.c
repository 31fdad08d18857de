/* Where a base backup is restored to, and whether it may go there. */
#include "base_files.h"
#include "base_way.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(struct pg_way *w) { return bake_fail(w->ctx, BAKE_E_NOMEM, "out of memory"); }

/* ---- who ------------------------------------------------------------------------------------- */

int pg_way_owner(struct pg_way *w)
{
    struct passwd pw, *found = NULL;
    char buffer[4096];
    const char *name = w->cfg->owner;
    if (geteuid() != 0 || !name || !*name)
        return BAKE_OK;
    int e = getpwnam_r(name, &pw, buffer, sizeof(buffer), &found);
    if (!found)
        return bake_fail(w->ctx, BAKE_E_CONFIG,
                         "there is no user '%s' for the restored server%s%s\nHINT: name one by "
                         "'owner'",
                         name, e ? ": " : "", e ? strerror(e) : "");
    w->as_user = true;
    w->uid = pw.pw_uid;
    w->gid = pw.pw_gid;
    return BAKE_OK;
}

/* ---- where ----------------------------------------------------------------------------------- */

/* What a path names, though its last part may not be there yet; to be freed. */
static int real_path(struct pg_way *w, const char *path, char **ret)
{
    *ret = realpath(path, NULL);
    if (*ret)
        return BAKE_OK;
    if (errno != ENOENT)
        return bake_fail(w->ctx, BAKE_E_IO, "cannot look at '%s': %s", path, strerror(errno));
    char *parent = pg_parent_of(path);
    char *real = parent ? realpath(parent, NULL) : NULL;
    int e = errno;
    const char *name = strrchr(path, '/') + 1;
    if (real)
        *ret = pg_text("%s/%s", strcmp(real, "/") == 0 ? "" : real, name);
    free(parent);
    free(real);
    if (*ret)
        return BAKE_OK;
    if (!real)
        return bake_fail(w->ctx, BAKE_E_NOTFOUND, "cannot restore to '%s': %s", path, strerror(e));
    return no_memory(w);
}

static bool inside(const char *path, const char *directory)
{
    size_t n = strlen(directory);
    return strncmp(path, directory, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* "OLD=NEW" of the option; NULL: it stays where it was. */
static const char *mapped(const struct pg_config *cfg, const char *path)
{
    size_t n = strlen(path);
    for (const char *const *p = cfg->tablespaces; p && *p; p++)
        if (strncmp(*p, path, n) == 0 && (*p)[n] == '=')
            return *p + n + 1;
    return NULL;
}

/* A renamed directory cannot take the place of one that something is mounted on. */
static int no_mount(struct pg_way *w, const char *path)
{
    struct stat own, above;
    char *parent = pg_parent_of(path);
    if (!parent)
        return no_memory(w);
    bool mounted = stat(path, &own) == 0 && stat(parent, &above) == 0 &&
                   (own.st_dev != above.st_dev || own.st_ino == above.st_ino);
    free(parent);
    if (!mounted)
        return BAKE_OK;
    return bake_fail(w->ctx, BAKE_E_CONFIG,
                     "'%s' is a mount point, whose place nothing else can take\nHINT: give a "
                     "directory in it as 'data_directory'",
                     path);
}

/* ---- may it ---------------------------------------------------------------------------------- */

static int check_data(struct pg_way *w, struct pg_stage *s)
{
    const char *target = s->target;
    bool absent;
    int empty = pg_is_empty(w->ctx, target, &absent);
    if (empty < 0)
        return empty;
    s->full = !empty;
    if (!empty && pg_in_use(target))
        return bake_fail(w->ctx, BAKE_E_EXISTS,
                         "a server is running in '%s'\nHINT: stop it, or restore elsewhere by "
                         "'data_directory'",
                         target);
    if (!empty && !w->force)
        return bake_fail(w->ctx, BAKE_E_EXISTS,
                         "'%s' is not empty\nHINT: give --force to replace what is there, or "
                         "restore elsewhere by 'data_directory'",
                         target);
    return no_mount(w, target);
}

/* Does the directory that is to be replaced have its tablespace there? Then it goes with it. */
static bool of_the_old(const struct pg_way *w, const struct pg_stage *s)
{
    bool same = false;
    char *link = pg_text("%s/pg_tblspc/%s", w->stages[0].target, s->oid);
    char *real = link ? realpath(link, NULL) : NULL;
    same = real && strcmp(real, s->root) == 0;
    free(link);
    free(real);
    return same;
}

static int check_tablespace(struct pg_way *w, struct pg_stage *s)
{
    bool absent;
    int empty = pg_is_empty(w->ctx, s->root, &absent);
    if (empty < 0)
        return empty;
    s->made_root = absent;
    s->full = !empty;
    if (!empty && !(w->force && of_the_old(w, s)))
        return bake_fail(w->ctx, BAKE_E_EXISTS,
                         "the tablespace's directory '%s' is not empty\nHINT: put it elsewhere by "
                         "'tablespaces: [OLD=NEW]'",
                         s->root);
    return BAKE_OK;
}

static int check_apart(struct pg_way *w, const struct pg_stage *s)
{
    for (const struct pg_stage *other = w->stages; other < s; other++) {
        const char *place = other->root ? other->root : other->target;
        if (inside(s->root, place) || inside(place, s->root))
            return bake_fail(w->ctx, BAKE_E_CONFIG,
                             "'%s' and '%s' cannot both be restored to: one lies in the other",
                             place, s->root);
    }
    return BAKE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int name_data(struct pg_way *w, struct pg_stage *s, const char *mark)
{
    const char *where = w->cfg->data_directory;
    if (!where)
        return bake_fail(w->ctx, BAKE_E_CONFIG,
                         "where the base backup is to be restored is not said\nHINT: set "
                         "'data_directory'");
    int rc = real_path(w, where, &s->target);
    if (rc == BAKE_OK)
        rc = check_data(w, s);
    if (rc != BAKE_OK)
        return rc;
    s->stage = pg_text("%s.bakengine-new-%s", s->target, mark);
    s->aside = pg_text("%s.bakengine-old-%s", s->target, mark);
    return s->stage && s->aside ? BAKE_OK : no_memory(w);
}

static int name_tablespace(struct pg_way *w, struct pg_stage *s, const struct pg_tablespace *t,
                           const char *mark)
{
    const char *to = mapped(w->cfg, t->path);
    if (!to)
        to = t->path;
    if (*to != '/' || strlen(to) < 2)
        return bake_fail(w->ctx, BAKE_E_CONFIG,
                         "'tablespaces': '%s' is no absolute path of a directory", to);
    s->oid = strdup(t->oid);
    int rc = s->oid ? real_path(w, to, &s->root) : no_memory(w);
    if (rc == BAKE_OK)
        rc = check_apart(w, s);
    if (rc == BAKE_OK)
        rc = check_tablespace(w, s);
    if (rc != BAKE_OK)
        return rc;
    s->stage = pg_text("%s/bakengine-new-%s", s->root, mark);
    s->aside = pg_text("%s/bakengine-old-%s", s->root, mark);
    return s->stage && s->aside ? BAKE_OK : no_memory(w);
}

static int check_mapping(struct pg_way *w)
{
    for (const char *const *p = w->cfg->tablespaces; p && *p; p++) {
        bool found = false;
        for (size_t i = 0; i < w->known.n_tablespaces; i++) {
            const char *old = w->known.tablespaces[i].path;
            found |= strncmp(*p, old, strlen(old)) == 0 && (*p)[strlen(old)] == '=';
        }
        if (!found)
            bake_report(w->ctx, BAKE_NOTICE, *p, "no tablespace of the backup was there");
    }
    return BAKE_OK;
}

int pg_way_places(struct pg_way *w)
{
    unsigned char bytes[3];
    char mark[8];
    w->stages = calloc(w->known.n_tablespaces + 1, sizeof(*w->stages));
    if (!w->stages)
        return no_memory(w);
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return bake_fail(w->ctx, BAKE_E_IO, "cannot get random bytes: %s", strerror(errno));
    (void)snprintf(mark, sizeof(mark), "%02x%02x%02x", bytes[0], bytes[1], bytes[2]);
    int rc = pg_way_owner(w);
    w->n_stages = 1;
    if (rc == BAKE_OK)
        rc = name_data(w, &w->stages[0], mark);
    if (rc == BAKE_OK)
        rc = check_mapping(w);
    for (size_t i = 0; rc == BAKE_OK && i < w->known.n_tablespaces; i++)
        if (w->known.tablespaces[i].path[0] == '/') /* else it lies within the data */
            rc = name_tablespace(w, &w->stages[w->n_stages++], &w->known.tablespaces[i], mark);
    return rc;
}

/* What has come since is nobody's to replace, --force or not. Our own directories stand in the
 * locations of tablespaces by now, so there what would be replaced is looked at. */
static int look_again(struct pg_way *w, const struct pg_stage *s)
{
    bool absent;
    if (!s->target)
        return BAKE_OK;
    int empty = pg_is_empty(w->ctx, s->target, &absent);
    if (empty < 0 || empty)
        return empty < 0 ? empty : BAKE_OK;
    if (!s->full)
        return bake_fail(w->ctx, BAKE_E_EXISTS, "'%s' has been filled meanwhile", s->target);
    if (!s->root && pg_in_use(s->target))
        return bake_fail(w->ctx, BAKE_E_EXISTS,
                         "a server has been started in '%s' meanwhile\nHINT: stop it, and "
                         "restore "
                         "again",
                         s->target);
    return BAKE_OK;
}

int pg_way_places_again(struct pg_way *w)
{
    int rc = BAKE_OK;
    for (size_t i = 0; i < w->n_stages && rc == BAKE_OK; i++)
        rc = look_again(w, &w->stages[i]);
    return rc;
}

int pg_way_make(struct pg_way *w)
{
    for (size_t i = 0; i < w->n_stages; i++) {
        struct pg_stage *s = &w->stages[i];
        int rc = BAKE_OK;
        if (s->made_root)
            rc = pg_make_dir(w->ctx, s->root, w->as_user, w->uid, w->gid);
        if (rc == BAKE_OK)
            rc = pg_make_dir(w->ctx, s->stage, w->as_user, w->uid, w->gid);
        if (rc != BAKE_OK)
            return rc;
        pg_stage_mark(s->stage, &s->device, &s->inode, &s->born);
    }
    return BAKE_OK;
}
