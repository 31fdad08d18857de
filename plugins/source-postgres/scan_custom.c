/* A dump in pg_dump's own format: a header, a table of contents, and the data of its items one
 * after the other, as src/bin/pg_dump/pg_backup_archiver.c and pg_backup_custom.c write them. */
#include "scan_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLDEST    14 /* minor versions of the format 1.x: PostgreSQL 12 to 15 */
#define ALGORITHM 15 /* from here on compression is one byte: 16 */
#define RELKIND   16 /* from here on items have it: 17, 18 */
#define NEWEST    16
#define CUSTOM    1
#define DATA      1
#define BLOBS     3
#define NO_DATA   3
#define TEXT_KEPT 200     /* of names; they have 63 bytes */
#define ITEMS_MAX 1000000 /* with data, that are kept */
#define BLOCK_MAX (1 << 30)

enum part { /* what comes next */
            HEAD,
            COMPRESSION,
            TIMES,
            HEAD_TEXTS,
            COUNT,
            ITEM, /* fields of an item of the table of contents */
            OFFSET,
            BLOCK, /* type of a data block */
            BLOCK_ID,
            BLOB_OID,
            CHUNK_SIZE,
            CHUNK,
            BROKEN, /* found->why says it */
            FOREIGN /* a version that is not known: taken as it is */
};

/* The fields of an item, in their order: 'i' a number, 's' a text, 'd' texts up to a NULL. What is
 * kept: I its id, T its tag, D its description, C its COPY, N its schema. */
static const char FIELDS_14[] = "IissTDissCNssss*";
static const char FIELDS_16[] = "IissTDissCNssiss*";

struct item {
    int64_t id;
    size_t at_name, n_schema, n_name; /* in names */
    bool rows, seen;
};

struct pg_custom {
    struct pg_found *found;
    enum part part;
    int minor, int_size, off_size, left; /* left: of parts that are the same several times */
    bool compressed;
    /* a number or a text that comes byte by byte */
    unsigned char raw[16];
    size_t n_raw;
    bool in_text;
    int64_t text_left;
    char text[TEXT_KEPT];
    size_t n_text;
    /* the item that is being read */
    int64_t items_left;
    const char *field;
    struct item now;
    bool has_copy, is_table;
    char tag[TEXT_KEPT], schema[TEXT_KEPT];
    /* all items with data, by their ids at the end of the table of contents */
    struct item *items;
    size_t n_items, cap;
    char *names;
    size_t n_names, cap_names;
    bool many;
    /* the data block that is being read */
    bool blobs;
    struct item *block;
    int64_t chunk_left;
    struct pg_rows rows;
    bool rows_done;
};

struct pg_custom *pg_custom_new(struct pg_found *found)
{
    struct pg_custom *c = calloc(1, sizeof(*c));
    if (c)
        c->found = found;
    return c;
}

void pg_custom_free(struct pg_custom *c)
{
    if (!c)
        return;
    free(c->items);
    free(c->names);
    free(c);
}

bool pg_custom_counted(const struct pg_custom *c) { return c->part != FOREIGN && !c->compressed; }

BAKE_PRINTF(2, 3) static int broken(struct pg_custom *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->found->why, sizeof(c->found->why), fmt, ap);
    va_end(ap);
    c->part = BROKEN;
    return BAKE_OK;
}

/* ---- numbers and texts ----------------------------------------------------------------------- */

struct input {
    const char *at, *end;
};

/* The next `want` bytes into raw; false: there is more to come first. */
static bool take(struct pg_custom *c, struct input *in, size_t want)
{
    while (in->at < in->end && c->n_raw < want)
        c->raw[c->n_raw++] = (unsigned char)*in->at++;
    if (c->n_raw < want)
        return false;
    c->n_raw = 0;
    return true;
}

