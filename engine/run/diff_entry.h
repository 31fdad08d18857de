/* Two entries of one path, and what they differ in. */
#ifndef BK_DIFF_ENTRY_H
#define BK_DIFF_ENTRY_H

#include "run/diff.h"

/* A file with several names in one backup. */
struct bk_diff_link {
    uint32_t type;
    uint64_t size;
    char *content;
    struct bk_diff_link *peer; /* the same in the other backup, once both had a name in common */
    char path[];               /* its first name */
};

/* All of one tree, in path order: they are added as the tree goes by. */
struct bk_diff_links {
    struct bk_diff_link **items;
    size_t n, cap;
};

/* An entry, with what a hard link's first name says of it. */
struct bk_diff_entry {
    const struct bake_entry *e;
    uint32_t type; /* BAKE_HARDLINK: of what is not known */
    uint64_t size;
    const char *content; /* of a file what tells contents apart, of a symbolic link its text */
    struct bk_diff_link *link; /* NULL: it has one name only, or nobody knows */
    char key[160];
};

/* e and identity (bk_compr_identity) must live as long as ret. */
int bk_diff_entry_of(const struct bake_entry *e, const char *identity, struct bk_diff_links *links,
                     struct bk_diff_entry *ret, struct bk_err *err);
/* BK_DIFF_* of an entry that is in both. What only one of them knows does not count. */
int bk_diff_fields(struct bk_diff_entry *a, struct bk_diff_links *a_links, struct bk_diff_entry *b,
                   struct bk_diff_links *b_links, unsigned *ret, struct bk_err *err);
void bk_diff_links_release(struct bk_diff_links *links);

#endif
