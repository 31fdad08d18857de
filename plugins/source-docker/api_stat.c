/* What lies at a path of a container. */
#include "api_impl.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

bool dk_archive_of(struct dk_api *api, const char *id, const char *path, const char *doing,
                   char **ret_path, char **ret_what)
{
    char *q_id = dk_quote(id), *q_path = dk_quote(path);
    if (!q_id || !q_path || asprintf(ret_path, "/containers/%s/archive?path=%s", q_id, q_path) < 0)
        *ret_path = NULL;
    size_t n = strlen(path);
    if (n > 2 && strcmp(path + n - 2, "/.") == 0)
        n -= 2; /* that is how a directory's content is asked for */
    if (asprintf(ret_what, "%s '%.*s' of container '%s'", doing, (int)n, path,
                 dk_called(api, id).text) < 0)
        *ret_what = NULL;
    free(q_id);
    free(q_path);
    return *ret_path && *ret_what;
}

uint32_t dk_mode_of_go(uint64_t mode)
{
    static const struct {
        uint64_t go;
        uint32_t unix_mode;
    } bits[] = {{1U << 23, S_ISUID}, {1U << 22, S_ISGID}, {1U << 20, S_ISVTX}};
    uint32_t m = (uint32_t)(mode & 0777);
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
        if (mode & bits[i].go)
            m |= bits[i].unix_mode;
    if (mode & (1U << 31))
        return m | S_IFDIR;
    if (mode & (1U << 27))
        return m | S_IFLNK;
    if (mode & (1U << 26))
        return m | (mode & (1U << 21) ? S_IFCHR : S_IFBLK);
    if (mode & (1U << 25))
        return m | S_IFIFO;
    return m | (mode & (1U << 24) ? S_IFSOCK : S_IFREG);
}

/* Two or more digits; false: something else stands there. */
static bool digits(const char **at, int n, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return false;
        *ret = *ret * 10 + ((*at)[i] - '0');
    }
    *at += n;
    return true;
}

static bool zone(const char **at, int *ret_seconds)
{
    int h, m, sign = **at == '-' ? -1 : 1;
    *ret_seconds = 0;
    if (**at == 'Z') {
        (*at)++;
        return true;
    }
    if (**at != '+' && **at != '-')
        return false;
    (*at)++;
    if (!digits(at, 2, &h) || *(*at)++ != ':' || !digits(at, 2, &m))
        return false;
    *ret_seconds = sign * (h * 3600 + m * 60);
    return true;
}

bool dk_time_of(const char *s, int64_t *ret_ns)
{
    struct tm tm = {.tm_isdst = 0};
    int64_t ns = 0;
    int offset;
    if (!digits(&s, 4, &tm.tm_year) || *s++ != '-' || !digits(&s, 2, &tm.tm_mon) || *s++ != '-' ||
        !digits(&s, 2, &tm.tm_mday) || *s++ != 'T' || !digits(&s, 2, &tm.tm_hour) || *s++ != ':' ||
        !digits(&s, 2, &tm.tm_min) || *s++ != ':' || !digits(&s, 2, &tm.tm_sec))
        return false;
    if (*s == '.') {
        int64_t unit = 100000000;
        for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10)
            ns += (*s - '0') * unit;
    }
    if (!zone(&s, &offset) || *s != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = (int64_t)timegm(&tm) - offset;
    if (seconds > INT64_MAX / 1000000000 - 1 || seconds < INT64_MIN / 1000000000 + 1)
        return false;
    *ret_ns = seconds * 1000000000 + ns;
    return true;
}

static json_t *decode(const char *header)
{
    size_t n = strlen(header);
    unsigned char *text = malloc(n + 4);
    json_t *j = NULL;
    int got =
        text && n <= 1U << 20 ? EVP_DecodeBlock(text, (const unsigned char *)header, (int)n) : -1;
    /* the padding came out as zeros */
    while (got > 0 && text[got - 1] == '\0')
        got--;
    if (got > 0)
        j = json_loadb((const char *)text, (size_t)got, JSON_ALLOW_NUL, NULL);
    free(text);
    return j;
}

int dk_stat_parse(const char *header, struct dk_stat *ret)
{
    json_t *j = decode(header);
    const char *name = json_string_value(json_object_get(j, "name"));
    const char *link = json_string_value(json_object_get(j, "linkTarget"));
    const char *mtime = json_string_value(json_object_get(j, "mtime"));
    const json_t *mode = json_object_get(j, "mode"), *size = json_object_get(j, "size");
    int rc = BAKE_E_IO;

    *ret = (struct dk_stat){.name = NULL};
    if (name && mtime && json_is_integer(mode) && json_is_integer(size) &&
        json_integer_value(size) >= 0 && dk_time_of(mtime, &ret->mtime_ns)) {
        ret->size = (uint64_t)json_integer_value(size);
        ret->mode = dk_mode_of_go((uint64_t)json_integer_value(mode));
        ret->name = strdup(name);
        ret->link = strdup(link ? link : "");
        rc = ret->name && ret->link ? BAKE_OK : BAKE_E_NOMEM;
    }
    json_decref(j);
    if (rc != BAKE_OK)
        dk_stat_release(ret);
    return rc;
}

void dk_stat_release(struct dk_stat *st)
{
    free(st->name);
    free(st->link);
    st->name = st->link = NULL;
}

int dk_archive_stat(struct dk_api *api, struct bake_ctx *ctx, const char *id, const char *path,
                    struct dk_stat *ret)
{
    struct dk_ask a = {.method = "HEAD"};
    char *target = NULL, *what = NULL;
    int rc = dk_archive_of(api, id, path, "look at", &target, &what) ? BAKE_OK : dk_nomem(ctx);
    a.path = target;
    a.what = what;
    if (rc == BAKE_OK)
        rc = dk_ask_open(api, ctx, &a);
    if (rc == BAKE_OK && (rc = bkc_call_answer(a.call)) != BAKE_OK)
        rc = dk_ask_broken(api, ctx, &a, rc);
    if (rc == BAKE_OK && bkc_call_status(a.call) == 404) /* a HEAD has no text */
        rc = bake_fail(ctx, BAKE_E_NOTFOUND, "cannot %s: there is no such path or container", what);
    else if (rc == BAKE_OK)
        rc = dk_ask_answer(api, ctx, &a);
    if (rc == BAKE_OK) {
        const char *header = bkc_call_header(a.call, "X-Docker-Container-Path-Stat");
        rc = header ? dk_stat_parse(header, ret) : BAKE_E_IO;
        if (rc != BAKE_OK)
            rc = bake_fail(ctx, rc, "cannot %s: docker's answer says nothing of it", what);
    }
    dk_ask_close(&a);
    free(target);
    free(what);
    return rc;
}