/* A byte with the sign, then the value, its lowest byte first. */
static bool take_int(struct pg_custom *c, struct input *in, int64_t *ret)
{
    if (!take(c, in, 1 + (size_t)c->int_size))
        return false;
    uint64_t value = 0;
    for (int i = 0; i < c->int_size; i++)
        value |= (uint64_t)c->raw[1 + i] << (8 * i);
    if (value > INT64_MAX)
        value = INT64_MAX; /* too big for whatever it is */
    *ret = c->raw[0] ? -(int64_t)value : (int64_t)value;
    return true;
}

/* Its beginning into text; *ret_null: there is none (length -1). */
static bool take_text(struct pg_custom *c, struct input *in, bool *ret_null)
{
    if (!c->in_text) {
        if (!take_int(c, in, &c->text_left))
            return false;
        c->n_text = 0;
        c->in_text = true;
    }
    *ret_null = c->text_left < 0;
    size_t have = (size_t)(in->end - in->at);
    size_t n = c->text_left <= 0 ? 0 : (uint64_t)c->text_left < have ? (size_t)c->text_left : have;
    size_t room = TEXT_KEPT - 1 - c->n_text, k = n < room ? n : room;
    memcpy(c->text + c->n_text, in->at, k);
    c->n_text += k;
    c->text[c->n_text] = '\0';
    in->at += n;
    c->text_left -= (int64_t)n;
    if (c->text_left > 0)
        return false;
    c->in_text = false;
    return true;
}

/* ---- the header ------------------------------------------------------------------------------ */

static int take_head(struct pg_custom *c, struct input *in)
{
    if (!take(c, in, 11))
        return BAKE_OK;
    const unsigned char *h = c->raw;
    if (memcmp(h, "PGDMP", 5) != 0)
        return broken(c, "it is not a dump in pg_dump's own format");
    c->minor = h[6];
    c->int_size = h[8];
    c->off_size = h[9];
    if (h[5] != 1 || c->minor < OLDEST || c->minor > NEWEST) {
        c->part = FOREIGN;
        return BAKE_OK;
    }
    if (h[10] != CUSTOM || c->int_size < 1 || c->int_size > 8 || c->off_size < 1 || c->off_size > 8)
        return broken(c, "its header makes no sense");
    c->part = COMPRESSION;
    return BAKE_OK;
}

static int take_compression(struct pg_custom *c, struct input *in)
{
    int64_t level = 0;
    if (c->minor >= ALGORITHM ? !take(c, in, 1) : !take_int(c, in, &level))
        return BAKE_OK;
    c->compressed = c->minor >= ALGORITHM ? c->raw[0] != 0 : level != 0;
    c->part = TIMES;
    c->left = 7; /* second to year, and daylight saving */
    return BAKE_OK;
}

static int take_times(struct pg_custom *c, struct input *in)
{
    int64_t value;
    if (take_int(c, in, &value) && --c->left == 0) {
        c->part = HEAD_TEXTS;
        c->left = 3; /* database, versions of the server and of pg_dump */
    }
    return BAKE_OK;
}

static int take_head_texts(struct pg_custom *c, struct input *in)
{
    bool null;
    if (take_text(c, in, &null) && --c->left == 0)
        c->part = COUNT;
    return BAKE_OK;
}

