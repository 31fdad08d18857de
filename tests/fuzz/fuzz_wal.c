/* Feeds bytes to what reads the log archive's clear header, and PostgreSQL's names and histories
 * (the first byte chooses). A header that is taken is written again and must be the same bytes. */
#include "run/wal_name.h"
#include "store/wal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void head(const uint8_t *data, size_t size)
{
    struct bk_wal_head h;
    struct bk_buf b = BK_BUF_INIT;
    struct bk_err err = {0};

    if (bk_wal_head_parse(data, size, &h, &err) != BAKE_OK)
        return;
    bk_wal_head_write(&h.transforms, &b);
    if (b.failed || h.size > size || b.len != h.size || memcmp(b.data, data, b.len) != 0)
        abort();
    bk_buf_free(&b);
    bk_strv_free(&h.transforms);
}

static void name(const char *text)
{
    struct bk_pg_name n;
    char archived[BK_PG_NAME_CAP], again[BK_PG_NAME_CAP];
    uint64_t number;

    if (!bk_pg_name_parse(text, &n))
        return;
    bk_pg_archived_name(&n, text, archived);
    if (!bk_pg_archived_parse(archived, &n) || !bk_wal_name_ok(archived))
        abort();
    if (n.kind != BK_PG_SEGMENT || !bk_pg_number(&n, BK_PG_SEGMENT_SIZE, &number))
        return;
    bk_pg_segment_name(n.timeline, number, BK_PG_SEGMENT_SIZE, again);
    if (strcmp(again, text) != 0)
        abort();
}

static void history(const char *text)
{
    uint32_t timeline;
    uint64_t position;

    if (bk_pg_parent(text, &timeline, &position) && timeline == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0)
        return 0;
    text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 3 == 0)
        head(data + 1, size - 1);
    else if (data[0] % 3 == 1)
        name(text);
    else
        history(text);
    free(text);
    return 0;
}
