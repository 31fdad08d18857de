/* Opening what a verb needs. */
#include "run/session.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/path.h"
#include "config/env.h"
#include "run/wal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_address(const char *target)
{
    struct stat st;

    return strstr(target, "://") || (stat(target, &st) == 0 && S_ISDIR(st.st_mode));
}

static int load_file(struct bk_session *s, const char *target, unsigned flags,
                     const struct bk_strv *set, struct bk_err *err)
{
    struct bk_diags *diags;
    int rc = bk_diags_new(target, &diags, err);

    if (rc < 0)
        return rc;
    rc = bk_pipeline_load_set(s->registry, target, flags, set, diags, &s->pipeline, err);
    bk_diags_print(diags);
    bk_diags_free(diags);
    /* Libraries and children read AWS_*, PG* and their like from the environment itself. */
    return rc < 0 ? rc : bk_env_export(s->pipeline->env, err);
}

/* What is no file, no directory and has no pipeline file's ending was meant as a store. */
static bool is_missing_store(const char *target)
{
    struct stat st;

    return stat(target, &st) < 0 && errno == ENOENT && !bk_ends(target, ".yaml") &&
           !bk_ends(target, ".yml");
}

static int open_address(struct bk_session *s, const char *target, struct bk_err *err)
{
    char *absolute BK_FREE = strstr(target, "://") ? bk_strdup(target) : bk_path_absolute(target);

    return absolute ? bk_pipeline_from_store(s->registry, absolute, &s->pipeline, err)
                    : bk_nomem(err);
}

int bk_session_open(const char *target, unsigned flags, struct bk_cancel *cancel,
                    struct bk_reporter *reporter, struct bk_session *ret, struct bk_err *err)
{
    return bk_session_open_set(target, flags, NULL, cancel, reporter, ret, err);
}

int bk_session_open_set(const char *target, unsigned flags, const struct bk_strv *set,
                        struct bk_cancel *cancel, struct bk_reporter *reporter,
                        struct bk_session *ret, struct bk_err *err)
{
    int rc;

    memset(ret, 0, sizeof(*ret));
    ret->cancel = cancel;
    ret->reporter = reporter;
    bk_wal_init(ret);
    if (gethostname(ret->host, sizeof(ret->host) - 1) < 0 || !ret->host[0])
        memcpy(ret->host, "localhost", sizeof("localhost"));
    rc = bk_registry_new(&ret->registry, err);
    if (rc < 0)
        return rc;
    ret->by_address = is_address(target);
    if ((flags & BK_LOAD_STORE) && !ret->by_address && is_missing_store(target))
        rc = bk_fail(err, BK_E_NOSTORE, "there is no store and no pipeline file '%s'", target);
    else if (!ret->by_address)
        rc = load_file(ret, target, flags, set, err);
    else if (!(flags & BK_LOAD_STORE))
        rc = bk_fail(err, BK_E_USAGE, "'%s' is a store's address, not a pipeline file", target);
    else
        rc = open_address(ret, target, err);
    if (rc < 0)
        bk_session_close(ret);
    return rc;
}

static void first_error(void *arg, const char *file, struct bk_pos at, bool is_error,
                        const char *text)
{
    struct bk_err *err = arg;

    if (is_error && !err->text[0])
        (void)bk_fail(err, BAKE_E_CONFIG, "%s:%d:%d: %s", file, at.line, at.col, text);
}

int bk_session_load_sources(struct bk_session *s, struct bk_err *err)
{
    struct bk_pipeline *p = NULL;
    struct bk_diags *diags;
    int rc;

    if (s->by_address)
        return BAKE_END;
    rc = bk_diags_new(s->pipeline->file, &diags, err);
    if (rc < 0)
        return rc;
    rc = bk_pipeline_load(s->registry, s->pipeline->file, BK_LOAD_ALL, diags, &p, err);
    if (rc == BAKE_E_CONFIG && !err->text[0])
        bk_diags_each(diags, first_error, err);
    bk_diags_free(diags);
    if (rc >= 0 && (rc = bk_env_export(p->env, err)) < 0)
        bk_pipeline_free(p);
    if (rc < 0)
        return rc;
    bk_pipeline_free(s->pipeline);
    s->pipeline = p;
    return BAKE_OK;
}

int bk_session_open_store(struct bk_session *s, enum bk_store_mode mode, const char *from,
                          struct bk_err *err)
{
    return bk_store_open(s->pipeline, s->registry, s->cancel, mode, from, &s->store, err);
}

void bk_session_close(struct bk_session *s)
{
    bk_store_close(s->store);
    bk_pipeline_free(s->pipeline);
    bk_registry_free(s->registry);
    s->store = NULL;
    s->pipeline = NULL;
    s->registry = NULL;
}

const char *bk_session_host(const struct bk_session *s, const char *host)
{
    if (!host)
        return s->by_address ? NULL : s->host;
    return bk_streq(host, "*") ? NULL : host;
}

int bk_session_catalog(struct bk_session *s, const char *host, unsigned flags,
                       struct bk_catalog **ret, struct bk_err *err)
{
    const char *pipeline = s->by_address ? NULL : s->pipeline->name;
    struct bk_sink *base = bk_store_base(s->store);

    if (!base)
        return bk_fail(err, BAKE_E_UNAVAILABLE, "no sink of the store can be read");
    return bk_catalog_load(base, pipeline, host, flags, ret, err);
}