/* ---- the table of contents ------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int next_item(struct pg_custom *c)
{
    c->now = (struct item){0};
    c->has_copy = c->is_table = false;
    c->field = c->minor >= RELKIND ? FIELDS_16 : FIELDS_14;
    c->part = ITEM;
    if (c->items_left > 0)
        return BAKE_OK;
    c->part = BLOCK;
    if (c->n_items > 0)
        qsort(c->items, c->n_items, sizeof(*c->items), compare);
    return BAKE_OK;
}

static int take_count(struct pg_custom *c, struct input *in)
{
    if (!take_int(c, in, &c->items_left))
        return BAKE_OK;
    return c->items_left < 0 ? broken(c, "its table of contents makes no sense") : next_item(c);
}

static void use_text(struct pg_custom *c, bool null)
{
    if (*c->field == 'T')
        memcpy(c->tag, c->text, c->n_text + 1);
    else if (*c->field == 'N')
        memcpy(c->schema, c->text, c->n_text + 1);
    else if (*c->field == 'C')
        c->has_copy = !null && c->n_text > 0;
    else if (*c->field == 'D')
        c->is_table = strcmp(c->text, "TABLE DATA") == 0;
}

static int take_field(struct pg_custom *c, struct input *in)
{
    bool null;
    int64_t value;
    if (*c->field == 'I' || *c->field == 'i') {
        if (!take_int(c, in, &value))
            return BAKE_OK;
        if (*c->field == 'I')
            c->now.id = value;
    } else {
        if (!take_text(c, in, &null))
            return BAKE_OK;
        if (*c->field == '*' && !null)
            return BAKE_OK; /* one more of what it depends on */
        use_text(c, null);
    }
    if (*++c->field == '\0')
        c->part = OFFSET;
    return BAKE_OK;
}

static bool grow(void **list, size_t *cap, size_t want, size_t size)
{
    if (want <= *cap)
        return true;
    size_t more = *cap ? *cap : 64;
    while (more < want)
        more *= 2;
    void *p = realloc(*list, more * size);
    if (!p)
        return false;
    *list = p;
    *cap = more;
    return true;
}

static int keep_item(struct pg_custom *c)
{
    struct item *it = &c->now;
    it->rows = c->is_table && c->has_copy;
    it->n_schema = strlen(c->schema);
    it->n_name = strlen(c->tag);
    it->at_name = c->n_names;
    size_t n = it->n_schema + it->n_name;
    if (!grow((void **)&c->items, &c->cap, c->n_items + 1, sizeof(*c->items)) ||
        !grow((void **)&c->names, &c->cap_names, c->n_names + n + 1, 1))
        return BAKE_E_NOMEM;
    memcpy(c->names + c->n_names, c->schema, it->n_schema);
    memcpy(c->names + c->n_names + it->n_schema, c->tag, it->n_name);
    c->n_names += n;
    c->items[c->n_items++] = *it;
    return BAKE_OK;
}

static int take_offset(struct pg_custom *c, struct input *in)
{
    if (!take(c, in, 1 + (size_t)c->off_size))
        return BAKE_OK;
    int rc = BAKE_OK;
    if (c->raw[0] != NO_DATA && c->n_items < ITEMS_MAX)
        rc = keep_item(c);
    else if (c->raw[0] != NO_DATA)
        c->many = true;
    c->items_left--;
    return rc == BAKE_OK ? next_item(c) : rc;
}

/* ---- the data -------------------------------------------------------------------------------- */

static int take_block(struct pg_custom *c, struct input *in)
{
    if (!take(c, in, 1))
        return BAKE_OK;
    if (c->raw[0] != DATA && c->raw[0] != BLOBS)
        return broken(c, "a block of data is of unknown type %d", c->raw[0]);
    c->blobs = c->raw[0] == BLOBS;
    c->part = BLOCK_ID;
    return BAKE_OK;
}

static int take_block_id(struct pg_custom *c, struct input *in)
{
    struct item wanted = {0};
    if (!take_int(c, in, &wanted.id))
        return BAKE_OK;
    c->block =
        c->n_items ? bsearch(&wanted, c->items, c->n_items, sizeof(*c->items), compare) : NULL;
    if (!c->block && !c->many)
        return broken(c, "there are data of item %lld, which is not in its table of contents",
                      (long long)wanted.id);
    if (c->block && c->block->seen)
        return broken(c, "the data of item %lld are there twice", (long long)wanted.id);
    if (c->block)
        c->block->seen = true;
    c->rows = (struct pg_rows){0};
    c->rows_done = false;
    c->part = c->blobs ? BLOB_OID : CHUNK_SIZE;
    return BAKE_OK;
}

