/* Reads YAML with libyaml's events into a tree of nodes. */
#include "config/yaml_internal.h"

#include "base/cleanup.h"
#include "base/io.h"
#include "base/str.h"
#include "config/yaml_problem.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#define STOP 1 /* a mistake that was reported; there is no tree */

struct anchor {
    char *name;
    struct bk_ynode *node; /* NULL until it is complete: an alias to it now is a cycle */
};

struct load {
    yaml_parser_t parser;
    struct bk_yaml *y;
    struct bk_diags *diags;
    struct bk_err *err;
    const char *text; /* what is parsed, for messages */
    size_t text_len;
    struct bk_ynode **stack; /* children of the collections that are open */
    size_t n_stack, cap_stack;
    struct anchor *anchors;
    size_t n_anchors;
    size_t total; /* nodes so far, aliases counted as often as used */
};

static int read_node(struct load *l, yaml_event_t *event, unsigned depth, struct bk_ynode **ret);

static struct bk_pos place(yaml_mark_t mark)
{
    return (struct bk_pos){(int)mark.line + 1, (int)mark.column + 1};
}

static int next_event(struct load *l, yaml_event_t *event)
{
    if (yaml_parser_parse(&l->parser, event))
        return 0;
    if (l->parser.error == YAML_MEMORY_ERROR)
        return bk_nomem(l->err);
    bk_yaml_problem(&l->parser, l->text, l->text_len, l->diags);
    return STOP;
}

/* Values may be secrets: libyaml frees without overwriting. */
static void drop_event(yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.value)
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    yaml_event_delete(event);
}

/* ---- nodes ------------------------------------------------------------------------------------
 */

static int count(struct load *l, struct bk_pos at, size_t nodes)
{
    if (nodes > BK_YAML_MAX_NODES - l->total) {
        bk_diag_error(l->diags, at,
                      "more than %u values, aliases counted as often as they are used",
                      BK_YAML_MAX_NODES);
        return STOP;
    }
    l->total += nodes;
    return 0;
}

static int new_node(struct load *l, enum bk_node_type type, struct bk_pos at, struct bk_ynode **ret)
{
    int rc = count(l, at, 1);
    if (rc)
        return rc;
    struct bk_ynode *node = bk_optmem_alloc(l->y->mem, sizeof(*node));
    if (!node)
        return bk_nomem(l->err);
    node->node.type = type;
    node->node.at = at;
    node->weight = 1;
    *ret = node;
    return 0;
}

static int push(struct load *l, struct bk_ynode *node)
{
    if (l->n_stack == l->cap_stack) {
        size_t cap = l->cap_stack ? l->cap_stack * 2 : 64;
        struct bk_ynode **stack = reallocarray(l->stack, cap, sizeof(struct bk_ynode *));
        if (!stack)
            return bk_nomem(l->err);
        l->stack = stack;
        l->cap_stack = cap;
    }
    l->stack[l->n_stack++] = node;
    return 0;
}

/* ---- anchors ----------------------------------------------------------------------------------
 */

static int add_anchor(struct load *l, const yaml_char_t *name, struct bk_pos at)
{
    if (l->n_anchors == BK_YAML_MAX_ANCHORS) {
        bk_diag_error(l->diags, at, "more than %u anchors", BK_YAML_MAX_ANCHORS);
        return STOP;
    }
    struct anchor *anchors = reallocarray(l->anchors, l->n_anchors + 1, sizeof(*anchors));
    if (!anchors)
        return bk_nomem(l->err);
    l->anchors = anchors;
    anchors[l->n_anchors] = (struct anchor){bk_strdup((const char *)name), NULL};
    if (!anchors[l->n_anchors].name)
        return bk_nomem(l->err);
    l->n_anchors++;
    return 0;
}

/* A scalar becomes a node of its own: one use may be a key, another a value. */
static int copy_scalar(struct load *l, const struct bk_ynode *from, struct bk_ynode **ret)
{
    int rc = new_node(l, BK_SCALAR, from->node.at, ret);
    if (rc == 0) {
        (*ret)->node.text = from->node.text;
        (*ret)->node.quoted = from->node.quoted;
    }
    return rc;
}

static int read_alias(struct load *l, const yaml_event_t *event, unsigned depth,
                      struct bk_ynode **ret)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct bk_pos at = place(event->start_mark);
    char shown[BK_QUOTE_CAP];
    size_t i = l->n_anchors;
    while (i && strcmp(l->anchors[i - 1].name, name) != 0)
        i--;
    if (i == 0) {
        bk_diag_error(l->diags, at,
                      "'*%s' is an alias, but there is no anchor '&%s' before it; "
                      "a text that starts with '*' goes in quotes",
                      bk_quote(shown, name), shown);
        return STOP;
    }
    struct bk_ynode *target = l->anchors[i - 1].node;
    if (!target) {
        bk_diag_error(l->diags, at, "'*%s' stands within its own anchor", bk_quote(shown, name));
        return STOP;
    }
    if (target->node.type == BK_SCALAR)
        return copy_scalar(l, target, ret);
    if (depth + target->height > BK_YAML_MAX_DEPTH) {
        bk_diag_error(l->diags, at, "nested deeper than %u levels", BK_YAML_MAX_DEPTH);
        return STOP;
    }
    *ret = target;
    return count(l, at, target->weight);
}

