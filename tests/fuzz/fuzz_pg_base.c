/* Feeds bytes to what reads a base backup: the first byte says whether they are headers of the
 * server's tar or a manifest. A manifest in one piece and in pieces must come to the same. */
#include "base_json.h"
#include "base_tar.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fail(struct bake_ctx *ctx, int rc, const char *fmt, va_list ap)
{
    (void)ctx;
    (void)fmt;
    (void)ap;
    return rc;
}

struct outcome {
    int rc;
    uint64_t items, bytes;
    bool whole;
};

static int each(void *arg, const struct pg_manifest_item *item)
{
    struct outcome *o = arg;
    o->items++;
    o->bytes += item->size + strlen(item->path);
    return BAKE_OK;
}

static struct outcome read_manifest(const uint8_t *data, size_t n, size_t piece)
{
    static const struct bake_host host = {.struct_size = sizeof(host), .vfail = fail};
    struct bake_ctx ctx = {&host};
    struct outcome o = {0};
    struct pg_json *json = NULL;
    const unsigned char none[32] = {0};
    const char *why = NULL;
    if (pg_json_new(&ctx, each, &o, &json) != BAKE_OK)
        abort();
    for (size_t at = 0; o.rc == BAKE_OK && at < n; at += piece)
        o.rc = pg_json_feed(json, (const char *)data + at, n - at < piece ? n - at : piece);
    o.whole = o.rc == BAKE_OK && pg_json_whole(json, none, &why);
    if (o.rc != BAKE_OK && o.rc != BAKE_E_CORRUPT)
        abort();
    pg_json_free(json);
    return o;
}

/* Relative, normal, below the root. */
static void check_path(const char *path)
{
    if (strcmp(path, ".") == 0)
        return;
    for (const char *part = path;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            abort();
        part += n;
        if (!*part)
            return;
    }
}

static void read_head(const uint8_t *data, size_t n)
{
    unsigned char block[PG_TAR_BLOCK] = {0};
    struct pg_tar_head head;
    const char *why = NULL;
    memcpy(block, data, n < sizeof(block) ? n : sizeof(block));
    unsigned sum = 0; /* a right sum, so that what is behind it is reached */
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(block); i++)
        sum += block[i];
    for (int i = 5; i >= 0; i--, sum >>= 3)
        block[148 + i] = (unsigned char)('0' + (sum & 7));
    block[154] = '\0';
    if (pg_tar_head(block, &head, &why) != BAKE_OK) {
        if (!why)
            abort();
        return;
    }
    if (head.type != 0)
        check_path(head.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t how = data[0];
    data++;
    size--;
    if (how & 1) {
        read_head(data, size);
        return 0;
    }
    struct outcome a = read_manifest(data, size, size);
    struct outcome b = read_manifest(data, size, (size_t)(how >> 1) % 31 + 1);
    if (a.rc != b.rc || a.items != b.items || a.bytes != b.bytes || a.whole != b.whole)
        abort();
    return 0;
}
