/* The list of secrets behind bk_mask(); log.c owns the only one. Not thread-safe by itself. */
#ifndef BK_MASK_H
#define BK_MASK_H

#include "base/buf.h"

struct bk_mask_item;

struct bk_masks {
    struct bk_mask_item *items; /* a list, in locked memory */
    unsigned char first[256];   /* 1 for each byte that some secret starts with */
};

/* Adds the secret as it is and as it looks in JSON, in a URL and in a printable form. Shorter ones
 * than 4 bytes are ignored: masking them would garble everything and hide nothing. */
int bk_masks_add(struct bk_masks *m, const char *secret);
/* Appends s to b, each secret in it as "***". Occurrences that overlap count as one. */
int bk_masks_apply(const struct bk_masks *m, const char *s, struct bk_buf *b);
void bk_masks_wipe(struct bk_masks *m);

#endif
