/* The names in one directory, in byte order, in bounded memory. */
#ifndef BKC_WALK_LIST_H
#define BKC_WALK_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct bkc_walk_list;

struct bkc_walk_budget { /* shared by the lists of one reader */
    size_t limit, used;
    unsigned long spilled; /* runs written to temporary files so far */
};

/* Does this name in the directory mean that nothing else in it is wanted? */
typedef bool bkc_walk_is_tag_fn(const void *arg, int dirfd, const char *name);

/* Reads the directory fd (its offset must be at the start). If is_tag (may be NULL) says so of a
 * name, the list is that name alone. 0 or an errno. */
int bkc_walk_list_read(int fd, struct bkc_walk_budget *budget, bkc_walk_is_tag_fn *is_tag,
                       const void *arg, struct bkc_walk_list **ret);
/* The next name, good until the next call: 0, or ENOENT when there is none left, or an errno.
 * The same name twice in a row (a directory that changes may list it so) is given once. */
int bkc_walk_list_next(struct bkc_walk_list *l, const char **ret);
void bkc_walk_list_free(struct bkc_walk_list *l); /* NULL is fine */

#endif
