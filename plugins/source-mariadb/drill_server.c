/* See drill.h: a server of its own on a socket in a private directory. */
#include "drill.h"

#include "tools.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCOUNT  "bakengine-restore"
#define PACE_MS  50
#define STOP_MS  120000
#define ARGS_MAX 64

/* ---- programs and a place -------------------------------------------------------------------- */

/* "10.11" of "10.11.19-MariaDB" */
static size_t series_length(const char *version)
{
    const char *dot = strchr(version, '.');
    return dot ? (size_t)(dot - version) + 1 + strspn(dot + 1, "0123456789") : strlen(version);
}

static unsigned long number_of(const char *version)
{
    unsigned long parts[2] = {0};
    for (size_t i = 0; i < 2; i++) {
        for (; *version >= '0' && *version <= '9' && parts[i] < 1000; version++)
            parts[i] = parts[i] * 10 + (unsigned long)(*version - '0');
        version += *version == '.';
    }
    return parts[0] * 10000 + parts[1] * 100;
}

static int find_server(struct my_restore *r, struct my_server *s, const char *series, bool newer)
{
    int rc = my_tool(r->ctx, r->cfg, "mariadbd", series ? number_of(series) : 0, &s->mariadbd,
                     &s->version);
    if (rc != BAKE_OK || !series)
        return rc;
    size_t n = series_length(series);
    if (series_length(s->version) == n && strncmp(s->version, series, n) == 0)
        return BAKE_OK;
    if (newer) {
        bake_report(r->ctx, BAKE_NOTICE, s->version,
                    "the server here is newer than that of the backup (%.*s)", (int)n, series);
        return BAKE_OK;
    }
    return bake_fail(r->ctx, BAKE_E_UNSUPPORTED,
                     "this backup needs a server of MariaDB %.*s; here is %s\n"
                     "HINT: install mariadb-server of that release, or name its directory by 'bin'",
                     (int)n, series, s->version);
}