/* ---- scalars and collections ------------------------------------------------------------------
 */

/* Whether a tag is one that changes nothing but "this is text". */
static int check_tag(struct load *l, const yaml_event_t *event, const yaml_char_t *tag,
                     const char *allowed)
{
    static const char prefix[] = "tag:yaml.org,2002:"; /* written as "!!" */
    const char *text = (const char *)tag;
    char shown[BK_QUOTE_CAP];
    if (!text || strcmp(text, "!") == 0 || strcmp(text, allowed) == 0)
        return 0;
    bool is_short = bk_starts(text, prefix);
    bk_diag_error(l->diags, place(event->start_mark), "the tag '%s%s' is not supported",
                  is_short ? "!!" : "", bk_quote(shown, is_short ? text + strlen(prefix) : text));
    return STOP;
}

static int read_scalar(struct load *l, const yaml_event_t *event, struct bk_ynode **ret)
{
    struct bk_pos at = place(event->start_mark);
    const char *text = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    int rc = check_tag(l, event, event->data.scalar.tag, YAML_STR_TAG);
    if (rc)
        return rc;
    if (memchr(text, '\0', n)) {
        bk_diag_error(l->diags, at, "a NUL character is not allowed");
        return STOP;
    }
    rc = new_node(l, BK_SCALAR, at, ret);
    if (rc)
        return rc;
    struct bk_node *node = &(*ret)->node;
    node->text = bk_optmem_text(l->y->mem, text, n);
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || event->data.scalar.tag;
    return node->text ? 0 : bk_nomem(l->err);
}

/* Reads children up to the collection's end onto the stack. */
static int read_children(struct load *l, unsigned depth)
{
    for (;;) {
        yaml_event_t event;
        struct bk_ynode *child = NULL;
        int rc = next_event(l, &event);
        if (rc)
            return rc;
        bool ends = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
        if (!ends)
            rc = read_node(l, &event, depth + 1, &child);
        drop_event(&event);
        if (ends || rc)
            return rc;
        rc = push(l, child);
        if (rc)
            return rc;
    }
}

static int take_children(struct load *l, struct bk_ynode *node, size_t base)
{
    const size_t step = node->node.type == BK_MAP ? 2 : 1;
    const size_t n = (l->n_stack - base) / step;
    struct bk_node **lists = bk_optmem_array(l->y->mem, n * step, sizeof(struct bk_node *));
    if (!lists)
        return bk_nomem(l->err);
    for (size_t i = 0; i < n * step; i++) {
        struct bk_ynode *child = l->stack[base + i];
        lists[i % step * n + i / step] = &child->node;
        node->weight += child->weight;
        if (child->height >= node->height)
            node->height = child->height + 1;
    }
    node->node.n = n;
    node->node.keys = step == 2 ? lists : NULL;
    node->node.items = step == 2 ? lists + n : lists;
    l->n_stack = base;
    return 0;
}

