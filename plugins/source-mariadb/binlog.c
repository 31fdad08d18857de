/* See binlog.h. */
#include "binlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- names ----------------------------------------------------------------------------------- */

static const char *number_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : "";
}

bool my_binlog_name(const char *name)
{
    const char *number = number_of(name);
    if (!*number || number[strspn(number, "0123456789")] || strlen(name) > 200 || *name == '.')
        return false;
    return !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                              "0123456789-_.")];
}

int my_binlog_compare(const char *a, const char *b)
{
    const char *x = number_of(a), *y = number_of(b);
    x += strspn(x, "0");
    y += strspn(y, "0");
    size_t n = strlen(x), m = strlen(y);
    int order = n == m ? strcmp(x, y) : n < m ? -1 : 1;
    return order ? order : strcmp(a, b);
}

/* ---- the server's ---------------------------------------------------------------------------- */

static int add(struct my_conn *c, struct my_binlog_list *b, MYSQL_ROW row)
{
    struct my_binlog *items = realloc(b->items, (b->n + 1) * sizeof(*items));
    if (!items)
        return my_nomem(c->ctx);
    b->items = items;
    if (!row[0] || !my_binlog_name(row[0]))
        return bake_fail(c->ctx, BAKE_E_UNSUPPORTED, "a binary log is called '%s'",
                         row[0] ? row[0] : "");
    items[b->n] = (struct my_binlog){strdup(row[0]), 0};
    for (const char *p = row[1] ? row[1] : ""; *p >= '0' && *p <= '9'; p++)
        items[b->n].size = items[b->n].size * 10 + (uint64_t)(*p - '0');
    return items[b->n++].name ? BAKE_OK : my_nomem(c->ctx);
}

int my_binlogs_list(struct my_conn *c, struct my_binlog_list *ret)
{
    MYSQL_RES *r = NULL;
    *ret = (struct my_binlog_list){0};
    int rc = my_query(c, &r, "cannot list the binary logs", "SHOW BINARY LOGS");
    for (MYSQL_ROW row; rc == BAKE_OK && (row = mysql_fetch_row(r));)
        rc = add(c, ret, row);
    mysql_free_result(r);
    if (rc != BAKE_OK)
        my_binlogs_release(ret);
    return rc;
}

void my_binlogs_release(struct my_binlog_list *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->items[i].name);
    free(b->items);
    *b = (struct my_binlog_list){0};
}

const struct my_binlog *my_binlogs_find(const struct my_binlog_list *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->items[i].name, name) == 0)
            return &b->items[i];
    return NULL;
}

/* ---- the store's ----------------------------------------------------------------------------- */

static int one_stored(void *arg, const char *name, uint64_t size)
{
    struct my_stored *s = arg;
    (void)size;
    if (!my_binlog_name(name))
        return 0;
    char **names = realloc(s->names, (s->n + 1) * sizeof(*names));
    if (!names)
        return BAKE_E_NOMEM;
    s->names = names;
    if (!(names[s->n] = strdup(name)))
        return BAKE_E_NOMEM;
    if (!s->least || my_binlog_compare(name, s->least) < 0)
        s->least = names[s->n];
    if (!s->most || my_binlog_compare(name, s->most) > 0)
        s->most = names[s->n];
    s->n++;
    return 0;
}

int my_stored_list(struct bake_ctx *ctx, const char *stream, struct my_stored *ret)
{
    *ret = (struct my_stored){0};
    int rc = ctx->host->log_list(ctx, stream, one_stored, ret);
    if (rc != BAKE_OK)
        my_stored_release(ret);
    return rc == BAKE_E_NOMEM ? my_nomem(ctx) : rc;
}

void my_stored_release(struct my_stored *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->names[i]);
    free(s->names);
    *s = (struct my_stored){0};
}

bool my_stored_has(const struct my_stored *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0)
            return true;
    return false;
}

/* ---- files ----------------------------------------------------------------------------------- */

int my_binlog_check(struct bake_ctx *ctx, const char *path, const char *name, uint64_t size)
{
    static const unsigned char magic[4] = {0xfe, 'b', 'i', 'n'};
    unsigned char head[4] = {0};
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return bake_fail(ctx, BAKE_E_IO, "binary log '%s' did not come: %s", name, strerror(errno));
    ssize_t got = read(fd, head, sizeof(head));
    int bad = fstat(fd, &st);
    (void)close(fd);
    if (bad || got != (ssize_t)sizeof(head) || memcmp(head, magic, sizeof(magic)) != 0)
        return bake_fail(ctx, BAKE_E_CORRUPT, "what came as binary log '%s' is none", name);
    if (size && (uint64_t)st.st_size != size)
        return bake_fail(ctx, BAKE_E_CORRUPT, "of binary log '%s' came %llu bytes instead of %llu",
                         name, (unsigned long long)st.st_size, (unsigned long long)size);
    return BAKE_OK;
}

int my_binlog_keep(struct bake_ctx *ctx, const char *stream, const char *name, const char *path)
{
    int rc = ctx->host->log_put(ctx, stream, name, path);
    if (rc == BAKE_E_EXISTS)
        return bake_fail(ctx, rc,
                         "binary log '%s' of '%s' is in the store already, with other bytes\n"
                         "HINT: after RESET MASTER the numbers begin anew: remove the old logs "
                         "(wal/%s), and make a full backup",
                         name, stream, stream);
    return rc;
}
