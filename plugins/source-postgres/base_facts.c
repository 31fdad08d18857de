/* What the manifest of a backup says of a base backup. */
#include "base_facts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BOOTSTRAP "select rolname from pg_roles where oid = 10 and rolcanlogin"
#define MOMENT                                                                                     \
    "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

/* ---- written --------------------------------------------------------------------------------- */

static char *own_time(void)
{
    struct timespec now;
    struct tm tm;
    char text[64];
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || !gmtime_r(&now.tv_sec, &tm))
        return NULL;
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text + n, sizeof(text) - n, ".%06ldZ", now.tv_nsec / 1000);
    return strdup(text);
}

/* The server's clock, and its first superuser, whom a throw-away copy of it is asked as. */
static int ask(struct pg_source *src, struct bake_ctx *ctx, char **ret_end, char **ret_superuser)
{
    struct pg_conn conn = {0};
    int rc = pg_conn_open(ctx, src->cfg, NULL, NULL, &conn);
    if (rc == BAKE_OK) {
        rc = pg_value(&conn, ret_end, "ask for the time", MOMENT, 0, NULL);
        if (rc == BAKE_OK)
            rc = pg_value(&conn, ret_superuser, "ask for the first user", BOOTSTRAP, 0, NULL);
        pg_conn_close(&conn);
    }
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    if (!*ret_end || !**ret_end) {
        bake_report(ctx, BAKE_NOTICE, "base",
                    "the server could not be asked for the time, so this host's stands for the "
                    "backup's end");
        free(*ret_end);
        *ret_end = own_time();
    }
    return *ret_end ? BAKE_OK : bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
}

static json_t *tablespaces(const struct pg_base_info *info)
{
    json_t *all = json_object();
    for (size_t i = 0; all && i < info->n_tablespaces; i++)
        if (json_object_set_new(all, info->tablespaces[i].oid,
                                json_string(info->tablespaces[i].path)) != 0) {
            json_decref(all);
            return NULL;
        }
    return all;
}

static json_t *object_of(const struct pg_base_info *info, uint64_t files, const char *end,
                         const char *superuser, const char *from)
{
    json_t *spaces = tablespaces(info);
    json_t *wal = json_pack("{s:s, s:s, s:s}", "stream", info->system_id, "from", from, "end", end);
    char version[24];
    (void)snprintf(version, sizeof(version), "%d.%d", info->version / 10000, info->version % 10000);
    json_t *all =
        json_pack("{s:s, s:i, s:s, s:I, s:s, s:s, s:I, s:I, s:o*, s:o*}", "server_version", version,
                  "server_version_num", info->version, "system_identifier", info->system_id,
                  "timeline", (json_int_t)info->timeline, "start_lsn", info->start_lsn, "end_lsn",
                  info->end_lsn, "segment_size", (json_int_t)info->segment_size, "files",
                  (json_int_t)files, "wal", wal, "tablespaces", spaces);
    const json_t *sums = json_object_get(info->settings, "data_checksums");
    if (all && sums)
        (void)json_object_set_new(all, "data_checksums",
                                  json_boolean(strcmp(json_string_value(sums), "on") == 0));
    const json_t *standby = json_object_get(info->settings, "in_hot_standby");
    if (all && standby)
        (void)json_object_set_new(all, "replica",
                                  json_boolean(strcmp(json_string_value(standby), "on") == 0));
    if (all && superuser && *superuser)
        (void)json_object_set_new(all, "superuser", json_string(superuser));
    if (all && json_object_size(info->settings) > 0)
        (void)json_object_set(all, "settings", info->settings);
    return all;
}

int pg_base_facts(struct pg_source *src, struct bake_ctx *ctx, const struct pg_base_info *info,
                  uint64_t files, char **ret)
{
    char from[PG_SEGMENT_NAME];
    char *end = NULL, *superuser = NULL;
    if (pg_segment_of(info->start_lsn, info->timeline, info->segment_size, from) != BAKE_OK)
        return bake_fail(ctx, BAKE_E_IO, "the server's position '%s' is not understood",
                         info->start_lsn);
    int rc = ask(src, ctx, &end, &superuser);
    if (rc == BAKE_OK) {
        json_t *all = object_of(info, files, end, superuser, from);
        char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
        json_decref(all);
        if (text) {
            free(*ret);
            *ret = text;
        } else {
            rc = bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
        }
    }
    free(end);
    free(superuser);
    return rc;
}

/* ---- read back ------------------------------------------------------------------------------- */

static bool oid(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n <= 10 && text[n] == '\0';
}

static int known_tablespaces(struct pg_base_known *k, json_t *all)
{
    const char *key;
    json_t *value;
    k->tablespaces = calloc(json_object_size(all) + 1, sizeof(*k->tablespaces));
    if (!k->tablespaces)
        return BAKE_E_NOMEM;
    json_object_foreach(all, key, value)
    {
        if (!oid(key) || !json_is_string(value) || !*json_string_value(value))
            return BAKE_E_CORRUPT;
        /* jansson's strings live as long as the object, and are not changed */
        k->tablespaces[k->n_tablespaces++] = (struct pg_tablespace){
            (char *)(uintptr_t)key, (char *)(uintptr_t)json_string_value(value)};
    }
    return BAKE_OK;
}

static int understand(struct pg_base_known *k)
{
    const json_t *all = k->json;
    json_t *wal = json_object_get(all, "wal");
    k->version = (int)json_integer_value(json_object_get(all, "server_version_num"));
    k->system_id = json_string_value(json_object_get(all, "system_identifier"));
    k->start_lsn = json_string_value(json_object_get(all, "start_lsn"));
    k->end_lsn = json_string_value(json_object_get(all, "end_lsn"));
    k->superuser = json_string_value(json_object_get(all, "superuser"));
    k->timeline = (uint32_t)json_integer_value(json_object_get(all, "timeline"));
    k->segment_size = (uint64_t)json_integer_value(json_object_get(all, "segment_size"));
    k->from = json_string_value(json_object_get(wal, "from"));
    k->end = json_string_value(json_object_get(wal, "end"));
    k->settings = json_object_get(all, "settings");
    if (k->version < 150000 || !k->system_id || !k->start_lsn || !k->end_lsn || !k->from ||
        !k->end || k->timeline == 0 || k->segment_size == 0)
        return BAKE_E_CORRUPT;
    return known_tablespaces(k, json_object_get(all, "tablespaces"));
}

int pg_base_known(struct bake_ctx *ctx, const char *text, struct pg_base_known *ret)
{
    struct pg_base_known k = {.json = json_loads(text ? text : "", JSON_REJECT_DUPLICATES, NULL)};
    int rc = k.json ? understand(&k) : BAKE_E_CORRUPT;
    if (rc == BAKE_OK) {
        *ret = k;
        return BAKE_OK;
    }
    pg_base_known_release(&k);
    return bake_fail(ctx, rc,
                     rc == BAKE_E_NOMEM ? "out of memory"
                                        : "what is recorded of the base backup is not understood");
}

void pg_base_known_release(struct pg_base_known *k)
{
    json_decref(k->json);
    free(k->tablespaces);
    memset(k, 0, sizeof(*k));
}
