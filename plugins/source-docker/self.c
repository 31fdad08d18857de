/* Are we in a container of this daemon, and in which? Every hint is checked with the daemon: a host
 * may be named like a container, and a container of another daemon has such files, too. */
#include "self.h"
#include "hold.h"

#include "api.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ID_LENGTH    64
#define SHORT_LENGTH 12

static size_t hex(const char *text) { return strspn(text, "0123456789abcdef"); }

/* ---- hints ----------------------------------------------------------------------------------- */

/* Field number n of a line, counted from 0, into out; false: there is none, or it is longer. */
static bool field(const char *line, unsigned n, char *out, size_t cap)
{
    for (; n > 0 && *line; n--) {
        line += strcspn(line, " ");
        line += *line == ' ';
    }
    size_t len = strcspn(line, " \n");
    if (len == 0 || len >= cap)
        return false;
    memcpy(out, line, len);
    out[len] = '\0';
    return true;
}

/* Of a line of mountinfo(5): the daemon mounts a file of its own as /etc/hostname and the like:
 * "... /var/lib/docker/containers/<id>/hostname /etc/hostname ..." */
bool dk_self_from_mount(const char *line, char id[DK_ID_SIZE], char file[DK_FILE_SIZE])
{
    char root[DK_FILE_SIZE], at[64];
    if (!field(line, 3, root, sizeof(root)) || !field(line, 4, at, sizeof(at)))
        return false;
    if (strcmp(at, "/etc/hostname") != 0 && strcmp(at, "/etc/hosts") != 0 &&
        strcmp(at, "/etc/resolv.conf") != 0)
        return false;
    const char *dir = NULL;
    for (const char *p = root; (p = strstr(p, "/containers/")); p++)
        dir = p;
    if (!dir || hex(dir + 12) != ID_LENGTH || dir[12 + ID_LENGTH] != '/')
        return false;
    memcpy(id, dir + 12, ID_LENGTH);
    id[ID_LENGTH] = '\0';
    (void)snprintf(file, DK_FILE_SIZE, "%s", dir);
    return true;
}

/* Of a line of cgroup(7): ".../docker/<id>" or ".../docker-<id>.scope". */
bool dk_self_from_cgroup(const char *line, char id[DK_ID_SIZE])
{
    const char *p = strstr(line, "docker");
    for (; p; p = strstr(p + 1, "docker")) {
        const char *at = p + 6;
        if ((*at != '/' && *at != '-') || hex(at + 1) != ID_LENGTH)
            continue;
        at++;
        if (strchr("\n./", at[ID_LENGTH]) == NULL)
            continue;
        memcpy(id, at, ID_LENGTH);
        id[ID_LENGTH] = '\0';
        return true;
    }
    return false;
}

/* ---- asking the daemon ----------------------------------------------------------------------- */

