/* Is the backup fit for what is there now? What was recorded is compared before anything is done.
 */
#include "restore_impl.h"

#include <stdlib.h>
#include <string.h>

#define FORCE_HINT "\nHINT: --force restores it all the same"

static bool differ(const char *recorded, const char *now)
{
    return recorded && recorded[0] && now && now[0] && strcmp(recorded, now) != 0;
}

/* ---- versions -------------------------------------------------------------------------------- */

static unsigned number(const char **text)
{
    unsigned n = 0;
    for (; **text >= '0' && **text <= '9' && n < 100000; (*text)++)
        n = n * 10 + (unsigned)(**text - '0');
    if (**text == '.')
        (*text)++;
    return n;
}

int rs_compare_versions(enum dk_kind kind, const char *have, const char *recorded)
{
    unsigned a = number(&have), b = number(&recorded);
    /* PostgreSQL's major is one number, since 10; MariaDB's and MySQL's are two. */
    if (a == b && (kind == DK_MARIA || a < 10)) {
        a = number(&have);
        b = number(&recorded);
    }
    return a < b ? -1 : a > b;
}

static int compare_server(const struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                          const char *have)
{
    const char *recorded = rs_fact(p, "server_version");
    int order = recorded ? rs_compare_versions(p->kind, have, recorded) : 0;
    if (order < 0 && !r->force)
        return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                         "'%s' is of a server of version %s, and container '%s' has an older one, "
                         "%s" FORCE_HINT,
                         p->name, recorded, p->container->name, have);
    if (order != 0)
        bake_report(ctx, BAKE_WARNING, p->name,
                    "is of a server of version %s and is loaded into one of version %s", recorded,
                    have);
    return BAKE_OK;
}

int rs_check_server(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p)
{
    char *have = NULL;
    if (!rs_fact(p, "server_version"))
        return BAKE_OK;
    int rc = dk_database_version(r->s, ctx, p->container, p->kind, &have);
    if (rc == BAKE_OK)
        rc = compare_server(r, ctx, p, have);
    free(have);
    return rc;
}

/* Before anything is stopped, if the server runs; it is asked again when the dump is loaded. */
static int check_early(struct dk_restore *r, struct bake_ctx *ctx, const struct rs_part *p,
                       const struct dk_container *c)
{
    struct rs_hush h;
    char *have = NULL;
    struct rs_part known = *p;
    rs_hush(&h, ctx);
    known.container = c;
    if (!rs_fact(p, "server_version") || !c->running || c->paused ||
        dk_database_version(r->s, &h.ctx, c, p->kind, &have) != BAKE_OK)
        return BAKE_OK;
    /* The difference itself is told of once, when it is loaded. */
    bool older = rs_compare_versions(p->kind, have, rs_fact(p, "server_version")) < 0;
    int rc = older && !r->force ? compare_server(r, ctx, &known, have) : BAKE_OK;
    free(have);
    return rc;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static int check_arch(const struct dk_restore *r, struct bake_ctx *ctx)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        const char *recorded = rs_fact(&r->parts[i], "arch"), *now = dk_api_arch(r->s->api);
        if (!differ(recorded, now))
            continue;
        if (!r->force)
            return bake_fail(ctx, BAKE_E_UNSUPPORTED,
                             "'%s' was backed up on %s, and this daemon runs on %s" FORCE_HINT,
                             r->parts[i].name, recorded, now);
        bake_report(ctx, BAKE_WARNING, r->parts[i].name,
                    "was backed up on %s, and this daemon runs on %s", recorded, now);
        return BAKE_OK;
    }
    return BAKE_OK;
}

static void check_image(struct bake_ctx *ctx, const struct rs_part *p, const struct dk_container *c)
{
    if (differ(rs_fact(p, "image"), c->image))
        bake_report(ctx, BAKE_WARNING, p->name, "is of image '%s', and container '%s' is of '%s'",
                    rs_fact(p, "image"), c->name, c->image);
    else if (differ(rs_fact(p, "image_id"), c->image_id))
        bake_report(ctx, BAKE_NOTICE, p->name,
                    "container '%s' is of another build of image '%s' than when it was backed up",
                    c->name, c->image);
}

int rs_check_facts(struct dk_restore *r, struct bake_ctx *ctx)
{
    int rc = check_arch(r, ctx);
    for (size_t i = 0; i < r->n_parts && rc == BAKE_OK && !r->renamed; i++) {
        const struct rs_part *p = &r->parts[i];
        const struct dk_container *c =
            p->known && p->service[0] ? rs_service(rs_world(r), r->as, p->service) : NULL;
        if (!c)
            continue;
        check_image(ctx, p, c);
        if (p->kind == DK_PG || p->kind == DK_MARIA)
            rc = check_early(r, ctx, p, c);
    }
    return rc;
}
