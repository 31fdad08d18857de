/* Who holds what is kept in the daemon: a process, written down so that another one, maybe in
 * another container or on another host, can tell whether it is gone. */
#include "hold.h"
#include "self.h"

#include "api.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEGIN_FIELD 20 /* fields of /proc/PID/stat from the name to starttime */

/* ---- this process ---------------------------------------------------------------------------- */

/* The first line, "" when there is none. */
static void first_line(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, cap - 1) : 0;
    if (fd >= 0)
        (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

unsigned long long dk_self_begin(const char *stat)
{
    unsigned long long begin = 0;
    const char *p = strrchr(stat, ')'); /* the name before it may hold anything */
    for (unsigned i = 0; p && i < BEGIN_FIELD; i++)
        p = strchr(p + 1, ' ');
    for (p = p ? p + 1 : ""; *p >= '0' && *p <= '9'; p++)
        begin = begin * 10 + (unsigned)(*p - '0');
    return begin;
}

static unsigned long long begin_of(long pid)
{
    char path[64], stat[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    first_line(path, stat, sizeof(stat));
    const char *state = strrchr(stat, ')');
    if (state && strncmp(state, ") Z", 3) == 0) /* killed, and not waited for: it does nothing */
        return 0;
    return dk_self_begin(stat);
}

static json_t *describe(const char *container, const char *since)
{
    char machine[128], boot[128], ns[128] = "";
    first_line("/etc/machine-id", machine, sizeof(machine));
    first_line("/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
    ssize_t n = readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1);
    ns[n > 0 ? n : 0] = '\0';
    json_t *o = json_pack("{s:s, s:s, s:s, s:I, s:I}", "machine", machine, "boot", boot, "ns", ns,
                          "pid", (json_int_t)getpid(), "begin", (json_int_t)begin_of(getpid()));
    if (o && container &&
        (json_object_set_new(o, "container", json_string(container)) < 0 ||
         json_object_set_new(o, "since", json_string(since)) < 0)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static const char *started_at(const json_t *inspect)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(inspect, "State"), "StartedAt"));
    return text ? text : "";
}

char *dk_owner(struct dk_source *s, struct bake_ctx *ctx)
{
    json_t *inspect = NULL;
    if (s->where.owner)
        return strdup(s->where.owner);
    if (s->where.container)
        (void)dk_inspect(s->api, ctx, s->where.container, &inspect);
    json_t *o = describe(s->where.container, started_at(inspect));
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(o);
    json_decref(inspect);
    return text;
}

/* ---- another one ----------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
    return *text_of(a, key) && strcmp(text_of(a, key), text_of(b, key)) == 0;
}

enum dk_fate dk_owner_fate(const json_t *owner, const json_t *own,
                           unsigned long long (*begins)(long pid))
{
    long pid = (long)json_integer_value(json_object_get(owner, "pid"));
    json_int_t begin = json_integer_value(json_object_get(owner, "begin"));
    if (!*text_of(owner, "boot") || pid <= 0)
        return DK_FATE_UNKNOWN;
    if (same(owner, own, "boot") && same(owner, own, "ns"))
        return begin > 0 && begins(pid) == (unsigned long long)begin ? DK_FATE_ALIVE : DK_FATE_DEAD;
    if (*text_of(owner, "container"))
        return DK_FATE_ASK;
    if (!same(owner, own, "boot") && same(owner, own, "machine"))
        return DK_FATE_DEAD; /* it has been rebooted since */
    return DK_FATE_UNKNOWN;
}

/* Its container is gone, does not run, or was started again since. */
static bool container_dead(struct dk_source *s, struct bake_ctx *ctx, const json_t *owner)
{
    json_t *inspect = NULL;
    int rc = dk_inspect(s->api, ctx, text_of(owner, "container"), &inspect);
    bool runs = json_is_true(json_object_get(json_object_get(inspect, "State"), "Running"));
    bool dead =
        rc == BAKE_E_NOTFOUND ||
        (rc == BAKE_OK && (!runs || (*text_of(owner, "since") &&
                                     strcmp(started_at(inspect), text_of(owner, "since")) != 0)));
    json_decref(inspect);
    return dead;
}

bool dk_owner_dead(struct dk_source *s, struct bake_ctx *ctx, const char *owner)
{
    json_t *o = json_loads(owner, 0, NULL), *own = describe(NULL, "");
    enum dk_fate fate = o && own ? dk_owner_fate(o, own, begin_of) : DK_FATE_UNKNOWN;
    bool dead = fate == DK_FATE_DEAD || (fate == DK_FATE_ASK && container_dead(s, ctx, o));
    json_decref(o);
    json_decref(own);
    return dead;
}
