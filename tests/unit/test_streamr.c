/* store/streamr, store/records: lists of lists, records across chunks, and what damage costs. */
#include "readkit.h"

#include "store/streamr.h"

/* A chunk of these bytes, in the run that is under way. */
static bk_id put_bytes(struct fix *x, const void *data, size_t n)
{
    bk_id id = rk_id_of(data, n);
    bool fresh;

    assert_int_equal(bk_repo_put(x->k.store->repo, BK_PACK_META, &id, data, n, &fresh, &x->k.err),
                     0);
    return id;
}

/* A chunk of these references, as stream.c makes them. */
static bk_id put_list(struct fix *x, const struct bk_refs *refs)
{
    struct bk_buf b = BK_BUF_INIT;
    bk_id id;

    for (size_t i = 0; i < refs->n; i++) {
        bk_put_varint(&b, refs->refs[i].length);
        assert_int_equal(bk_buf_add(&b, &refs->refs[i].id, sizeof(bk_id)), 0);
    }
    id = put_bytes(x, b.data, b.len);
    bk_buf_free(&b);
    return id;
}

static void begin(struct fix *x)
{
    if (bk_repo_begin(x->k.store, &x->k.err) < 0)
        fail_msg("%s", x->k.err.text);
}

static void end(struct fix *x)
{
    assert_int_equal(bk_packer_flush(x->k.store->repo->packer, &x->k.err), 0);
    assert_int_equal(bk_index_save(x->k.store->repo->write->index, &x->k.err), 0);
    bk_repo_end(x->k.store);
    open_fetch(x, 0);
}

#define LEAF 1000u

static void leaf(uint64_t number, unsigned char *data) { rk_fill(data, LEAF, number + 7); }

/* Two lists of three lists of four chunks. */
static void make_deep(struct fix *x, struct bk_refs *top)
{
    unsigned char data[LEAF];
    uint64_t number = 0;

    memset(top, 0, sizeof(*top));
    begin(x);
    for (int i = 0; i < 2; i++) {
        struct bk_refs middle = {.n = 0};
        bk_id id;

        for (int k = 0; k < 3; k++) {
            struct bk_refs low = {.n = 0};

            for (int j = 0; j < 4; j++) {
                leaf(number++, data);
                id = put_bytes(x, data, LEAF);
                assert_int_equal(bk_refs_add(&low, &id, LEAF), 0);
            }
            id = put_list(x, &low);
            assert_int_equal(bk_refs_add(&middle, &id, low.length), 0);
            bk_refs_release(&low);
        }
        id = put_list(x, &middle);
        assert_int_equal(bk_refs_add(top, &id, middle.length), 0);
        bk_refs_release(&middle);
    }
    end(x);
    top->levels = 2;
}

/* Reads on behind damage. Returns how many leaves came; a bit for each. */
static uint32_t read_deep(struct fix *x, const struct bk_refs *top, uint64_t ahead, int *ret_fails)
{
    struct bk_streamr *r;
    unsigned char want[LEAF];
    uint32_t got = 0;

    *ret_fails = 0;
    assert_int_equal(bk_streamr_new(x->f, top, ahead, &r, &x->k.err), 0);
    for (;;) {
        const void *data;
        size_t n;
        int rc = bk_streamr_pull(r, &data, &n, &x->k.err);
        uint64_t i = 0;

        if (rc == BAKE_END)
            break;
        if (rc < 0) {
            assert_true(bk_fetch_is_damage(rc));
            ++*ret_fails;
            continue;
        }
        assert_int_equal(n, LEAF);
        for (leaf(0, want); i < 24 && memcmp(data, want, n) != 0; leaf(i, want))
            i++;
        assert_true(i < 24 && got >> i == 0); /* in order */
        got |= 1u << i;
    }
    bk_streamr_free(r);
    return got;
}

static void deep(void **state)
{
    struct fix *x = *state;
    struct bk_refs top;
    int fails;

    make_deep(x, &top);
    assert_int_equal(read_deep(x, &top, 0, &fails), 0xffffff);
    assert_int_equal(fails, 0);
    assert_int_equal(read_deep(x, &top, 5000, &fails), 0xffffff);
    assert_int_equal(fails, 0);
    bk_refs_release(&top);
}

