/* run/diff_entry: what two entries of one path differ in; which names are one file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/diff_entry.h"

#include <stdio.h>
#include <string.h>

struct pair {
    struct bk_diff_links a, b;
    struct bk_diff_entry x, y;
};

static unsigned fields_of(struct pair *p, const struct bake_entry *a, const char *a_content,
                          const struct bake_entry *b, const char *b_content)
{
    struct bk_err err = {0};
    unsigned fields = 0;

    assert_int_equal(bk_diff_entry_of(a, a_content, &p->a, &p->x, &err), 0);
    assert_int_equal(bk_diff_entry_of(b, b_content, &p->b, &p->y, &err), 0);
    assert_int_equal(bk_diff_fields(&p->x, &p->a, &p->y, &p->b, &fields, &err), 0);
    return fields;
}

static void release(struct pair *p)
{
    bk_diff_links_release(&p->a);
    bk_diff_links_release(&p->b);
}

/* For what has nothing to do with hard links. */
static unsigned fields(const struct bake_entry *a, const char *a_content,
                       const struct bake_entry *b, const char *b_content)
{
    struct pair p = {0};
    unsigned ret = fields_of(&p, a, a_content, b, b_content);

    release(&p);
    return ret;
}

static struct bake_entry entry(uint32_t type)
{
    return (struct bake_entry){.struct_size = sizeof(struct bake_entry),
                               .type = type,
                               .valid = BAKE_HAS_MODE | BAKE_HAS_OWNER | BAKE_HAS_MTIME |
                                        BAKE_HAS_CTIME | BAKE_HAS_INODE | BAKE_HAS_XATTRS,
                               .path = "p",
                               .user = "u",
                               .group = "g",
                               .mode = 0644,
                               .nlink = 1,
                               .mtime_ns = 5,
                               .ctime_ns = 6};
}

static void metadata(void **state)
{
    (void)state;
    struct bake_entry a = entry(BAKE_FILE), b = a;

    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    b.ctime_ns = 7; /* none of it comes back with a restore */
    b.inode = 8;
    b.device = 9;
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    b = a;
    b.mode = 0600;
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_MODE);
    b = a;
    b.gid = 1;
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_OWNER);
    b = a;
    b.user = "v";
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_OWNER);
    b.user = NULL; /* not known any more is no difference */
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    b = a;
    b.mtime_ns++;
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_MTIME);
    b.valid &= ~(unsigned)BAKE_HAS_MTIME;
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
}

static void contents(void **state)
{
    (void)state;
    struct bake_entry a = entry(BAKE_FILE), b = a;
    struct bake_extent first = {0, 4096}, second = {4096, 4096};

    assert_int_equal(fields(&a, "x", &b, "y"), BK_DIFF_CONTENT);
    b.size = 1; /* a hole at the end */
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_CONTENT);
    a.size = b.size = 8192;
    a.extents = &first;
    b.extents = &first;
    a.n_extents = b.n_extents = 1;
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    b.extents = &second; /* the same bytes elsewhere */
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_CONTENT);

    a = b = entry(BAKE_SYMLINK);
    a.link = "here";
    b.link = "there";
    assert_int_equal(fields(&a, "", &b, ""), BK_DIFF_LINK);
    b = entry(BAKE_FILE);
    b.mode = 0;
    assert_int_equal(fields(&a, "", &b, "x"), BK_DIFF_TYPE | BK_DIFF_MODE);
    a = b = entry(BAKE_CHARDEV);
    b.dev_minor = 1;
    assert_int_equal(fields(&a, "", &b, ""), BK_DIFF_DEVICE);
    a.type = BAKE_BLOCKDEV;
    assert_int_equal(fields(&a, "", &b, ""), BK_DIFF_TYPE);
}

#define ONE   "user.a\0\2\0\0\0xy"
#define OTHER "user.b\0\0\0\0\0"
#define THIRD "user.b\0\0\0\1\0"
#define SET(e, text)                                                                               \
    do {                                                                                           \
        (e).xattrs = (text);                                                                       \
        (e).xattrs_size = sizeof(text) - 1;                                                        \
    } while (0)

static void attributes(void **state)
{
    (void)state;
    struct bake_entry a = entry(BAKE_FILE), b = a;

    SET(a, ONE OTHER);
    SET(b, OTHER ONE);
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    SET(b, OTHER OTHER);
    a.xattrs_size = b.xattrs_size = sizeof(ONE) - 1;
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_XATTRS);
    SET(a, ONE OTHER);
    SET(b, ONE);
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_XATTRS);
    b.valid &= ~(unsigned)BAKE_HAS_XATTRS; /* not looked at */
    assert_int_equal(fields(&a, "x", &b, "x"), 0);
    b = a;
    SET(a, THIRD ONE); /* not packed as it should be: nothing is read beyond it */
    SET(b, ONE THIRD);
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_XATTRS);
    SET(a, "no end, no end");
    SET(b, "of any kind...");
    assert_int_equal(fields(&a, "x", &b, "x"), BK_DIFF_XATTRS);
}

