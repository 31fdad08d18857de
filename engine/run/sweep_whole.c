/* Packs read whole. */
#include "run/sweep_whole.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "store/layout.h"
#include "store/sealed.h"

void bk_whole_release(struct bk_whole *p)
{
    bk_buf_free(&p->stored);
    bk_buf_free(&p->segment);
    bk_strv_free(&p->head.transforms);
    bk_pack_table_release(&p->table);
}

static int parse_table(struct bk_store *store, struct bk_whole *p, struct bk_err *err)
{
    const unsigned char *data = (const unsigned char *)p->stored.data;
    struct bk_buf plain BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_pack_foot foot;
    int rc;

    if (p->stored.len < BK_PACK_HEAD_MIN + BK_PACK_FOOTER)
        return bk_fail(err, BAKE_E_CORRUPT, "it is cut");
    rc = bk_pack_foot_parse(data + p->stored.len - BK_PACK_FOOTER, p->stored.len, &foot, err);
    if (rc >= 0)
        rc = bk_pack_head_parse(data,
                                foot.table_offset < BK_PACK_HEAD_MAX ? (size_t)foot.table_offset
                                                                     : BK_PACK_HEAD_MAX,
                                &p->head, err);
    if (rc >= 0)
        rc = bk_sealed_decode(store, &p->head.transforms, false, data + foot.table_offset,
                              foot.table_stored, foot.table_plain, &plain, err);
    if (rc >= 0)
        rc = bk_pack_table_parse(plain.data, plain.len, &p->table, err);
    if (rc >= 0 && bk_pack_table_end(&p->table, p->head.size) != foot.table_offset)
        rc = bk_fail(err, BAKE_E_CORRUPT, "the chunk table does not fit the pack");
    return rc;
}

int bk_whole_read(struct bk_store *store, struct bk_sink *sink, const bk_id *pack,
                  struct bk_whole *p, struct bk_err *err)
{
    char name[BK_PACK_NAME_CAP];
    bk_id id;
    int rc;

    bk_pack_name(pack, name);
    rc = bk_sink_get(sink, name, BK_PACK_LIMIT, &p->stored, err);
    if (rc >= 0)
        rc = bk_id_of(p->stored.data ? p->stored.data : "", p->stored.len, &id, err);
    if (rc >= 0 && !bk_id_eq(&id, pack))
        rc = bk_fail(err, BAKE_E_CORRUPT, "it does not match its name");
    if (rc >= 0)
        rc = parse_table(store, p, err);
    return rc < 0 ? bk_prefix(err, "%s: '%s'", sink->label, name) : BAKE_OK;
}

int bk_whole_decode(struct bk_store *store, struct bk_whole *p, size_t segment, uint64_t offset,
                    struct bk_err *err)
{
    const struct bk_segment *s = &p->table.segments[segment];
    int rc;

    bk_buf_clear(&p->segment);
    rc = bk_sealed_decode(store, &p->head.transforms, s->flags & BK_SEGMENT_RAW,
                          p->stored.data + offset, s->stored, s->plain, &p->segment, err);
    if (rc >= 0 && p->segment.len != s->plain)
        rc = bk_fail(err, BAKE_E_CORRUPT, "a segment has another length than it says");
    return rc;
}

void bk_sweep_note_bad(struct bk_sink *sink, const bk_id *pack, const struct bk_err *reason)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    json_t *j BK_JSON = json_object();
    char hex[2 * sizeof(*pack) + 1], name[sizeof(BK_BAD) + sizeof(hex)];
    struct bk_err why = {0};
    int rc;

    bk_hex(pack->b, sizeof(pack->b), hex);
    (void)snprintf(name, sizeof(name), BK_BAD "%s", hex);
    bk_json_set_time(j, "time", bk_now_ns());
    bk_json_set_str(j, "reason", reason->text);
    rc = bk_json_seal(j, &text, &why);
    if (rc >= 0)
        rc = bk_sink_put(sink, name, text.data, text.len, 0, &why);
    if (rc < 0)
        bk_log(BAKE_LOG_WARN, "%s: cannot put '%s': %s", sink->label, name, why.text);
}