static int make_secret(struct my_restore *r, struct my_server *s)
{
    unsigned char raw[16];
    char hex[33];
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return bake_fail(r->ctx, BAKE_E_IO, "cannot get random bytes: %s", strerror(errno));
    for (size_t i = 0; i < sizeof(raw); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", raw[i]);
    s->password = strdup(hex);
    s->user = strdup(ACCOUNT);
    s->socket = my_text("%s/s", bkc_scratch_path(s->room));
    s->data = my_text("%s/data", bkc_scratch_path(s->room));
    explicit_bzero(hex, sizeof(hex));
    if (!s->password || !s->user || !s->socket || !s->data)
        return my_nomem(r->ctx);
    if (strlen(s->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return bake_fail(
            r->ctx, BAKE_E_CONFIG,
            "'%s' is too long for a socket\nHINT: name a shorter directory by 'scratch'",
            s->socket);
    s->place = (struct my_place){.socket = s->socket, .user = s->user, .password = s->password};
    return BAKE_OK;
}

int my_server_new(struct my_restore *r, const char *what, const char *series, bool newer,
                  uint64_t needs, struct my_server **ret)
{
    struct bkc_scratch_spec spec = {.above = r->cfg->scratch,
                                    .what = what,
                                    .user = geteuid() == 0 ? r->cfg->owner : NULL,
                                    .needs = needs};
    struct my_server *s = calloc(1, sizeof(*s));
    if (!s)
        return my_nomem(r->ctx);
    int rc = find_server(r, s, series, newer);
    if (rc == BAKE_OK)
        rc = bkc_scratch_new(r->ctx, &spec, &s->room);
    if (rc == BAKE_OK)
        rc = make_secret(r, s);
    if (rc == BAKE_OK)
        *ret = s;
    else
        (void)my_server_end(s, r->ctx);
    return rc;
}

int my_server_install(struct my_restore *r, struct my_server *s)
{
    char *tool = NULL, *version = NULL, *data = my_text("--datadir=%s", s->data),
         *tmp = my_text("--tmpdir=%s", bkc_scratch_path(s->room));
    int rc = data && tmp ? my_tool(r->ctx, r->cfg, "mariadb-install-db", 0, &tool, &version)
                         : my_nomem(r->ctx);
    const char *argv[] = {tool,
                          "--no-defaults",
                          data,
                          tmp,
                          "--skip-test-db",
                          "--auth-root-authentication-method=normal",
                          "--innodb-log-file-size=8M",
                          "--innodb-flush-method=nosync",
                          NULL};
    struct bkc_child_spec spec = {.argv = argv,
                                  .directory = bkc_scratch_path(s->room),
                                  .user = geteuid() == 0 ? r->cfg->owner : NULL,
                                  .silence_ms = r->cfg->timeout};
    if (rc == BAKE_OK)
        rc = bkc_child_run(r->ctx, &spec, NULL, 1 << 20, NULL);
    free(tool);
    free(version);
    free(data);
    free(tmp);
    return rc;
}

/* ---- starting -------------------------------------------------------------------------------- */

/* The password as the server keeps it: no statement that it could log has the other. */
static bool hash_of(const char *password, char out[42])
{
    unsigned char one[EVP_MAX_MD_SIZE], two[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (!EVP_Digest(password, strlen(password), one, &n, EVP_sha1(), NULL) ||
        !EVP_Digest(one, n, two, &n, EVP_sha1(), NULL))
        return false;
    out[0] = '*';
    for (unsigned i = 0; i < n && i < 20; i++)
        (void)snprintf(out + 1 + 2 * (size_t)i, 3, "%02X", two[i]);
    return true;
}

/* What the server runs when it starts: nobody knows the passwords of those accounts that it has. */
static int write_init(struct my_restore *r, const struct my_server *s, const char *path)
{
    char hash[42] = "", *text = NULL;
    struct stat st;
    if (hash_of(s->password, hash))
        text = my_text("SET sql_log_bin = 0;\nCREATE OR REPLACE USER `" ACCOUNT "`@localhost "
                       "IDENTIFIED BY PASSWORD '%s';\nGRANT ALL ON *.* TO `" ACCOUNT
                       "`@localhost WITH GRANT OPTION;\n",
                       hash);
    if (!text)
        return my_nomem(r->ctx);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t n = strlen(text);
    bool good = fd >= 0 && write(fd, text, n) == (ssize_t)n &&
                stat(bkc_scratch_path(s->room), &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0;
    int e = errno;
    if (fd >= 0)
        (void)close(fd);
    free(text);
    return good ? BAKE_OK
                : bake_fail(r->ctx, e == ENOSPC ? BAKE_E_NOSPACE : BAKE_E_IO,
                            "cannot write '%s': %s", path, strerror(e));
}

struct args {
    const char *list[ARGS_MAX];
    char *owned[ARGS_MAX];
    size_t n, n_owned;
    bool failed;
};

static void own(struct args *a, char *text)
{
    if (!text || a->n_owned == ARGS_MAX || a->n + 1 >= ARGS_MAX) {
        free(text);
        a->failed = true;
        return;
    }
    a->owned[a->n_owned++] = text;
    a->list[a->n++] = text;
}

/* What a copy of a server's files can only be opened with: mariadb-backup wrote it beside them. */
static void settings_of(struct args *a, const char *data)
{
    static const char *const known[] = {"innodb_page_size", "innodb_data_file_path",
                                        "innodb_undo_tablespaces", "innodb_log_file_size",
                                        "innodb_checksum_algorithm"};
    char line[300], *path = my_text("%s/backup-my.cnf", data);
    FILE *f = path ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof(line), f)) {
        char *value = strchr(line, '=');
        if (!value)
            continue;
        *value++ = '\0';
        value[strcspn(value, "\r\n")] = '\0';
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (strcmp(line, known[i]) == 0 && *value &&
                !value[strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789_:.;-")])
                own(a, my_text("--loose-%s=%s", line, value));
    }
    if (f)
        (void)fclose(f);
    free(path);
}

static void fill(struct args *a, const struct my_server *s, const char *data)
{
    static const char *const always[] = {"--skip-networking",
                                         "--skip-log-bin",
                                         "--event-scheduler=OFF",
                                         "--skip-slave-start",
                                         "--loose-strict-password-validation=OFF",
                                         "--performance-schema=OFF",
                                         "--innodb-flush-method=nosync",
                                         "--innodb-flush-log-at-trx-commit=0",
                                         "--innodb-buffer-pool-size=128M",
                                         "--max-allowed-packet=1G",
                                         "--character-set-server=utf8mb4",
                                         "--gtid-strict-mode=OFF",
                                         "--log-warnings=1"};
    const char *room = bkc_scratch_path(s->room);
    own(a, strdup(s->mariadbd));
    own(a, strdup("--no-defaults"));
    settings_of(a, data);
    own(a, my_text("--datadir=%s", data));
    own(a, my_text("--socket=%s", s->socket));
    own(a, my_text("--tmpdir=%s", room));
    own(a, my_text("--pid-file=%s/pid", room));
    own(a, my_text("--init-file=%s/init.sql", room));
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
        own(a, strdup(always[i]));
}

/* Not before it knows the account, which it is told after it listens. */
static bool accepts(struct my_restore *r, const struct my_server *s)
{
    struct my_hush hush;
    struct my_conn c = {0};
    if (access(s->socket, F_OK) != 0)
        return false;
    my_hush(&hush, r->ctx);
    bool good = my_conn_open(&hush.ctx, r->cfg, &s->place, NULL, &c) == BAKE_OK;
    my_conn_close(&c);
    return good;
}

/* The last line that says why. */
static int ended(struct my_restore *r, const struct my_server *s, const char *what)
{
    char *log = bkc_scratch_log(s->room), *why = NULL, *last = NULL;
    for (char *line = log, *next; line && *line; line = next) {
        size_t n = strcspn(line, "\n");
        next = line + n + (line[n] == '\n');
        line[n] = '\0';
        last = n ? line : last;
        why = strstr(line, "[ERROR]") && !strstr(line, "Aborting") && !why ? line : why;
    }
    int rc = bake_fail(r->ctx, BAKE_E_CHILD, "%s: %s", what,
                       why    ? why
                       : last ? last
                              : "it said nothing");
    free(log);
    return rc;
}

static int await(struct my_restore *r, const struct my_server *s)
{
    int64_t since = my_now_ms(), limit = r->cfg->timeout ? (int64_t)r->cfg->timeout : 600000;
    while (!accepts(r, s)) {
        int rc = r->ctx->host->sleep_ms(r->ctx, PACE_MS);
        if (rc != BAKE_OK)
            return rc;
        if (!bkc_scratch_alive(s->room))
            return ended(r, s, "the throw-away server did not start");
        if (my_now_ms() - since > limit)
            return ended(r, s, "the throw-away server took too long to start");
    }
    return BAKE_OK;
}

int my_server_start(struct my_restore *r, struct my_server *s, const char *data)
{
    struct args a = {0};
    char *init = my_text("%s/init.sql", bkc_scratch_path(s->room));
    int rc = init ? write_init(r, s, init) : my_nomem(r->ctx);
    if (rc == BAKE_OK) {
        fill(&a, s, data ? data : s->data);
        rc = a.failed ? my_nomem(r->ctx) : bkc_scratch_serve(s->room, r->ctx, a.list, NULL);
    }
    for (size_t i = 0; i < a.n_owned; i++)
        free(a.owned[i]);
    if (rc == BAKE_OK) {
        s->started = true;
        rc = await(r, s);
    }
    if (init)
        (void)unlink(init);
    free(init);
    return rc;
}

/* ---- ending ---------------------------------------------------------------------------------- */

int my_server_stop(struct my_restore *r, struct my_server *s)
{
    struct my_conn c = {0};
    int rc = my_conn_open(r->ctx, r->cfg, &s->place, NULL, &c);
    if (rc != BAKE_OK)
        return rc;
    rc = my_query(&c, NULL, "cannot remove the restore's account",
                  "DROP USER `" ACCOUNT "`@localhost");
    if (rc == BAKE_OK)
        rc = my_query(&c, NULL, "cannot stop the server", "SHUTDOWN");
    my_conn_close(&c);
    for (int64_t since = my_now_ms(); rc == BAKE_OK && bkc_scratch_alive(s->room);) {
        rc = r->ctx->host->sleep_ms(r->ctx, PACE_MS);
        if (rc == BAKE_OK && my_now_ms() - since > STOP_MS)
            rc = bake_fail(r->ctx, BAKE_E_TIMEOUT, "the throw-away server does not stop");
    }
    return rc;
}

int my_server_end(struct my_server *s, struct bake_ctx *ctx)
{
    if (!s)
        return BAKE_OK;
    /* nothing in it is needed any more */
    int rc = bkc_scratch_end(s->room, ctx, SIGKILL, 5000);
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    free(s->user);
    free(s->socket);
    free(s->data);
    free(s->mariadbd);
    free(s->version);
    free(s);
    return rc;
}