static int take_blob(struct pg_custom *c, struct input *in)
{
    int64_t oid;
    if (!take_int(c, in, &oid))
        return BAKE_OK;
    c->found->large_objects += oid != 0;
    c->part = oid ? CHUNK_SIZE : BLOCK;
    return BAKE_OK;
}

static int end_block(struct pg_custom *c)
{
    const struct item *it = c->block;
    c->part = c->blobs ? BLOB_OID : BLOCK;
    if (c->blobs || !it || !it->rows || c->compressed)
        return BAKE_OK;
    const char *schema = c->names + it->at_name, *name = schema + it->n_schema;
    if (!c->rows_done)
        return broken(c, "the rows of table '%.*s.%.*s' have no end", (int)it->n_schema, schema,
                      (int)it->n_name, name);
    return pg_tables_add(&c->found->tables, schema, it->n_schema, name, it->n_name, c->rows.n);
}

static int take_chunk_size(struct pg_custom *c, struct input *in)
{
    if (!take_int(c, in, &c->chunk_left))
        return BAKE_OK;
    if (c->chunk_left < 0 || c->chunk_left > BLOCK_MAX)
        return broken(c, "a block of data is of impossible size");
    if (c->chunk_left == 0)
        return end_block(c);
    c->part = CHUNK;
    return BAKE_OK;
}

static int take_chunk(struct pg_custom *c, struct input *in)
{
    size_t n = (size_t)(in->end - in->at);
    if ((uint64_t)c->chunk_left < n)
        n = (size_t)c->chunk_left;
    if (!c->blobs && !c->compressed && !c->rows_done)
        (void)pg_rows_feed(&c->rows, in->at, n, &c->rows_done);
    in->at += n;
    c->chunk_left -= (int64_t)n;
    if (c->chunk_left == 0)
        c->part = CHUNK_SIZE;
    return BAKE_OK;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int pg_custom_feed(struct pg_custom *c, const char *data, size_t n)
{
    static int (*const parts[])(struct pg_custom *, struct input *) = {
        [HEAD] = take_head,
        [COMPRESSION] = take_compression,
        [TIMES] = take_times,
        [HEAD_TEXTS] = take_head_texts,
        [COUNT] = take_count,
        [ITEM] = take_field,
        [OFFSET] = take_offset,
        [BLOCK] = take_block,
        [BLOCK_ID] = take_block_id,
        [BLOB_OID] = take_blob,
        [CHUNK_SIZE] = take_chunk_size,
        [CHUNK] = take_chunk,
    };
    struct input in = {data, data + n};
    int rc = BAKE_OK;
    while (rc == BAKE_OK && in.at < in.end && c->part < BROKEN)
        rc = parts[c->part](c, &in);
    return rc;
}

int pg_custom_end(struct pg_custom *c)
{
    if (c->part == BROKEN)
        return BAKE_E_CORRUPT;
    if (c->part == FOREIGN)
        return BAKE_OK;
    if (c->part == HEAD && c->n_raw == 0) {
        (void)broken(c, "it is empty");
        return BAKE_E_CORRUPT;
    }
    if (c->part != BLOCK || c->n_raw > 0) {
        (void)broken(c, "it ends within %s",
                     c->part < BLOCK ? "its table of contents" : "its data");
        return BAKE_E_CORRUPT;
    }
    for (size_t i = 0; i < c->n_items; i++)
        if (!c->items[i].seen) {
            const char *schema = c->names + c->items[i].at_name;
            (void)broken(c, "the data of '%.*s.%.*s' (item %lld) are missing",
                         (int)c->items[i].n_schema, schema, (int)c->items[i].n_name,
                         schema + c->items[i].n_schema, (long long)c->items[i].id);
            return BAKE_E_CORRUPT;
        }
    return BAKE_OK;
}
