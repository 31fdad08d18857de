/* Questions to the server, answered without blocking for ever; what it says when it refuses. */
#include "conn.h"

#include "said.h"
#include "wait.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANCEL_S 3 /* that the server may take to hear that an answer is not wanted any more */

int pg_rc_of_state(const char *sqlstate)
{
    static const struct {
        const char *begin;
        int rc;
    } known[] = {
        {"28", BAKE_E_AUTH},           /* who we are */
        {"42501", BAKE_E_AUTH},        /* what we may */
        {"3D000", BAKE_E_NOTFOUND},    /* no such database */
        {"42P01", BAKE_E_NOTFOUND},    /* no such table */
        {"42P04", BAKE_E_EXISTS},      /* such a database */
        {"42710", BAKE_E_EXISTS},      /* such an object */
        {"55P03", BAKE_E_TIMEOUT},     /* locked by somebody */
        {"53100", BAKE_E_NOSPACE},     /* disk full */
        {"53200", BAKE_E_UNAVAILABLE}, /* the server's memory */
        {"53300", BAKE_E_UNAVAILABLE}, /* too many connections */
        {"57P01", BAKE_E_UNAVAILABLE}, /* shut down, crashed, starting up */
        {"57P02", BAKE_E_UNAVAILABLE}, {"57P03", BAKE_E_UNAVAILABLE},
        {"57014", BAKE_E_TIMEOUT},  /* cancelled there */
        {"08", BAKE_E_UNAVAILABLE}, /* the connection is lost */
        {"0A000", BAKE_E_UNSUPPORTED}, {"XX001", BAKE_E_CORRUPT},
        {"XX002", BAKE_E_CORRUPT},
    };
    for (size_t i = 0; sqlstate && i < sizeof(known) / sizeof(known[0]); i++)
        if (strncmp(sqlstate, known[i].begin, strlen(known[i].begin)) == 0)
            return known[i].rc;
    return BAKE_E_IO;
}

/* ---- what went wrong ------------------------------------------------------------------------- */

static int lost(struct pg_conn *c, const char *what)
{
    char text[PG_SAID_MAX];
    pg_said_line(PQerrorMessage(c->pg), text, sizeof(text));
    return bake_fail(c->ctx, BAKE_E_UNAVAILABLE, "%s: %s", what,
                     text[0] ? text : "the connection is lost");
}

static int said(struct pg_conn *c, const PGresult *res, const char *what)
{
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    if (!state || PQstatus(c->pg) == CONNECTION_BAD)
        return lost(c, what);
    char text[PG_SAID_MAX], detail[PG_SAID_MAX], hint[PG_SAID_MAX];
    pg_said_line(PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), text, sizeof(text));
    pg_said_line(PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL), detail, sizeof(detail));
    pg_said_line(PQresultErrorField(res, PG_DIAG_MESSAGE_HINT), hint, sizeof(hint));
    return bake_fail(c->ctx, pg_rc_of_state(state), "%s: %s%s%s%s%s", what, text,
                     detail[0] ? ": " : "", detail, hint[0] ? "\nHINT: " : "", hint);
}

/* In the child: PQcancel() may be called where a signal handler may, so after a fork, too. */
static _Noreturn void cancel_and_end(PGcancel *cancel)
{
    static const int signals[] = {SIGALRM, SIGTERM, SIGINT, SIGHUP};
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    char why[256];
    sigset_t alarms;
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &usual, NULL); /* ours would speak to the parent */
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    (void)alarm(CANCEL_S);
    (void)PQcancel(cancel, why, sizeof(why));
    _exit(0);
}

/* PQcancel() waits for the server without a limit, and one that does not answer may be why we give
 * up: so it is done by a child, whose time ends. */
static void give_up(struct pg_conn *c)
{
    PGcancel *cancel = PQgetCancel(c->pg);
    pid_t child = cancel ? fork() : -1;
    if (child == 0)
        cancel_and_end(cancel);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
    }
    PQfreeCancel(cancel);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* Waits for the next result. Not OK: the connection is done with. */
static int ready(struct pg_conn *c, const char *what)
{
    int64_t limit = c->timeout > 0 ? (int64_t)c->timeout : -1;
    int rc = BAKE_OK, unsent;
    while ((unsent = PQflush(c->pg)) > 0 || (unsent == 0 && PQisBusy(c->pg))) {
        rc = pg_wait(c->ctx, PQsocket(c->pg), unsent > 0, limit);
        if (rc != BAKE_OK)
            break;
        if (PQconsumeInput(c->pg) == 0)
            return lost(c, what);
    }
    if (unsent < 0)
        return lost(c, what);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_TIMEOUT)
        give_up(c);
    if (rc == BAKE_E_TIMEOUT)
        return bake_fail(c->ctx, rc, "%s: the server did not answer within %llu seconds", what,
                         (unsigned long long)c->timeout / 1000);
    return rc == BAKE_OK || rc == BAKE_E_CANCELLED ? rc
                                                   : bake_fail(c->ctx, rc, "%s: cannot wait", what);
}

static bool is_failure(const PGresult *res)
{
    ExecStatusType s = PQresultStatus(res);
    return s == PGRES_FATAL_ERROR || s == PGRES_BAD_RESPONSE;
}

/* The last result of all that a text of several statements has; the first failure ends it. */
static int collect(struct pg_conn *c, PGresult **ret, const char *what)
{
    PGresult *last = NULL, *res;
    int rc = BAKE_OK, now;
    for (;;) {
        if ((now = ready(c, what)) != BAKE_OK) {
            rc = now;
            break;
        }
        if (!(res = PQgetResult(c->pg)))
            break;
        if (rc == BAKE_OK && is_failure(res))
            rc = said(c, res, what);
        PQclear(last);
        last = res;
        ExecStatusType s = PQresultStatus(res);
        if (s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH)
            break; /* the caller goes on with it */
        if (PQstatus(c->pg) == CONNECTION_BAD)
            break;
    }
    if (rc == BAKE_OK && !last)
        rc = lost(c, what);
    if (rc != BAKE_OK) {
        PQclear(last);
        last = NULL;
    }
    *ret = last;
    return rc;
}

int pg_query(struct pg_conn *c, PGresult **ret, const char *what, const char *sql, int n,
             const char *const *params)
{
    *ret = NULL;
    /* the simple protocol for what has no parameters: several statements, replication commands */
    int sent = n > 0 ? PQsendQueryParams(c->pg, sql, n, NULL, params, NULL, NULL, 0)
                     : PQsendQuery(c->pg, sql);
    return sent ? collect(c, ret, what) : lost(c, what);
}

int pg_exec(struct pg_conn *c, const char *what, const char *sql)
{
    PGresult *res = NULL;
    int rc = pg_query(c, &res, what, sql, 0, NULL);
    PQclear(res);
    return rc;
}

int pg_value(struct pg_conn *c, char **ret, const char *what, const char *sql, int n,
             const char *const *params)
{
    PGresult *res = NULL;
    int rc = pg_query(c, &res, what, sql, n, params);
    if (rc != BAKE_OK)
        return rc;
    bool any = PQntuples(res) > 0 && PQnfields(res) > 0;
    char *value = strdup(any ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    if (!value)
        return bake_fail(c->ctx, BAKE_E_NOMEM, "out of memory");
    *ret = value;
    return BAKE_OK;
}

char *pg_quoted(struct pg_conn *c, const char *name)
{
    char *q = PQescapeIdentifier(c->pg, name, strlen(name));
    char *copy = q ? strdup(q) : NULL; /* libpq's own is not free()'s everywhere */
    PQfreemem(q);
    return copy;
}
