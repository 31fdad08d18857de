/* Names of objects. */
#include "store/layout.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

const char *bk_format_name(enum bk_format_id format)
{
    switch (format) {
    case BK_FORMAT_ARCHIVE:
        return "archive";
    case BK_FORMAT_REPOSITORY:
        return "repository";
    }
    return "?";
}

int bk_make_id(const char *pipeline, int64_t start_ns, char ret[BK_ID_CAP], struct bk_err *err)
{
    unsigned char random[3];
    char hex[2 * sizeof(random) + 1], stamp[BK_TIME_CAP];
    int rc = bk_random(random, sizeof(random), err);

    if (rc < 0)
        return rc;
    bk_hex(random, sizeof(random), hex);
    (void)snprintf(ret, BK_ID_CAP, "%s-%s-%s", pipeline, bk_format_stamp(stamp, start_ns), hex);
    return BAKE_OK;
}

bool bk_id_ok(const char *id)
{
    size_t n = strlen(id);

    if (n == 0 || n >= BK_ID_CAP || id[0] == '.' || id[0] == '-')
        return false;
    return strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

char *bk_backup_object(const char *id, const char *rest)
{
    return bk_asprintf(BK_BACKUPS "%s/%s", id, rest);
}

char *bk_object_safe(const char *component)
{
    struct bk_buf b = BK_BUF_INIT;

    for (const unsigned char *p = (const unsigned char *)component; *p; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '%' || *p == '\\')
            bk_buf_printf(&b, "%%%02X", *p);
        else
            bk_buf_char(&b, (char)*p);
    }
    return bk_buf_take(&b);
}
