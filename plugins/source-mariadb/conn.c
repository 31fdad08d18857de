/* See conn.h: the library's calls that do not block, so that a cancelled run waits for nothing. */
#include "conn.h"

#include "login.h"

#include <errmsg.h>
#include <errno.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define CONNECT_MS 20000 /* enough for a server far away that is busy */

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int my_rc_of_errno(unsigned error)
{
    static const struct {
        unsigned error;
        int rc;
    } list[] = {
        {ER_ACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_DBACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_TABLEACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_COLUMNACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_SPECIFIC_ACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_PROCACCESS_DENIED_ERROR, BAKE_E_AUTH},
        {ER_ACCESS_DENIED_NO_PASSWORD_ERROR, BAKE_E_AUTH},
        {ER_HOST_NOT_PRIVILEGED, BAKE_E_AUTH},
        {ER_NOT_SUPPORTED_AUTH_MODE, BAKE_E_AUTH},
        {CR_AUTH_PLUGIN_CANNOT_LOAD, BAKE_E_AUTH},
        {CR_SSL_CONNECTION_ERROR, BAKE_E_CONFIG},
        {ER_BAD_DB_ERROR, BAKE_E_NOTFOUND},
        {ER_NO_SUCH_TABLE, BAKE_E_NOTFOUND},
        {CR_CONNECTION_ERROR, BAKE_E_UNAVAILABLE},
        {CR_CONN_HOST_ERROR, BAKE_E_UNAVAILABLE},
        {CR_UNKNOWN_HOST, BAKE_E_UNAVAILABLE},
        {CR_SERVER_GONE_ERROR, BAKE_E_UNAVAILABLE},
        {CR_SERVER_LOST, BAKE_E_UNAVAILABLE},
        {ER_CON_COUNT_ERROR, BAKE_E_UNAVAILABLE},
        {ER_SERVER_SHUTDOWN, BAKE_E_UNAVAILABLE},
        {ER_CONNECTION_KILLED, BAKE_E_UNAVAILABLE},
        {ER_LOCK_DEADLOCK, BAKE_E_UNAVAILABLE},
        {ER_LOCK_WAIT_TIMEOUT, BAKE_E_TIMEOUT},
        {ER_STATEMENT_TIMEOUT, BAKE_E_TIMEOUT},
        {ER_DISK_FULL, BAKE_E_NOSPACE},
        {ER_RECORD_FILE_FULL, BAKE_E_NOSPACE},
        {CR_OUT_OF_MEMORY, BAKE_E_NOMEM},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i].error == error)
            return list[i].rc;
    return BAKE_E_IO;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Waits for what the library asks for and returns what happened. Once broken off, everything
 * happens at once: the call then fails by itself. */
