/* User and group names as ids of this system, each looked up once. */
#include "tree/impl.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64 /* per kind; a name that does not fit pushes an older one out */

struct slot {
    char *name;
    bool known;
    uint32_t id;
};
struct bkc_ids {
    struct slot users[SLOTS], groups[SLOTS];
    char *buf; /* for getpwnam_r and getgrnam_r */
    size_t cap;
};

struct bkc_ids *bkc_ids_new(void) { return calloc(1, sizeof(struct bkc_ids)); }

void bkc_ids_free(struct bkc_ids *ids)
{
    if (!ids)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        free(ids->users[i].name);
        free(ids->groups[i].name);
    }
    free(ids->buf);
    free(ids);
}

/* One look-up with the buffer as it is: 0 found, ENOENT, or ERANGE: try with a larger one. */
static int look_up(struct bkc_ids *ids, const char *name, bool group, uint32_t *ret)
{
    struct passwd pw, *p = NULL;
    struct group gr, *g = NULL;
    int e;

    if (group)
        e = getgrnam_r(name, &gr, ids->buf, ids->cap, &g);
    else
        e = getpwnam_r(name, &pw, ids->buf, ids->cap, &p);
    if (e == ERANGE)
        return ERANGE;
    if (e != 0 || (!g && !p))
        return ENOENT;
    *ret = group ? gr.gr_gid : pw.pw_uid;
    return 0;
}

static bool resolve(struct bkc_ids *ids, const char *name, bool group, uint32_t *ret)
{
    for (size_t want = 4096; want <= 1u << 20; want *= 2) {
        int e;

        if (bkc_grow((void **)&ids->buf, &ids->cap, want) < 0)
            return false;
        e = look_up(ids, name, group, ret);
        if (e != ERANGE)
            return e == 0;
    }
    return false;
}

static uint32_t id_of(struct bkc_ids *ids, const char *name, bool group, uint32_t otherwise)
{
    struct slot *s = group ? ids->groups : ids->users;
    uint32_t h = 2166136261u;

    if (!name || !*name)
        return otherwise;
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    s += (h ^ h >> 16) % SLOTS;
    if (!s->name || strcmp(s->name, name) != 0) {
        free(s->name);
        s->known = resolve(ids, name, group, &s->id);
        s->name = strdup(name); /* without memory it is looked up again next time */
    }
    return s->known ? s->id : otherwise;
}

uid_t bkc_ids_user(struct bkc_ids *ids, const char *name, uid_t otherwise)
{
    return id_of(ids, name, false, otherwise);
}

gid_t bkc_ids_group(struct bkc_ids *ids, const char *name, gid_t otherwise)
{
    return id_of(ids, name, true, otherwise);
}
