/* Objects with several names: which path had the first of them. */
#ifndef BKC_WALK_LINKS_H
#define BKC_WALK_LINKS_H

#include "walk/meta.h"

struct bkc_walk_links;

/* One directory's path, shared by the links in it. */
struct bkc_walk_dir;
int bkc_walk_dir_new(const char *path, size_t n, struct bkc_walk_dir **ret); /* 0 or ENOMEM */
void bkc_walk_dir_unref(struct bkc_walk_dir *d);                             /* NULL is fine */

int bkc_walk_links_new(struct bkc_walk_links **ret); /* 0 or ENOMEM */
void bkc_walk_links_free(struct bkc_walk_links *l);  /* NULL is fine */
/* Another name of the object. *ret: the first one's path, good until the next call; or NULL when
 * dir/name is the first, which is then remembered. Forgotten once all its names were seen. */
int bkc_walk_links_seen(struct bkc_walk_links *l, const struct bkc_walk_stat *st,
                        struct bkc_walk_dir *dir, const char *name, const char **ret);
/* The name that was given last as the first one has no data: the next name will be the first. */
void bkc_walk_links_forget(struct bkc_walk_links *l, const struct bkc_walk_stat *st);
size_t bkc_walk_links_count(const struct bkc_walk_links *l);

#endif