struct seen {
    char order[100];
    uint32_t skip; /* the list that is left out, counted from 1 */
    uint32_t lists;
};

static int see(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    struct seen *s = arg;

    (void)err;
    assert_int_equal(ref->length, level == 0 ? LEAF : level == 1 ? 4 * LEAF : 12 * LEAF);
    s->order[strlen(s->order)] = (char)('0' + level);
    return level > 0 && ++s->lists == s->skip ? BAKE_END : BAKE_OK;
}

static int accept(void *arg, const struct bk_ref *ref, uint32_t level, struct bk_err *err)
{
    (void)arg;
    (void)ref;
    (void)level;
    (void)err;
    return BAKE_OK;
}

static void each(void **state)
{
    struct fix *x = *state;
    struct seen all = {.skip = 0}, one = {.skip = 3}, first = {.skip = 1};
    struct bk_refs top;

    make_deep(x, &top);
    assert_int_equal(bk_refs_each(x->f, &top, see, &all, &x->k.err), 0);
    assert_string_equal(all.order, "21000010000100002100001000010000");
    assert_int_equal(bk_refs_each(x->f, &top, see, &one, &x->k.err), 0);
    assert_string_equal(one.order, "2100001100002100001000010000");
    assert_int_equal(bk_refs_each(x->f, &top, see, &first, &x->k.err), 0);
    assert_string_equal(first.order, "22100001000010000");
    top.refs[0].length++; /* a list that is not what the reference says */
    assert_int_equal(bk_refs_each(x->f, &top, accept, NULL, &x->k.err), BAKE_E_CORRUPT);
    bk_refs_release(&top);
}

/* What lies below a list that is lost or lies is lost, and no more. */
static void lost_list(void **state)
{
    struct fix *x = *state;
    struct bk_refs top;
    int fails;

    make_deep(x, &top);
    top.refs[0].length--;
    assert_int_equal(read_deep(x, &top, 5000, &fails), 0xfff000);
    assert_int_equal(fails, 1);
    top.refs[0].length++;
    top.refs[1].id.b[5] ^= 1;
    assert_int_equal(read_deep(x, &top, 5000, &fails), 0xfff);
    assert_int_equal(fails, 1);
    top.levels = BK_REFS_LEVELS + 1;
    assert_int_equal(bk_refs_each(x->f, &top, see, &(struct seen){.skip = 1}, &x->k.err),
                     BAKE_E_CORRUPT);
    bk_refs_release(&top);
}

/* ---- records --------------------------------------------------------------------------------- */

static void put_record(struct bk_buf *to, unsigned number, size_t xattrs)
{
    char path[32], *value = NULL;
    struct bake_entry e = {.struct_size = sizeof(e), .type = BAKE_DIR, .path = path};
    struct bk_refs none = {.n = 0};

    (void)snprintf(path, sizeof(path), "d%05u", number);
    if (xattrs) {
        value = (char *)rk_bytes(xattrs, number);
        e.xattrs = value;
        e.xattrs_size = xattrs;
    }
    assert_int_equal(bk_entry_write(&e, 0, &none, to), 0);
    free(value);
}

/* Cuts the records at these places, whatever stands there. */
static void cut_at(struct fix *x, const struct bk_buf *b, const size_t *places, size_t n,
                   struct bk_refs *ret)
{
    size_t from = 0;

    memset(ret, 0, sizeof(*ret));
    begin(x);
    for (size_t i = 0; i <= n; i++) {
        size_t to = i < n ? places[i] : b->len;
        bk_id id = put_bytes(x, b->data + from, to - from);

        assert_int_equal(bk_refs_add(ret, &id, to - from), 0);
        from = to;
    }
    end(x);
}

