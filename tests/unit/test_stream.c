/* store/stream: streams into references and back. */
#include "repokit.h"

#include "store/stream.h"

struct kept { /* a chunk that was put */
    bk_id id;
    uint32_t n;
    enum bk_pack_kind kind;
    void *data; /* of lists alone, unless all are kept */
};

struct world {
    struct bk_chunker chunker;
    struct kept *chunks;
    size_t n, cap, n_lists;
    bool keep_all;
    size_t fail_at; /* this put fails; 0: none */
    struct bk_streamw *w;
    struct bk_err err;
};

static int put(void *arg, enum bk_pack_kind kind, const bk_id *id, const void *data, size_t n,
               struct bk_err *err)
{
    struct world *x = arg;
    struct kept *k;

    if (x->n == x->cap) {
        x->cap = x->cap ? x->cap * 2 : 64;
        x->chunks = realloc(x->chunks, x->cap * sizeof(*x->chunks));
        assert_non_null(x->chunks);
    }
    k = &x->chunks[x->n++];
    *k = (struct kept){*id, (uint32_t)n, kind, NULL};
    x->n_lists += kind == BK_PACK_META;
    if (kind == BK_PACK_META || x->keep_all) {
        bk_id again = rk_id_of(data, n);

        assert_true(bk_id_eq(&again, id));
        k->data = malloc(n);
        assert_non_null(k->data);
        memcpy(k->data, data, n);
    }
    return x->n == x->fail_at ? bk_fail(err, BAKE_E_NOSPACE, "full") : BAKE_OK;
}

static int setup(void **state)
{
    struct world *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    bk_chunker_init(&x->chunker, 42);
    assert_int_equal(
        bk_streamw_new(&x->chunker, (struct bk_chunk_sink){x, put}, BK_PACK_DATA, &x->w, &x->err),
        0);
    *state = x;
    return 0;
}

static void forget(struct world *x)
{
    for (size_t i = 0; i < x->n; i++)
        free(x->chunks[i].data);
    x->n = x->n_lists = 0;
}

static int teardown(void **state)
{
    struct world *x = *state;

    forget(x);
    free(x->chunks);
    bk_streamw_free(x->w);
    free(x);
    return 0;
}

/* n bytes from a generator, in pieces. */
static void write_stream(struct world *x, uint64_t n, struct bk_refs *ret)
{
    static const size_t piece = 96u << 10;
    unsigned char *data = malloc(piece);

    assert_non_null(data);
    for (uint64_t at = 0; at < n; at += piece) {
        size_t part = n - at < piece ? (size_t)(n - at) : piece;

        rk_fill(data, part, at);
        assert_int_equal(bk_streamw_write(x->w, data, part, &x->err), 0);
    }
    free(data);
    assert_int_equal(bk_streamw_end(x->w, ret, &x->err), 0);
    assert_int_equal(ret->length, n);
}

static const struct kept *list_of(const struct world *x, const bk_id *id)
{
    for (size_t i = 0; i < x->n; i++)
        if (x->chunks[i].kind == BK_PACK_META && bk_id_eq(&x->chunks[i].id, id))
            return &x->chunks[i];
    fail_msg("a list is not there");
    return NULL;
}

/* The stream's own chunks below refs, in order. */
static void flatten(const struct world *x, const struct bk_refs *refs, struct bk_refs *ret)
{
    for (size_t i = 0; i < refs->n; i++) {
        struct bk_refs below = {0};
        const struct kept *list;

        if (refs->levels == 0) {
            assert_int_equal(bk_refs_add(ret, &refs->refs[i].id, refs->refs[i].length), 0);
            continue;
        }
        list = list_of(x, &refs->refs[i].id);
        assert_true(bk_refs_parse_chunk(list->data, list->n, &below));
        assert_int_equal(below.length, refs->refs[i].length);
        below.levels = refs->levels - 1;
        flatten(x, &below, ret);
        bk_refs_release(&below);
    }
}

/* What the references lead to is what was put, in that order. */
static void check_order(const struct world *x, const struct bk_refs *refs)
{
    struct bk_refs flat = {0};
    size_t at = 0;

    assert_true(refs->n <= BK_REFS_INLINE);
    flatten(x, refs, &flat);
    assert_int_equal(flat.length, refs->length);
    assert_int_equal(flat.n, x->n - x->n_lists);
    for (size_t i = 0; i < x->n; i++) {
        if (x->chunks[i].kind == BK_PACK_META)
            continue;
        assert_true(bk_id_eq(&x->chunks[i].id, &flat.refs[at].id));
        assert_int_equal(x->chunks[i].n, flat.refs[at++].length);
    }
    bk_refs_release(&flat);
}

