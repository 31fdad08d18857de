/* The YAML reader: positions, anchors, merge keys, limits. */
#include "config_testing.h"

#include "config/yaml.h"

struct fixture {
    struct bk_diags *diags;
    struct bk_yaml *yaml;
    const struct bk_node *root;
};

static void parse_n(struct fixture *f, const char *text, size_t n)
{
    struct bk_err err = {0};
    f->yaml = NULL;
    assert_int_equal(bk_diags_new("t.yaml", &f->diags, &err), 0);
    assert_int_equal(bk_yaml_parse(text, n, NULL, f->diags, &f->yaml, &err), 0);
    f->root = bk_yaml_root(f->yaml);
}

static void parse(struct fixture *f, const char *text) { parse_n(f, text, strlen(text)); }

static void drop(struct fixture *f)
{
    bk_yaml_free(f->yaml);
    bk_diags_free(f->diags);
}

static const struct bk_node *get(const struct bk_node *map, const char *key)
{
    const struct bk_node *n = bk_map_get(map, key, NULL);
    assert_non_null(n);
    return n;
}

static void text_is(const struct bk_node *map, const char *key, const char *text)
{
    const struct bk_node *n = get(map, key);
    assert_int_equal(n->type, BK_SCALAR);
    assert_string_equal(n->text, text);
}

static void at(const struct bk_node *n, int line, int col)
{
    assert_int_equal(n->at.line, line);
    assert_int_equal(n->at.col, col);
}

static void fails(const char *text, const char *wanted)
{
    struct fixture f;
    parse(&f, text);
    assert_null(f.root);
    assert_mistakes(f.diags, wanted);
    drop(&f);
}

static void test_tree_and_places(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f,
          "a: 1\nb:\n  - x\n  - {y: 'z', \"w\": ~}\n  -\n   - |\n     block\nc: \xC3\xA4  # no\n");
    assert_int_equal(f.root->type, BK_MAP);
    assert_int_equal(f.root->n, 3);
    at(f.root, 1, 1);
    text_is(f.root, "a", "1");
    at(get(f.root, "a"), 1, 4);
    const struct bk_node *b = get(f.root, "b"), *key = NULL;
    assert_int_equal(b->n, 3);
    at(b, 3, 3);
    at(b->items[1], 4, 5);
    assert_true(get(b->items[1], "y")->quoted);
    assert_false(b->items[0]->quoted);
    assert_true(bk_node_is_null(get(b->items[1], "w")));
    assert_true(b->items[2]->items[0]->quoted);
    assert_string_equal(b->items[2]->items[0]->text, "block\n");
    assert_non_null(bk_map_get(f.root, "c", &key));
    at(key, 8, 1);
    text_is(f.root, "c", "\xC3\xA4");
    assert_null(bk_map_get(f.root, "d", NULL));
    assert_null(bk_map_get(b, "d", NULL));
    assert_null(bk_map_get(NULL, "d", NULL));
    drop(&f);
}

static void test_null(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, "[~, null, Null, NULL, '', 'null', nil, !!str null]");
    static const bool wanted[] = {true, true, true, true, false, false, false, false};
    assert_int_equal(f.root->n, 8);
    for (size_t i = 0; i < f.root->n; i++)
        assert_int_equal(bk_node_is_null(f.root->items[i]), wanted[i]);
    assert_true(bk_node_is_null(NULL));
    assert_false(bk_node_is_null(f.root));
    drop(&f);
}

static void test_anchors(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, "a: &x {k: v}\nb: *x\n&y c: *y\nd: &x again\ne: *x\n");
    assert_ptr_equal(get(f.root, "a"), get(f.root, "b"));
    at(get(f.root, "b"), 1, 4);
    text_is(f.root, "c", "c");
    text_is(f.root, "e", "again");
    drop(&f);
    fails("a: *x\n", "1:4: '*x' is an alias, but there is no anchor '&x' before it; a text that "
                     "starts with '*' goes in quotes\n");
    fails("a: &x [1, *x]\n", "1:11: '*x' stands within its own anchor\n");
}

static void test_merge(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, "base: &b {one: 1, two: 2}\nmore: &m {two: II, three: 3}\n"
              "both: {<<: [*b, *m], one: own}\nsingle:\n  <<: *m\n  four: 4\n"
              "plain: {'<<': text}\nchain: &c {<<: *b, five: 5}\nlast: {<<: *c}\n");
    const struct bk_node *both = get(f.root, "both");
    assert_int_equal(both->n, 3);
    text_is(both, "one", "own");
    text_is(both, "two", "2");
    text_is(both, "three", "3");
    at(get(both, "two"), 1, 24);
    const struct bk_node *single = get(f.root, "single");
    assert_int_equal(single->n, 3);
    text_is(single, "two", "II");
    text_is(single, "four", "4");
    text_is(get(f.root, "plain"), "<<", "text");
    text_is(get(f.root, "last"), "one", "1");
    text_is(get(f.root, "last"), "five", "5");
    drop(&f);
    fails("a: {<<: 1}\n", "1:9: '<<' takes a map or a list of maps, got text\n");
    fails("a: {<<: [{}, []]}\n", "1:14: '<<' takes a map or a list of maps, got a list\n");
}