static struct bake_entry file(const char *path, uint64_t nlink)
{
    struct bake_entry e = entry(BAKE_FILE);

    e.path = path;
    e.nlink = nlink;
    return e;
}

static struct bake_entry hard(const char *path, const char *first)
{
    struct bake_entry e = entry(BAKE_HARDLINK);

    e.path = path;
    e.link = first;
    e.nlink = 2;
    return e;
}

/* b and c were one file; a, b and c are. */
static void another_first_name(void **state)
{
    (void)state;
    struct bake_entry b1 = file("b", 2), c1 = hard("c", "b");
    struct bake_entry a2 = file("a", 3), b2 = hard("b", "a"), c2 = hard("c", "a");
    struct pair p = {0};
    struct bk_err err = {0};

    assert_int_equal(bk_diff_entry_of(&a2, "x", &p.b, &p.y, &err), 0); /* told as new */
    assert_int_equal(fields_of(&p, &b1, "x", &b2, ""), 0);
    assert_int_equal(p.y.type, BAKE_FILE);
    assert_int_equal(fields_of(&p, &c1, "", &c2, ""), 0);
    release(&p);
    memset(&p, 0, sizeof(p));
    assert_int_equal(bk_diff_entry_of(&a2, "y", &p.b, &p.y, &err), 0); /* with other bytes */
    assert_int_equal(fields_of(&p, &b1, "x", &b2, ""), BK_DIFF_CONTENT);
    assert_int_equal(fields_of(&p, &c1, "", &c2, ""), BK_DIFF_CONTENT);
    release(&p);
}

/* The same bytes throughout: linked together and taken apart. */
static void together_and_apart(void **state)
{
    (void)state;
    struct bake_entry a1 = file("a", 1), b1 = file("b", 1);
    struct bake_entry a2 = file("a", 2), b2 = hard("b", "a");
    struct pair p = {0};

    assert_int_equal(fields_of(&p, &a1, "x", &a2, "x"), 0);
    assert_int_equal(fields_of(&p, &b1, "x", &b2, ""), BK_DIFF_LINK);
    release(&p);
    memset(&p, 0, sizeof(p));
    assert_int_equal(fields_of(&p, &a2, "x", &a1, "x"), 0);
    assert_int_equal(fields_of(&p, &b2, "", &b1, "x"), BK_DIFF_LINK);
    release(&p);
}

/* a and b were one file, b is what is left of it. */
static void one_name_left(void **state)
{
    (void)state;
    struct bake_entry a1 = file("a", 2), b1 = hard("b", "a"), b2 = file("b", 1);
    struct pair p = {0};
    struct bk_err err = {0};

    assert_int_equal(bk_diff_entry_of(&a1, "x", &p.a, &p.x, &err), 0); /* told as gone */
    assert_int_equal(fields_of(&p, &b1, "", &b2, "x"), 0);
    release(&p);
}

/* Nothing is known of the first name, or (an archive's listing) not even that. */
static void of_unknown_files(void **state)
{
    (void)state;
    struct bake_entry a = hard("b", "a"), b = hard("b", "a"), listed = file("b", 2);

    assert_int_equal(fields(&a, "", &b, ""), 0);
    b.link = "c";
    assert_int_equal(fields(&a, "", &b, ""), BK_DIFF_LINK);
    assert_int_equal(fields(&listed, "", &listed, ""), 0);
    assert_int_equal(fields(&listed, "x", &listed, ""), BK_DIFF_TYPE);
}

static void thousands(void **state)
{
    (void)state;
    static char paths[3000][8], links[3000][8];
    struct pair p = {0};

    for (size_t i = 0; i < 3000; i++) { /* in order: "0000" ... "2999", each with its "a" */
        struct bake_entry f, h;

        (void)snprintf(paths[i], sizeof(paths[i]), "%04zu", i);
        (void)snprintf(links[i], sizeof(links[i]), "%04zua", i);
        f = file(paths[i], 2);
        h = hard(links[i], paths[i]);
        assert_int_equal(fields_of(&p, &f, paths[i], &f, paths[i]), 0);
        assert_int_equal(fields_of(&p, &h, "", &h, ""), 0);
        assert_ptr_not_equal(p.x.link, NULL);
        assert_string_equal(p.x.link->content, paths[i]);
    }
    assert_int_equal(p.a.n, 3000);
    for (size_t i = 0; i < 3000; i++) { /* a second name of each, at the end */
        struct bake_entry h = hard("z", paths[i]), other = hard("z", paths[(i + 1) % 3000]);

        assert_int_equal(fields_of(&p, &h, "", &h, ""), 0);
        assert_int_equal(fields_of(&p, &h, "", &other, ""), BK_DIFF_CONTENT | BK_DIFF_LINK);
    }
    release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata),           cmocka_unit_test(contents),
        cmocka_unit_test(attributes),         cmocka_unit_test(another_first_name),
        cmocka_unit_test(together_and_apart), cmocka_unit_test(one_name_left),
        cmocka_unit_test(of_unknown_files),   cmocka_unit_test(thousands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
