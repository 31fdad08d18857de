/* The names in one directory, in byte order, in bounded memory. */
#ifndef FILES_LIST_H
#define FILES_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct files_list;

struct files_budget { /* shared by the lists of one reader */
    size_t limit, used;
    unsigned long spilled; /* runs written to temporary files so far */
};

/* Does this name in the directory mean that nothing else in it is wanted? */
typedef bool files_is_tag_fn(const void *arg, int dirfd, const char *name);

/* Reads the directory fd (its offset must be at the start). If is_tag (may be NULL) says so of a
 * name, the list is that name alone. 0 or an errno. */
int files_list_read(int fd, struct files_budget *budget, files_is_tag_fn *is_tag, const void *arg,
                    struct files_list **ret);
/* The next name, good until the next call: 0, or ENOENT when there is none left, or an errno.
 * The same name twice in a row (a directory that changes may list it so) is given once. */
int files_list_next(struct files_list *l, const char **ret);
void files_list_free(struct files_list *l); /* NULL is fine */

#endif