static int read_collection(struct load *l, const yaml_event_t *event, unsigned depth,
                           struct bk_ynode **ret)
{
    const bool is_map = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag =
        is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    struct bk_pos at = place(event->start_mark);
    int rc = check_tag(l, event, tag, is_map ? YAML_MAP_TAG : YAML_SEQ_TAG);
    if (rc)
        return rc;
    if (depth > BK_YAML_MAX_DEPTH) {
        bk_diag_error(l->diags, at, "nested deeper than %u levels", BK_YAML_MAX_DEPTH);
        return STOP;
    }
    rc = new_node(l, is_map ? BK_MAP : BK_SEQ, at, ret);
    if (rc)
        return rc;
    (*ret)->height = 1;
    size_t base = l->n_stack;
    rc = read_children(l, depth);
    if (rc == 0)
        rc = take_children(l, *ret, base);
    if (rc || !is_map)
        return rc;
    size_t weight = (*ret)->weight;
    rc = bk_yaml_finish_map(l->y, *ret, l->diags, l->err);
    return rc ? rc : count(l, at, (*ret)->weight - weight); /* what "<<" brought in */
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static int read_node(struct load *l, yaml_event_t *event, unsigned depth, struct bk_ynode **ret)
{
    if (event->type == YAML_ALIAS_EVENT)
        return read_alias(l, event, depth, ret);
    const size_t mine = l->n_anchors;
    const bool has_anchor = anchor_of(event) != NULL;
    int rc = has_anchor ? add_anchor(l, anchor_of(event), place(event->start_mark)) : 0;
    if (rc)
        return rc;
    rc = event->type == YAML_SCALAR_EVENT ? read_scalar(l, event, ret)
                                          : read_collection(l, event, depth, ret);
    if (rc == 0 && has_anchor)
        l->anchors[mine].node = *ret;
    return rc;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static int read_document(struct load *l, yaml_event_t *event)
{
    struct bk_ynode *root = NULL;
    int rc = read_node(l, event, 1, &root);
    if (rc)
        return rc;
    l->y->root = root;
    return 0;
}

/* One event of the stream, outside a document's content but for its first node. */
static int read_step(struct load *l, bool *ret_ended)
{
    yaml_event_t event;
    int rc = next_event(l, &event);
    if (rc)
        return rc;
    if (event.type == YAML_STREAM_END_EVENT) {
        *ret_ended = true;
    } else if (event.type == YAML_DOCUMENT_START_EVENT && l->y->root) {
        bk_diag_error(l->diags, place(event.start_mark),
                      "a second document starts here; a file holds one");
        rc = STOP;
    } else if (event.type != YAML_STREAM_START_EVENT && event.type != YAML_DOCUMENT_START_EVENT &&
               event.type != YAML_DOCUMENT_END_EVENT) {
        rc = read_document(l, &event);
    }
    drop_event(&event);
    return rc;
}

static int read_stream(struct load *l)
{
    bool ended = false;
    while (!ended) {
        int rc = read_step(l, &ended);
        if (rc)
            return rc;
    }
    if (!l->y->root || (l->y->root->node.type == BK_SCALAR && bk_node_is_null(&l->y->root->node))) {
        bk_diag_error(l->diags, (struct bk_pos){0, 0}, "the file is empty");
        return STOP;
    }
    return 0;
}

static void drop_parser(struct load *l)
{
    yaml_parser_t *p = &l->parser; /* what it buffered may be secret */
    if (p->buffer.start)
        explicit_bzero(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
    if (p->raw_buffer.start)
        explicit_bzero(p->raw_buffer.start, (size_t)(p->raw_buffer.end - p->raw_buffer.start));
    yaml_parser_delete(p);
    for (size_t i = 0; i < l->n_anchors; i++)
        free(l->anchors[i].name);
    free(l->anchors);
    free(l->stack);
}

static int read_text(struct bk_yaml *y, const char *text, size_t n, struct bk_diags *diags,
                     struct bk_err *err)
{
    struct load l = {.y = y, .diags = diags, .err = err, .text = text, .text_len = n};
    if (!bk_yaml_check_text(text, n, diags))
        return 0;
    if (n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        l.text += 3;
        l.text_len -= 3;
    }
    if (!yaml_parser_initialize(&l.parser))
        return bk_nomem(err);
    yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)l.text, l.text_len);
    int rc = read_stream(&l);
    drop_parser(&l);
    if (rc)
        y->root = NULL;
    return rc < 0 ? rc : 0;
}

int bk_yaml_parse(const char *text, size_t n, const struct bk_env *env, struct bk_diags *diags,
                  struct bk_yaml **ret, struct bk_err *err)
{
    struct bk_yaml *y = calloc(1, sizeof(*y));
    if (!y)
        return bk_nomem(err);
    int rc = bk_optmem_new(&y->mem, err);
    if (rc == 0)
        rc = read_text(y, text, n, diags, err);
    if (rc == 0 && env && y->root)
        rc = bk_yaml_fill(y, &y->root->node, &(struct bk_fill){.env = env}, diags, err);
    if (rc < 0) {
        bk_yaml_free(y);
        return rc;
    }
    *ret = y;
    return 0;
}

int bk_yaml_load(const char *path, const struct bk_env *env, struct bk_diags *diags,
                 struct bk_yaml **ret, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_wipe) = BK_BUF_INIT;
    struct stat st;
    int rc = bk_read_file(path, BK_YAML_MAX_BYTES, &text, err);
    if (rc < 0)
        return rc;
    rc = bk_yaml_parse(text.data ? text.data : "", text.len, env, diags, ret, err);
    if (rc == 0)
        (*ret)->is_public = stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH);
    return rc;
}

const struct bk_node *bk_yaml_root(const struct bk_yaml *y)
{
    return y->root ? &y->root->node : NULL;
}

bool bk_yaml_is_public(const struct bk_yaml *y) { return y->is_public; }

void bk_yaml_free(struct bk_yaml *y)
{
    if (!y)
        return;
    bk_optmem_free(y->mem);
    free(y);
}
