/* POSIX ACLs between the kernel's packed form and libarchive's entries. */
#include "store/tar_acl.h"

#include "base/str.h"

#include <archive.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* tags of the kernel's form, version 2: u32 version, then {u16 tag, u16 perm, u32 id} each */
enum { V2 = 2, USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
#define NO_ID 0xffffffffu

static const struct {
    unsigned tag;
    int ae;
} tags[] = {{USER_OBJ, ARCHIVE_ENTRY_ACL_USER_OBJ},   {USER, ARCHIVE_ENTRY_ACL_USER},
            {GROUP_OBJ, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {GROUP, ARCHIVE_ENTRY_ACL_GROUP},
            {MASK, ARCHIVE_ENTRY_ACL_MASK},           {OTHER, ARCHIVE_ENTRY_ACL_OTHER}};
#define N_TAGS (sizeof(tags) / sizeof(tags[0]))

static unsigned le16(const unsigned char *p) { return p[0] | (unsigned)p[1] << 8; }
static uint32_t le32(const unsigned char *p) { return le16(p) | (uint32_t)le16(p + 2) << 16; }

static int tag_of(unsigned tag)
{
    for (size_t i = 0; i < N_TAGS; i++)
        if (tags[i].tag == tag)
            return tags[i].ae;
    return -1;
}

static bool valid(const unsigned char *p, size_t n)
{
    if (n < 4 || (n - 4) % 8 != 0 || le32(p) != V2)
        return false;
    for (size_t i = 4; i < n; i += 8)
        if (tag_of(le16(p + i)) < 0 || le16(p + i + 2) > 7)
            return false;
    return true;
}

bool bk_acl_to_archive(struct archive_entry *ae, const char *name, const void *value, size_t n)
{
    const unsigned char *p = value;
    int type;

    if (strcmp(name, BK_ACL_ACCESS) == 0)
        type = ARCHIVE_ENTRY_ACL_TYPE_ACCESS;
    else if (strcmp(name, BK_ACL_DEFAULT) == 0)
        type = ARCHIVE_ENTRY_ACL_TYPE_DEFAULT;
    else
        return false;
    if (!valid(p, n))
        return false;
    for (size_t i = 4; i < n; i += 8) {
        unsigned tag = le16(p + i);
        int id = tag == USER || tag == GROUP ? (int)le32(p + i + 4) : -1;

        (void)archive_entry_acl_add_entry(ae, type, (int)le16(p + i + 2), tag_of(tag), id, NULL);
    }
    return true;
}

/* ---- back ------------------------------------------------------------------------------------ */

struct item {
    unsigned tag, perm;
    uint32_t id;
};

static int by_tag_and_id(const void *a, const void *b)
{
    const struct item *x = a, *y = b;

    if (x->tag != y->tag)
        return x->tag < y->tag ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* GNU tar writes names, others ids. False: a name that this system does not know. */
static bool id_of(unsigned tag, int qual, const char *name, uint32_t *ret)
{
    struct passwd pw, *p = NULL;
    struct group gr, *g = NULL;
    char buf[16384];

    *ret = NO_ID;
    if (tag != USER && tag != GROUP)
        return true;
    if (name && *name) {
        if (tag == USER && getpwnam_r(name, &pw, buf, sizeof(buf), &p) == 0 && p)
            *ret = p->pw_uid;
        if (tag == GROUP && getgrnam_r(name, &gr, buf, sizeof(buf), &g) == 0 && g)
            *ret = g->gr_gid;
        if (p || g)
            return true;
    }
    *ret = (uint32_t)qual;
    return qual != -1;
}

static void le_add(struct bk_buf *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        bk_buf_char(out, (char)(value >> 8 * i));
}

static size_t collect(struct archive_entry *ae, int type, struct item *items, size_t cap)
{
    int got_type, perm, tag, qual;
    const char *name;
    size_t n = 0;

    while (n < cap &&
           archive_entry_acl_next(ae, type, &got_type, &perm, &tag, &qual, &name) == ARCHIVE_OK) {
        for (size_t i = 0; i < N_TAGS; i++)
            if (tags[i].ae == tag)
                items[n].tag = tags[i].tag;
        items[n].perm = (unsigned)perm & 7;
        if (id_of(items[n].tag, qual, name, &items[n].id))
            n++;
    }
    return n;
}

int bk_acl_from_archive(struct archive_entry *ae, int type, struct bk_buf *out, int *mask)
{
    int count = archive_entry_acl_reset(ae, type);
    struct item *items;
    size_t n;

    if (count <= 0)
        return BAKE_OK;
    items = calloc((size_t)count + 3, sizeof(*items)); /* and the three that stand for the mode */
    if (!items)
        return BAKE_E_NOMEM;
    n = collect(ae, type, items, (size_t)count + 3);
    qsort(items, n, sizeof(*items), by_tag_and_id);
    le_add(out, V2, 4);
    for (size_t i = 0; i < n; i++) {
        le_add(out, items[i].tag, 2);
        le_add(out, items[i].perm, 2);
        le_add(out, items[i].id, 4);
        if (items[i].tag == MASK && type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
            *mask = (int)items[i].perm;
    }
    free(items);
    return out->failed ? BAKE_E_NOMEM : BAKE_OK;
}