static int happened(struct my_conn *c, int wanted, uint64_t end)
{
    while (!c->broken) {
        uint64_t now = now_ms();
        if (now >= end) {
            c->broken = BAKE_E_TIMEOUT;
            break;
        }
        struct pollfd p[2] = {{.fd = mysql_get_socket(c->my)},
                              {.fd = c->ctx->host->cancel_fd(c->ctx), .events = POLLIN}};
        p[0].events = (short)((wanted & MYSQL_WAIT_READ ? POLLIN : 0) |
                              (wanted & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                              (wanted & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
        uint64_t left = end - now;
        int n = poll(p, 2, left > 60000 ? 60000 : (int)left);
        if (n < 0 && errno != EINTR)
            c->broken = BAKE_E_IO;
        if (c->ctx->host->cancelled(c->ctx))
            c->broken = BAKE_E_CANCELLED;
        else if (n > 0 && p[0].revents)
            return (p[0].revents & (POLLIN | POLLHUP | POLLERR) ? MYSQL_WAIT_READ & wanted : 0) |
                   (p[0].revents & (POLLOUT | POLLHUP | POLLERR) ? MYSQL_WAIT_WRITE & wanted : 0) |
                   (p[0].revents & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
    }
    int fd = mysql_get_socket(c->my);
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR);
    return wanted | MYSQL_WAIT_TIMEOUT;
}

static int said(struct my_conn *c, const char *what)
{
    unsigned error = mysql_errno(c->my);
    if (c->broken == BAKE_E_CANCELLED)
        return bake_fail(c->ctx, BAKE_E_CANCELLED, "%s: cancelled", what);
    if (c->broken == BAKE_E_TIMEOUT)
        return bake_fail(c->ctx, BAKE_E_TIMEOUT,
                         "%s: the server said nothing for %llu seconds\nHINT: see 'timeout'", what,
                         (unsigned long long)(c->silence / 1000));
    int rc = my_rc_of_errno(error);
    return bake_fail(c->ctx, rc, "%s: %s (error %u)", what, mysql_error(c->my), error);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int set_options(struct my_conn *c, const struct my_login *l)
{
    unsigned seconds = (unsigned)(c->silence / 1000) + 60, connect = CONNECT_MS / 1000;
    char on = 1, off = 0;
    bool bad = mysql_options(c->my, MYSQL_OPT_NONBLOCK, 0) != 0;
    /* only a net beneath our own clock, which TLS connections need */
    bad |= mysql_options(c->my, MYSQL_OPT_READ_TIMEOUT, &seconds) != 0;
    bad |= mysql_options(c->my, MYSQL_OPT_WRITE_TIMEOUT, &seconds) != 0;
    bad |= mysql_options(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &connect) != 0;
    bad |= mysql_options(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4") != 0;
    bad |= mysql_options(c->my, MYSQL_OPT_LOCAL_INFILE, &(unsigned){0}) != 0;
    bool tls = l->tls != MY_TLS_OFF;
    bad |= mysql_options(c->my, MYSQL_OPT_SSL_ENFORCE, tls ? &on : &off) != 0;
    if (tls) {
        bad |= l->ca && mysql_options(c->my, MYSQL_OPT_SSL_CA, l->ca) != 0;
        bad |= l->cert && mysql_options(c->my, MYSQL_OPT_SSL_CERT, l->cert) != 0;
        bad |= l->key && mysql_options(c->my, MYSQL_OPT_SSL_KEY, l->key) != 0;
        bad |= mysql_options(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT,
                             l->tls == MY_TLS_VERIFY ? &on : &off) != 0;
    }
    return bad ? my_nomem(c->ctx) : BAKE_OK;
}

/* "'db:3307'" as people would say it. */
static void where_of(const struct my_login *l, char *out, size_t cap)
{
    if (l->socket || !l->host)
        (void)snprintf(out, cap, "%s", l->socket ? l->socket : "the server of this host");
    else
        (void)snprintf(out, cap, "%s:%u", l->host, l->port ? l->port : 3306);
}

static int refused(struct my_conn *c, const struct my_login *l, const char *database)
{
    char where[400];
    unsigned error = mysql_errno(c->my);
    int rc = my_rc_of_errno(error);
    where_of(l, where, sizeof(where));
    if (c->broken == BAKE_E_CANCELLED)
        return bake_fail(c->ctx, BAKE_E_CANCELLED, "connecting was cancelled");
    if (c->broken || rc == BAKE_E_UNAVAILABLE)
        return bake_fail(c->ctx, c->broken ? c->broken : rc,
                         "cannot connect to '%s': %s\n"
                         "HINT: does the server run, and do 'host', 'port' and 'socket' name it?",
                         where, c->broken ? "it does not answer" : mysql_error(c->my));
    if (rc == BAKE_E_NOTFOUND)
        return bake_fail(c->ctx, rc, "server '%s' has no database '%s'\nHINT: see 'databases'",
                         where, database ? database : "");
    if (rc == BAKE_E_AUTH)
        return bake_fail(c->ctx, rc,
                         "server '%s' refuses user '%s': %s (error %u)\n"
                         "HINT: set 'user' and 'password_file', or [client] in ~/.my.cnf",
                         where, l->user ? l->user : "", mysql_error(c->my), error);
    return bake_fail(c->ctx, rc, "cannot connect to '%s': %s (error %u)", where, mysql_error(c->my),
                     error);
}

static int connect_to(struct my_conn *c, const struct my_login *l, const char *database)
{
    MYSQL *done = NULL;
    uint64_t end = now_ms() + (c->silence < CONNECT_MS ? c->silence : CONNECT_MS);
    int status = mysql_real_connect_start(&done, c->my, l->host, l->user, l->password, database,
                                          l->port, l->socket, CLIENT_REMEMBER_OPTIONS);
    while (status)
        status = mysql_real_connect_cont(&done, c->my, happened(c, status, end));
    return done ? BAKE_OK : refused(c, l, database);
}

static int check_server(struct my_conn *c, const struct my_login *l)
{
    char where[400];
    where_of(l, where, sizeof(where));
    const char *info = mysql_get_server_info(c->my);
    c->version = mysql_get_server_version(c->my);
    c->mariadb = info && strstr(info, "MariaDB");
    if (!c->mariadb)
        return bake_fail(c->ctx, BAKE_E_UNSUPPORTED, "server '%s' is no MariaDB (version '%s')",
                         where, info ? info : "unknown");
    if ((l->tls == MY_TLS_REQUIRED || l->tls == MY_TLS_VERIFY) && !mysql_get_ssl_cipher(c->my))
        return bake_fail(c->ctx, BAKE_E_CONFIG, "server '%s' offers no TLS, which 'tls' demands",
                         where);
    return BAKE_OK;
}

int my_conn_open(struct bake_ctx *ctx, const struct my_config *cfg, const struct my_place *place,
                 const char *database, struct my_conn *ret)
{
    struct my_login login;
    *ret = (struct my_conn){.ctx = ctx, .silence = cfg->timeout ? cfg->timeout : 600000};
    if (my_login_make(cfg, place, &login) != BAKE_OK)
        return my_nomem(ctx);
    ret->my = mysql_init(NULL);
    int rc = ret->my ? set_options(ret, &login) : my_nomem(ctx);
    if (rc == BAKE_OK)
        rc = connect_to(ret, &login, database);
    if (rc == BAKE_OK)
        rc = check_server(ret, &login);
    my_login_release(&login);
    if (rc != BAKE_OK)
        my_conn_close(ret);
    return rc;
}

void my_conn_close(struct my_conn *c)
{
    if (c->my)
        mysql_close(c->my);
    c->my = NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

int my_try(struct my_conn *c, MYSQL_RES **ret, const char *sql)
{
    int failed = 1;
    MYSQL_RES *result = NULL;
    if (ret)
        *ret = NULL;
    if (c->broken)
        return c->broken;
    uint64_t end = now_ms() + c->silence;
    int status = mysql_real_query_start(&failed, c->my, sql, strlen(sql));
    while (status)
        status = mysql_real_query_cont(&failed, c->my, happened(c, status, end));
    if (failed)
        return c->broken ? c->broken : my_rc_of_errno(mysql_errno(c->my));
    end = now_ms() + c->silence;
    status = mysql_store_result_start(&result, c->my);
    while (status)
        status = mysql_store_result_cont(&result, c->my, happened(c, status, end));
    if (!result && mysql_errno(c->my))
        return c->broken ? c->broken : my_rc_of_errno(mysql_errno(c->my));
    if (ret)
        *ret = result;
    else
        mysql_free_result(result);
    return BAKE_OK;
}

int my_query(struct my_conn *c, MYSQL_RES **ret, const char *what, const char *sql)
{
    return my_try(c, ret, sql) == BAKE_OK ? BAKE_OK : said(c, what);
}

int my_queryf(struct my_conn *c, MYSQL_RES **ret, const char *what, const char *fmt, ...)
{
    char *sql = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&sql, fmt, ap);
    va_end(ap);
    if (n < 0)
        return my_nomem(c->ctx);
    int rc = my_query(c, ret, what, sql);
    free(sql);
    return rc;
}

int my_value(struct my_conn *c, char **ret, const char *what, const char *sql)
{
    MYSQL_RES *result = NULL;
    int rc = my_query(c, &result, what, sql);
    if (rc != BAKE_OK)
        return rc;
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    *ret = strdup(row && row[0] ? row[0] : "");
    mysql_free_result(result);
    return *ret ? BAKE_OK : my_nomem(c->ctx);
}

char *my_quoted(const char *name)
{
    char *out = malloc(2 * strlen(name) + 3), *to = out;
    if (!out)
        return NULL;
    *to++ = '`';
    for (; *name; name++) {
        if (*name == '`')
            *to++ = '`';
        *to++ = *name;
    }
    *to++ = '`';
    *to = '\0';
    return out;
}

char *my_literal(struct my_conn *c, const char *text)
{
    size_t n = strlen(text);
    char *out = malloc(2 * n + 3);
    if (!out)
        return NULL;
    out[0] = '\'';
    n = mysql_real_escape_string(c->my, out + 1, text, (unsigned long)n);
    out[n + 1] = '\'';
    out[n + 2] = '\0';
    return out;
}
