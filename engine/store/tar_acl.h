/* POSIX ACLs: the kernel's packed form (the attributes system.posix_acl_access and _default, as
 * in struct bake_entry) to and from libarchive's. Inside of the tar writer and reader. */
#ifndef BK_TAR_ACL_H
#define BK_TAR_ACL_H

#include "base/buf.h"

#include <archive_entry.h>
#include <stdbool.h>

#define BK_ACL_ACCESS  "system.posix_acl_access"
#define BK_ACL_DEFAULT "system.posix_acl_default"

/* False: not an ACL as we know it, nothing was added. */
bool bk_acl_to_archive(struct archive_entry *ae, const char *name, const void *value, size_t n);
/* Appends the kernel's form of the entry's ACL, if it has one that says more than the mode; names
 * are looked up on this system. *mask gets the access ACL's mask if there is one. */
int bk_acl_from_archive(struct archive_entry *ae, int type, struct bk_buf *out, int *mask);

#endif
