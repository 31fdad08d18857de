/* Lists of packs as text. */
#include "store/packlist.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

#define LINE       (2 * sizeof(bk_id) + 1)
#define LIST_LIMIT (1024u << 20)

int bk_packlist_write(const bk_id *ids, size_t n, struct bk_buf *out, struct bk_err *err)
{
    char hex[LINE];

    for (size_t i = 0; i < n; i++) {
        bk_hex(ids[i].b, sizeof(ids[i].b), hex);
        bk_buf_str(out, hex);
        bk_buf_str(out, "\n");
    }
    return out->failed ? bk_nomem(err) : BAKE_OK;
}

static bool parse_line(const char *line, bk_id *ret)
{
    char hex[LINE];

    if (line[LINE - 1] != '\n')
        return false;
    memcpy(hex, line, LINE - 1);
    hex[LINE - 1] = '\0';
    return bk_unhex(hex, ret->b, sizeof(ret->b));
}

int bk_packlist_parse(const char *text, size_t n, bk_id **ret, size_t *ret_n, struct bk_err *err)
{
    size_t count = n / LINE;
    bk_id *ids = malloc(count * sizeof(*ids) + 1);
    bool ok = n % LINE == 0;

    if (!ids)
        return bk_nomem(err);
    for (size_t i = 0; ok && i < count; i++)
        ok = parse_line(text + i * LINE, &ids[i]) &&
             (i == 0 || memcmp(ids[i - 1].b, ids[i].b, sizeof(bk_id)) < 0);
    if (!ok) {
        free(ids);
        return bk_fail(err, BAKE_E_CORRUPT, "a list of packs is damaged");
    }
    *ret = ids;
    *ret_n = count;
    return BAKE_OK;
}

int bk_packlist_get(struct bk_sink *sink, const struct bk_manifest *m, bk_id **ret, size_t *ret_n,
                    struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    char *name BK_FREE = bk_backup_object(m->id, BK_PACKS_NAME);
    char hex[BK_SHA256_HEX];
    int rc;

    if (!name)
        return bk_nomem(err);
    if (!m->packs_sha256[0])
        return bk_fail(err, BAKE_E_CORRUPT, "%s: the manifest of '%s' names no list of packs",
                       sink->label, m->id);
    rc = bk_sink_get(sink, name, LIST_LIMIT, &text, err);
    if (rc == BAKE_E_NOTFOUND)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: object '%s' is missing", sink->label, name);
    if (rc < 0)
        return rc;
    if (bk_sha256_hex_of(text.data ? text.data : "", text.len, hex) < 0)
        return bk_nomem(err);
    if (!bk_streq(hex, m->packs_sha256))
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' does not match its digest in the manifest",
                       sink->label, name);
    if (text.len != m->packs_size || text.len / LINE != m->n_packs)
        return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' is not as long as its manifest says",
                       sink->label, name);
    rc = bk_packlist_parse(text.data ? text.data : "", text.len, ret, ret_n, err);
    return rc < 0 ? bk_prefix(err, "%s: '%s'", sink->label, name) : rc;
}