static void test_keys(void **state)
{
    (void)state;
    fails("{[a]: b}\n", "1:2: a key must be a word, got a list\n");
    fails("? {a: b}\n: c\n", "1:3: a key must be a word, got a map\n");
}

static void test_duplicates_do_not_end_it(void **state)
{
    (void)state;
    struct fixture f;
    struct bk_fill how = {0};
    struct bk_err err = {0};
    parse(&f, "a: 1\nb: {c: 1, d: 2, c: 3}\na: 2\na: 3\n");
    assert_non_null(f.root);
    text_is(f.root, "a", "1");
    assert_int_equal(bk_diags_errors(f.diags), 0);
    static const char *const only[] = {"b", NULL};
    how.only = only;
    assert_int_equal(bk_yaml_fill(f.yaml, f.root, &how, f.diags, &err), 0);
    assert_mistakes(f.diags, "2:17: 'c' is given twice; first in line 2\n");
    how.only = NULL;
    assert_int_equal(bk_yaml_fill(f.yaml, f.root, &how, f.diags, &err), 0);
    assert_mistakes(f.diags, "2:17: 'c' is given twice; first in line 2\n"
                             "3:1: 'a' is given twice; first in line 1\n"
                             "4:1: 'a' is given twice; first in line 1\n");
    drop(&f);
}

static void test_tags(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, "{a: !!str 1, b: !!map {}, c: ! 2, d: !!seq []}\n");
    assert_true(get(f.root, "a")->quoted);
    assert_true(get(f.root, "c")->quoted);
    drop(&f);
    fails("a: !!int 1\n", "1:4: the tag '!!int' is not supported\n");
    fails("a: !env HOME\n", "1:4: the tag '!env' is not supported\n");
    fails("a: !x [1]\n", "1:4: the tag '!x' is not supported\n");
}

static void test_bytes(void **state)
{
    (void)state;
    struct fixture f;
    fails("a: \xff\n", "1:4: the file is not UTF-8: byte 0xff\n");
    fails("\xC3\xA4: \xC0\xAF\n", "1:4: the file is not UTF-8: byte 0xc0\n");
    fails("a: \xED\xA0\x80\n", "1:4: the file is not UTF-8: byte 0xed\n");
    fails("a: \xF4\x90\x80\x80\n", "1:4: the file is not UTF-8: byte 0xf4\n");
    fails("a: \xE2\x82", "1:4: the file is not UTF-8: byte 0xe2\n");
    fails("a: 1\nb: \x01\n", "2:4: control character 0x01 is not allowed\n");
    fails("a: \x7f\n", "1:4: control character 0x7f is not allowed\n");
    fails("\xFF\xFE"
          "a",
          "1:1: the file is UTF-16; save it as UTF-8\n");
    fails("a: \"x\\0y\"\n", "1:4: a NUL character is not allowed\n");
    parse_n(&f, "a: \0\n", 5);
    assert_mistakes(f.diags, "1:4: control character 0x00 is not allowed\n");
    drop(&f);
    parse(&f, "\xEF\xBB\xBF"
              "a: \xF0\x9F\x98\x80\n");
    at(get(f.root, "a"), 1, 4);
    drop(&f);
}

static void test_empty(void **state)
{
    (void)state;
    fails("", "0:0: the file is empty\n");
    fails("# only this\n", "0:0: the file is empty\n");
    fails("--- \n", "0:0: the file is empty\n");
    fails("~\n", "0:0: the file is empty\n");
}

static void test_documents(void **state)
{
    (void)state;
    struct fixture f;
    parse(&f, "---\na: 1\n...\n");
    text_is(f.root, "a", "1");
    drop(&f);
    fails("a: 1\n---\nb: 2\n", "2:1: a second document starts here; a file holds one\n");
    fails("--- ''\n---\n", "2:1: a second document starts here; a file holds one\n");
}

/* n times open, then n times close */
static char *nested(size_t n, const char *open, const char *close)
{
    struct bk_buf b = BK_BUF_INIT;
    for (size_t i = 0; i < n; i++)
        (void)bk_buf_str(&b, open);
    for (size_t i = 0; i < n; i++)
        (void)bk_buf_str(&b, close);
    char *text = bk_buf_take(&b);
    assert_non_null(text);
    return text;
}

static void test_depth(void **state)
{
    (void)state;
    struct fixture f;
    char *text = nested(BK_YAML_MAX_DEPTH, "[", "]");
    parse(&f, text);
    assert_non_null(f.root);
    drop(&f);
    free(text);
    text = nested(BK_YAML_MAX_DEPTH + 1, "[", "]");
    fails(text, "1:65: nested deeper than 64 levels\n");
    free(text);
    text = nested(1000000, "{a: ", "}");
    fails(text, "1:257: nested deeper than 64 levels\n");
    free(text);
}