struct hint {
    char id[DK_ID_SIZE];     /* or a prefix of it */
    char file[DK_FILE_SIZE]; /* what the daemon must have mounted for it, its end; or "" */
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool fits(const json_t *inspect, const struct hint *h)
{
    static const char *const files[] = {"HostnamePath", "HostsPath", "ResolvConfPath", NULL};
    char host[256] = "";
    const json_t *state = json_object_get(inspect, "State");
    if (!json_is_true(json_object_get(state, "Running")))
        return false;
    for (const char *const *f = files; h->file[0] && *f; f++) {
        const char *path = json_string_value(json_object_get(inspect, *f));
        if (path && ends_with(path, h->file))
            return true;
    }
    if (h->file[0])
        return false;
    const char *name =
        json_string_value(json_object_get(json_object_get(inspect, "Config"), "Hostname"));
    return gethostname(host, sizeof(host) - 1) == 0 && name && strcmp(name, host) == 0;
}

/* OK: it is ours; END: it is not. */
static int confirm(struct dk_source *s, struct bake_ctx *ctx, const struct hint *h)
{
    json_t *inspect = NULL;
    int rc = h->id[0] ? dk_inspect(s->api, ctx, h->id, &inspect) : BAKE_E_NOTFOUND;
    if (rc == BAKE_E_NOTFOUND)
        return BAKE_END;
    if (rc != BAKE_OK)
        return rc;
    const char *id = json_string_value(json_object_get(inspect, "Id"));
    rc = BAKE_END;
    if (id && fits(inspect, h)) {
        s->where.container = strdup(id);
        rc = s->where.container ? BAKE_OK : dk_nomem(ctx);
    }
    json_decref(inspect);
    return rc;
}

/* Lines of a file to a function until it takes one. */
static bool scan(const char *path, bool (*take)(const char *line, struct hint *h), struct hint *h)
{
    FILE *f = fopen(path, "re");
    char *line = NULL;
    size_t cap = 0;
    bool found = false;
    while (f && !found && getline(&line, &cap, f) >= 0)
        found = take(line, h);
    free(line);
    if (f)
        (void)fclose(f);
    return found;
}

static bool take_mount(const char *line, struct hint *h)
{
    return dk_self_from_mount(line, h->id, h->file);
}

static bool take_cgroup(const char *line, struct hint *h)
{
    return dk_self_from_cgroup(line, h->id);
}

/* The daemon names a container's host by the start of its id, unless told otherwise. */
static void take_hostname(struct hint *h)
{
    char host[256] = "";
    if (gethostname(host, sizeof(host) - 1) == 0 && strlen(host) == SHORT_LENGTH &&
        hex(host) == SHORT_LENGTH)
        memcpy(h->id, host, SHORT_LENGTH + 1);
}

static int find_own(struct dk_source *s, struct bake_ctx *ctx)
{
    struct hint h = {.id = "", .file = ""};
    int rc = BAKE_END;
    if (scan("/proc/self/mountinfo", take_mount, &h))
        rc = confirm(s, ctx, &h);
    h = (struct hint){.id = "", .file = ""};
    if (rc == BAKE_END && scan("/proc/self/cgroup", take_cgroup, &h))
        rc = confirm(s, ctx, &h);
    h = (struct hint){.id = "", .file = ""};
    take_hostname(&h);
    return rc == BAKE_END ? confirm(s, ctx, &h) : rc;
}

/* Does the daemon live in another process namespace? Then we are in a container, though maybe not
 * in one of its own, and what we write is as short-lived as that. */
static bool daemon_elsewhere(const char *host)
{
    static const char scheme[] = "unix://";
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = -1};
    socklen_t size = sizeof(peer);
    size_t n = sizeof(scheme) - 1;
    if (strncmp(host, scheme, n) != 0 || strlen(host + n) >= sizeof(to.sun_path))
        return false;
    memcpy(to.sun_path, host + n, strlen(host + n) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool elsewhere = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
                     getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == 0;
    if (fd >= 0)
        (void)close(fd);
    return elsewhere;
}

int dk_where_am_i(struct dk_source *s, struct bake_ctx *ctx)
{
    int rc = find_own(s, ctx);
    if (rc < 0)
        return rc;
    s->where.away =
        s->where.container || !dk_api_local(s->api) || daemon_elsewhere(dk_api_host(s->api));
    s->where.owner = dk_owner(s, ctx);
    return s->where.owner ? BAKE_OK : dk_nomem(ctx);
}

void dk_where_check_name(const struct dk_source *s, struct bake_ctx *ctx)
{
    char host[256] = "";
    if (!s->where.container || gethostname(host, sizeof(host) - 1) != 0 ||
        strlen(host) != SHORT_LENGTH || strncmp(host, s->where.container, SHORT_LENGTH) != 0)
        return;
    bake_report(ctx, BAKE_WARNING, host,
                "this container has no hostname of its own: once it is made anew, the backups of "
                "today are those of another host\n"
                "HINT: give its service a 'hostname:'");
}

void dk_where_release(struct dk_where *w)
{
    free(w->container);
    free(w->owner);
    memset(w, 0, sizeof(*w));
}
