/* What earlier restores have left and no obligation names any more: by the comment that it has. */
#include "restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool alive(const char *pid)
{
    char path[64];
    if (!*pid || strlen(pid) > 10 || strspn(pid, "0123456789") != strlen(pid))
        return true;
    (void)snprintf(path, sizeof(path), "/proc/%s", pid);
    return access(path, F_OK) == 0;
}

/* "bakengine restore HOST BOOT PID": the words of it. False: there are not as many. */
static bool split(char *comment, const char *ret[5])
{
    char *rest = NULL, *word = strtok_r(comment, " ", &rest);
    for (size_t i = 0; i < 5; i++) {
        if (!word)
            return false;
        ret[i] = word;
        word = strtok_r(NULL, " ", &rest);
    }
    return word == NULL;
}

/* Ours, made on this host by a process that is no more? */
static bool left_over(const char *comment)
{
    char *mine = pg_our_comment(false), *theirs = strdup(comment);
    const char *now[5], *then[5];
    bool is = mine && theirs && split(mine, now) && split(theirs, then) &&
              strcmp(then[2], now[2]) == 0 && (strcmp(then[3], now[3]) != 0 || !alive(then[4]));
    free(mine);
    free(theirs);
    return is;
}

/* A server that cannot be reached, or rights that we have not, are not of interest now. */
int pg_restore_tidy(struct bake_ctx *ctx, const struct pg_config *cfg)
{
    struct pg_hush h;
    struct pg_conn c = {0};
    PGresult *res = NULL;
    pg_hush(&h, ctx);
    if (pg_home_open(&h.ctx, cfg, "bakengine", NULL, &c) != BAKE_OK)
        return BAKE_OK;
    int rc = pg_query(&c, &res, "cannot list the databases",
                      "SELECT datname, pg_catalog.shobj_description(oid, 'pg_database')"
                      " FROM pg_catalog.pg_database WHERE datname LIKE '%\\_bakengine\\_%'"
                      " AND pg_catalog.shobj_description(oid, 'pg_database') LIKE 'bakengine re%'"
                      " AND NOT pg_catalog.pg_is_in_recovery()",
                      0, NULL);
    for (int i = 0; rc == BAKE_OK && i < PQntuples(res); i++) {
        const char *name = PQgetvalue(res, i, 0);
        if (!left_over(PQgetvalue(res, i, 1)))
            continue;
        rc = pg_drop_database(&c, name);
        bake_report(ctx, BAKE_NOTICE, name,
                    rc == BAKE_OK ? "left by an earlier restore, and dropped"
                                  : "left by an earlier restore, and cannot be dropped");
    }
    PQclear(res);
    pg_conn_close(&c);
    return BAKE_OK;
}
