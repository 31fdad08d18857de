/* Objects with several names: which path had the first of them. */
#ifndef FILES_LINKS_H
#define FILES_LINKS_H

#include "meta.h"

struct files_links;

/* One directory's path, shared by the links in it. */
struct files_dir;
int files_dir_new(const char *path, size_t n, struct files_dir **ret); /* 0 or ENOMEM */
void files_dir_unref(struct files_dir *d);                             /* NULL is fine */

int files_links_new(struct files_links **ret); /* 0 or ENOMEM */
void files_links_free(struct files_links *l);  /* NULL is fine */
/* Another name of the object. *ret: the first one's path, good until the next call; or NULL when
 * dir/name is the first, which is then remembered. Forgotten once all its names were seen. */
int files_links_seen(struct files_links *l, const struct files_stat *st, struct files_dir *dir,
                     const char *name, const char **ret);
/* The name that was given last as the first one has no data: the next name will be the first. */
void files_links_forget(struct files_links *l, const struct files_stat *st);
size_t files_links_count(const struct files_links *l);

#endif