static bool same(const struct bk_refs *a, const struct bk_refs *b)
{
    if (a->levels != b->levels || a->n != b->n || a->length != b->length)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!bk_id_eq(&a->refs[i].id, &b->refs[i].id) || a->refs[i].length != b->refs[i].length)
            return false;
    return true;
}

static void sizes(void **state)
{
    static const struct {
        uint64_t n;
        uint32_t levels;
    } some[] = {{0, 0}, {1, 0}, {16000, 0}, {400 << 10, 0}, {4 << 20, 1}, {12 << 20, 1}};
    struct world *x = *state;
    struct bk_refs refs = {0}, again = {0}, back = {0};

    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct bk_buf b = BK_BUF_INIT;
        struct bk_reader r;

        forget(x);
        write_stream(x, some[i].n, &refs);
        assert_int_equal(refs.levels, some[i].levels);
        assert_int_equal(refs.n == 0, some[i].n == 0);
        check_order(x, &refs);
        forget(x);
        write_stream(x, some[i].n, &again);
        assert_true(same(&refs, &again));
        bk_refs_write(&refs, &b);
        r = bk_reader_of(b.data, b.len);
        assert_true(bk_refs_parse(&r, &back));
        assert_ptr_equal(r.p, r.end);
        assert_true(same(&refs, &back));
        for (size_t cut = 0; cut < b.len; cut++) {
            r = bk_reader_of(b.data, cut);
            assert_false(bk_refs_parse(&r, &back));
        }
        bk_buf_free(&b);
    }
    bk_refs_release(&refs);
    bk_refs_release(&again);
    bk_refs_release(&back);
}

#define BLOCK (BK_CHUNK_MIN + 1)

/* A block of the least size, after which there is a cut whatever its first half holds. */
static unsigned char *make_block(const struct world *x)
{
    unsigned char *block = calloc(1, BLOCK);

    assert_non_null(block);
    for (uint64_t i = 1; bk_chunker_cut(&x->chunker, block, BLOCK, false) != BLOCK; i++)
        memcpy(block + BLOCK - 8, &i, sizeof(i));
    return block;
}

/* n chunks, each unlike the others; the one at `other` is another one than usual. */
static void write_blocks(struct world *x, size_t n, size_t other, struct bk_refs *ret)
{
    unsigned char *block = make_block(x);

    forget(x);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t number = i == other ? UINT64_MAX : i;

        memcpy(block, &number, sizeof(number));
        assert_int_equal(bk_streamw_write(x->w, block, BLOCK, &x->err), 0);
    }
    free(block);
    assert_int_equal(bk_streamw_end(x->w, ret, &x->err), 0);
    assert_int_equal(x->n - x->n_lists, n);
    check_order(x, ret);
}

/* Sixteen chunks stand in place, seventeen become a list. */
static void border(void **state)
{
    struct world *x = *state;
    struct bk_refs refs = {0};

    for (size_t n = 15; n <= 18; n++) {
        write_blocks(x, n, n, &refs);
        assert_int_equal(refs.levels, n > 16);
        assert_int_equal(refs.n, n > 16 ? 1 : n);
    }
    write_blocks(x, 5000, 5000, &refs);
    assert_int_equal(refs.levels, 1);
    bk_refs_release(&refs);
}

/* Lists of lists; and a change in the middle, which changes one chunk and few lists. */
static void deep(void **state)
{
    struct world *x = *state, before;
    struct bk_refs a = {0}, b = {0};
    size_t n = 25000, lists = 0;

    write_blocks(x, n, n, &a);
    assert_int_equal(a.levels, 2);
    before = *x;
    x->chunks = NULL;
    x->n = x->cap = x->n_lists = 0;
    write_blocks(x, n, n / 2, &b);
    assert_int_equal(b.levels, 2);
    assert_false(same(&a, &b));
    for (size_t i = 0; i < x->n; i++) {
        bool known = x->chunks[i].kind == BK_PACK_DATA;

        for (size_t k = 0; k < before.n && !known; k++)
            known = bk_id_eq(&before.chunks[k].id, &x->chunks[i].id);
        lists += !known;
    }
    assert_in_range(lists, 2, 4);
    forget(&before);
    free(before.chunks);
    bk_refs_release(&a);
    bk_refs_release(&b);
}

static void sink_fails(void **state)
{
    struct world *x = *state;
    unsigned char *data = rk_bytes(4u << 20, 8);

    x->fail_at = 3;
    assert_int_equal(bk_streamw_write(x->w, data, 4u << 20, &x->err), BAKE_E_NOSPACE);
    free(data);
}