static void test_depth_by_aliases(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    (void)bk_buf_str(&b, "- &a0 [[[[[[[[[[]]]]]]]]]]\n");
    for (int i = 1; i < 10; i++)
        (void)bk_buf_printf(&b, "- &a%d [[[[[[[[[*a%d]]]]]]]]]\n", i, i - 1);
    fails(b.data, "7:16: nested deeper than 64 levels\n");
    bk_buf_free(&b);
}

static void test_bombs(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    struct fixture f;
    (void)bk_buf_str(&b, "- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++)
        (void)bk_buf_printf(&b, "- &a%d [*a%d, *a%d, *a%d]\n", i, i - 1, i - 1, i - 1);
    parse(&f, b.data);
    assert_null(f.root);
    assert_int_equal(bk_diags_errors(f.diags), 1);
    drop(&f);
    bk_buf_clear(&b);
    (void)bk_buf_str(&b, "- &m0 {a: 1, b: 2}\n");
    for (int i = 1; i < 40; i++)
        (void)bk_buf_printf(&b, "- &m%d {<<: *m%d, p: *m%d, q: *m%d}\n", i, i - 1, i - 1, i - 1);
    parse(&f, b.data);
    assert_null(f.root);
    drop(&f);
    bk_buf_clear(&b);
    for (unsigned i = 0; i <= BK_YAML_MAX_ANCHORS; i++)
        (void)bk_buf_printf(&b, "- &n%u x\n", i);
    fails(b.data, "1001:3: more than 1000 anchors\n");
    bk_buf_free(&b);
}

static void test_many_keys(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    struct fixture f;
    for (int i = 0; i < 49000; i++)
        (void)bk_buf_printf(&b, "k%d: v\n", i);
    parse(&f, b.data);
    assert_non_null(f.root);
    assert_int_equal(f.root->n, 49000);
    drop(&f);
    (void)bk_buf_str(&b, "m:\n  <<: {}\n");
    for (int i = 0; i < 500; i++)
        (void)bk_buf_printf(&b, "  k%d: v\n", i);
    parse(&f, b.data);
    assert_non_null(f.root);
    assert_int_equal(get(f.root, "m")->n, 500);
    drop(&f);
    for (int i = 0; i < 1000; i++)
        (void)bk_buf_printf(&b, "l%d: v\n", i);
    parse(&f, b.data);
    assert_null(f.root); /* too many now */
    drop(&f);
    bk_buf_free(&b);
}

static void test_merge_limit(void **state)
{
    (void)state;
    struct bk_buf b = BK_BUF_INIT;
    (void)bk_buf_str(&b, "a: {<<: {");
    for (int i = 0; i < 1000; i++)
        (void)bk_buf_printf(&b, "k%d: v, ", i);
    (void)bk_buf_str(&b, "}}\n");
    fails(b.data, "1:5: '<<' brings in more than 1000 keys\n");
    bk_buf_free(&b);
}

static void test_files(void **state)
{
    (void)state;
    struct scratch s;
    struct bk_err err = {0};
    struct fixture f = {0};
    static const char *const names[] = {"a.yaml", NULL};
    scratch_make(&s);
    assert_int_equal(bk_diags_new("a.yaml", &f.diags, &err), 0);
    assert_int_equal(bk_yaml_load("/nonexistent/a.yaml", NULL, f.diags, &f.yaml, &err),
                     BAKE_E_NOTFOUND);
    assert_true(bk_yaml_load(s.dir, NULL, f.diags, &f.yaml, &err) < 0);
    write_file(&s, "a.yaml", 0644, "a: 1\n", 5);
    assert_int_equal(bk_yaml_load(s.path, NULL, f.diags, &f.yaml, &err), 0);
    assert_true(bk_yaml_is_public(f.yaml));
    bk_yaml_free(f.yaml);
    assert_int_equal(chmod(s.path, 0640), 0);
    assert_int_equal(bk_yaml_load(s.path, NULL, f.diags, &f.yaml, &err), 0);
    assert_false(bk_yaml_is_public(f.yaml));
    bk_yaml_free(f.yaml);
    assert_int_equal(truncate(s.path, BK_YAML_MAX_BYTES + 1), 0);
    f.yaml = NULL;
    assert_true(bk_yaml_load(s.path, NULL, f.diags, &f.yaml, &err) < 0);
    assert_null(f.yaml);
    assert_int_equal(bk_diags_errors(f.diags), 0);
    bk_diags_free(f.diags);
    scratch_remove(&s, names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_and_places),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_anchors),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_duplicates_do_not_end_it),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_depth_by_aliases),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_merge_limit),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