/* Numbers of the entries that came: "0-99 200-299"; the failures in between as '!'. */
static void read_as(struct fix *x, const struct bk_refs *refs, bool unordered, char *ret,
                    size_t cap)
{
    struct bk_stored_entry e = {.flags = 0};
    struct bk_records *r;
    int last = -2, rc;

    ret[0] = '\0';
    assert_int_equal(bk_records_new(x->f, refs, 1u << 20, &r, &x->k.err), 0);
    if (unordered)
        bk_records_unordered(r);
    while ((rc = bk_records_next(r, &e, &x->k.err)) != BAKE_END) {
        size_t n = strlen(ret);
        int number = 0;

        if (rc < 0) {
            assert_true(bk_fetch_is_damage(rc));
            (void)snprintf(ret + n, cap - n, last >= 0 ? "%d !" : "!", last);
            last = -2;
            continue;
        }
        for (const char *digit = e.e.path + 1; *digit; digit++)
            number = number * 10 + (*digit - '0');
        if (number != last + 1)
            (void)snprintf(ret + n, cap - n, last >= 0 ? "%d %d-" : "%.0d%d-", last >= 0 ? last : 0,
                           number);
        last = number;
    }
    if (last >= 0)
        (void)snprintf(ret + strlen(ret), cap - strlen(ret), "%d", last);
    bk_stored_entry_release(&e);
    bk_records_free(r);
}

static void read_records(struct fix *x, const struct bk_refs *refs, char *ret, size_t cap)
{
    read_as(x, refs, false, ret, cap);
}

static void borders(void **state)
{
    struct fix *x = *state;
    struct bk_buf b = BK_BUF_INIT;
    size_t places[12];
    struct bk_refs refs;
    char got[200];

    for (unsigned i = 0; i < 300; i++)
        put_record(&b, i, i == 150 ? 700000 : 0); /* over several chunks */
    for (size_t i = 0; i < 12; i++)
        places[i] = b.len * (i + 1) / 13 + i;
    cut_at(x, &b, places, 12, &refs);
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-299");
    refs.n--; /* the end is missing */
    read_records(x, &refs, got, sizeof(got));
    assert_non_null(strchr(got, 33));
    bk_refs_release(&refs);
    bk_buf_free(&b);
}

/* Reading goes on with the next chunk that is records of later paths from its first byte on. */
static void resumed(void **state)
{
    struct fix *x = *state;
    struct bk_buf b = BK_BUF_INIT;
    size_t places[6];
    struct bk_refs refs;
    char got[200];

    for (unsigned i = 0; i < 700; i++) {
        if (i % 100 == 0 && i > 0)
            places[i / 100 - 1] = b.len;
        put_record(&b, i, 0);
    }
    cut_at(x, &b, places, 6, &refs);
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-699");
    refs.refs[2].id.b[0] ^= 1;
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-199 !300-699");
    refs.refs[3] = refs.refs[0]; /* older paths: no */
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-199 !400-699");
    read_as(x, &refs, true, got, sizeof(got)); /* unless there is no order */
    assert_string_equal(got, "0-199 !0-99 400-699");
    refs.refs[6].id.b[0] ^= 1;
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-199 !400-599 !");
    refs.refs[0].id.b[0] ^= 1;
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "!100-199 !400-599 !");
    bk_refs_release(&refs);
    places[3] += 5; /* the fifth chunk begins within a record */
    cut_at(x, &b, places, 6, &refs);
    refs.refs[3].id.b[0] ^= 1;
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-299 !500-699");
    bk_refs_release(&refs);
    bk_buf_free(&b);
}

/* A chunk that is what its digest says and yet no records. */
static void no_records(void **state)
{
    struct fix *x = *state;
    struct bk_buf b = BK_BUF_INIT;
    size_t places[2];
    struct bk_refs refs;
    char got[200];

    for (unsigned i = 0; i < 10; i++)
        put_record(&b, i, 0);
    places[0] = b.len;
    assert_int_equal(bk_buf_add(&b, "\x20 this is not an entry, but as long as one", 40), 0);
    places[1] = b.len;
    for (unsigned i = 10; i < 20; i++)
        put_record(&b, i, 0);
    cut_at(x, &b, places, 2, &refs);
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "0-9 !10-19");
    bk_refs_release(&refs);
    bk_buf_clear(&b);
    for (unsigned i = 0; i < 12; i++) /* a length without an end */
        assert_int_equal(bk_buf_char(&b, (char)0xff), 0);
    cut_at(x, &b, places, 0, &refs);
    read_records(x, &refs, got, sizeof(got));
    assert_string_equal(got, "!");
    bk_refs_release(&refs);
    bk_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TP(deep),    TP(each),    TP(lost_list),
                                       TP(borders), TP(resumed), TP(no_records)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