static void bad_chunks(void **state)
{
    struct bk_refs r = {0};
    struct bk_buf b = BK_BUF_INIT;
    bk_id id = rk_id(3);

    (void)state;
    assert_false(bk_refs_parse_chunk(NULL, 0, &r));
    for (size_t i = 0; i <= BK_REFS_CHUNK; i++) {
        bk_put_varint(&b, 1);
        bk_buf_add(&b, &id, sizeof(id));
        if (i == 0 || i + 1 == BK_REFS_CHUNK)
            assert_true(bk_refs_parse_chunk(b.data, b.len, &r));
        if (i == 0)
            assert_false(bk_refs_parse_chunk(b.data, b.len - 1, &r));
    }
    assert_false(bk_refs_parse_chunk(b.data, b.len, &r)); /* one too many */
    bk_buf_clear(&b);
    bk_put_varint(&b, 0); /* of no length */
    bk_buf_add(&b, &id, sizeof(id));
    assert_false(bk_refs_parse_chunk(b.data, b.len, &r));
    bk_buf_clear(&b);
    for (int i = 0; i < 2; i++) { /* longer together than can be said */
        bk_put_varint(&b, UINT64_MAX / 2 + 1);
        bk_buf_add(&b, &id, sizeof(id));
    }
    assert_false(bk_refs_parse_chunk(b.data, b.len, &r));
    bk_buf_free(&b);
    bk_refs_release(&r);
}

/* Records of 20 to 300 bytes; every record's hash is its number's. */
static void write_records(struct world *x, size_t n, size_t changed, struct bk_refs *ret)
{
    unsigned char record[300];

    for (size_t i = 0; i < n; i++) {
        uint64_t state = i;
        uint64_t hash = rk_next(&state);

        rk_fill(record, sizeof(record), i == changed ? 1000000 + i : i);
        assert_int_equal(bk_streamw_record(x->w, record, 20 + hash % 280, hash, &x->err), 0);
    }
    assert_int_equal(bk_streamw_end(x->w, ret, &x->err), 0);
}

/* A record that changes changes its chunk and no other, whose ends are where records end. */
static void records(void **state)
{
    struct world *x = *state;
    struct bk_refs a = {0}, b = {0};
    size_t n, differ = 0;
    struct kept *first;

    write_records(x, 20000, SIZE_MAX, &a);
    n = x->n;
    assert_in_range(n, 20, 120);
    first = calloc(n, sizeof(*first));
    assert_non_null(first);
    for (size_t i = 0; i < n; i++) {
        first[i] = x->chunks[i];
        assert_true(first[i].n <= BK_CHUNK_MAX);
        assert_true(i + 2 > n || x->n_lists > 0 || first[i].n >= BK_CHUNK_MIN);
    }
    forget(x);
    write_records(x, 20000, 7777, &b);
    assert_int_equal(x->n, n);
    assert_true(a.length == b.length);
    for (size_t i = 0; i < n; i++)
        differ += first[i].kind == BK_PACK_DATA && !bk_id_eq(&first[i].id, &x->chunks[i].id);
    assert_int_equal(differ, 1);
    free(first);
    bk_refs_release(&a);
    bk_refs_release(&b);
}

/* One that fits no chunk is cut like any bytes, and the next begins a chunk of its own. */
static void long_record(void **state)
{
    struct world *x = *state;
    unsigned char *big = rk_bytes(3 * BK_CHUNK_MAX, 5), small[100];
    struct bk_refs r = {0};
    size_t cut;

    rk_fill(small, sizeof(small), 6);
    assert_int_equal(bk_streamw_record(x->w, small, sizeof(small), 1, &x->err), 0);
    assert_int_equal(bk_streamw_record(x->w, big, 3 * BK_CHUNK_MAX, 1, &x->err), 0);
    cut = x->n;
    assert_true(cut > 3);
    assert_int_equal(x->chunks[0].n, sizeof(small));
    assert_int_equal(bk_streamw_record(x->w, small, sizeof(small), 1, &x->err), 0);
    assert_int_equal(bk_streamw_end(x->w, &r, &x->err), 0);
    assert_true(r.length == 3 * BK_CHUNK_MAX + 2 * sizeof(small));
    assert_true(bk_id_eq(&x->chunks[cut].id, &x->chunks[0].id));
    bk_refs_release(&r);
    free(big);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(sizes),
                                       T(border),
                                       T(deep),
                                       T(sink_fails),
                                       T(records),
                                       T(long_record),
                                       cmocka_unit_test(bad_chunks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
