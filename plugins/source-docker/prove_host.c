/* Where is the daemon? It is asked to make a volume of a name that nobody can guess: only its own
 * directory then has one. And who holds the lock on its database there is the daemon itself, whose
 * mount namespace can be compared with ours. Nothing of the user's is written to. */
#include "hold.h"
#include "tree_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROOF "bakengine-proof-"

static const char elsewhere[] = "the daemon's own directory is not on this machine, or not to be "
                                "seen by this process";
static const char no_volume[] = "the daemon makes no volume to tell its directory by";
static const char apart[] = "this process and the daemon see different file systems (does it run "
                            "in a container?)";

int dk_proof_volumes_fd(const struct dk_source *s)
{
    const char *root = dk_api_root(s->api);
    char *path = NULL;
    if (!root || *root != '/' || asprintf(&path, "%s/volumes", root) < 0)
        return -1;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(path);
    return fd;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* ---- the daemon's directory ------------------------------------------------------------------ */

/* OK: the volume that the daemon makes appears below volumes; BAKE_END: it does not. */
static int challenge(struct dk_source *s, struct bake_ctx *ctx, int volumes, const char **ret_why)
{
    struct dk_nonce nonce;
    char name[80], path[120], url[120];
    int rc = dk_nonce(ctx, &nonce);
    if (rc != BAKE_OK)
        return rc;
    (void)snprintf(name, sizeof(name), PROOF "%s", nonce.text);
    (void)snprintf(path, sizeof(path), "%s/_data", name);
    (void)snprintf(url, sizeof(url), "/volumes/%s", name);
    struct stat st;
    if (fstatat(volumes, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return bake_fail(ctx, BAKE_E_INTERNAL, "a random name was there already");
    json_t *labels = dk_helper_labels(s, ctx), *answer = NULL;
    json_t *body = json_pack("{s:s, s:s, s:o*}", "Name", name, "Driver", "local", "Labels", labels);
    if (!labels || !body) {
        json_decref(body);
        return dk_nomem(ctx);
    }
    rc = dk_post(s->api, ctx, "/volumes/create", body, &answer);
    json_decref(body);
    json_decref(answer);
    if (rc == BAKE_E_CANCELLED || rc == BAKE_E_NOMEM)
        return rc;
    *ret_why = rc == BAKE_OK ? elsewhere : no_volume;
    bool there = rc == BAKE_OK && fstatat(volumes, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISDIR(st.st_mode);
    if (rc == BAKE_OK && dk_delete(s->api, ctx, url) != BAKE_OK)
        bake_log(ctx, BAKE_LOG_WARN, "the empty volume '%s' could not be removed again", name);
    return there ? BAKE_OK : BAKE_END;
}

/* ---- its process ----------------------------------------------------------------------------- */

static bool decimal(const char *text, uint64_t *ret)
{
    *ret = 0;
    for (; *text >= '0' && *text <= '9' && *ret < UINT64_MAX / 100; text++)
        *ret = *ret * 10 + (uint64_t)(*text - '0');
    return *text == '\0';
}

/* "1: FLOCK  ADVISORY  WRITE 12300 fe:00:11173919 0 EOF" */
static bool lock_of(char *line, uint64_t inode, uint64_t *ret_pid)
{
    char *words[6] = {0}, *rest = NULL;
    size_t n = 0;
    for (char *w = strtok_r(line, " \n", &rest); w && n < 6; w = strtok_r(NULL, " \n", &rest))
        words[n++] = w;
    char *colon = n == 6 ? strrchr(words[5], ':') : NULL;
    uint64_t ino = 0;
    return colon && strcmp(words[1], "FLOCK") == 0 && decimal(colon + 1, &ino) && ino == inode &&
           decimal(words[4], ret_pid) && *ret_pid > 0;
}

static bool stat_of(uint64_t pid, const char *what, struct stat *ret)
{
    char path[80];
    (void)snprintf(path, sizeof(path), "/proc/%llu/%s", (unsigned long long)pid, what);
    return stat(path, ret) == 0;
}

/* Numbers of inodes repeat: has this process the very file open? */
static bool has_open(uint64_t pid, const struct stat *file)
{
    char path[80];
    bool found = false;
    (void)snprintf(path, sizeof(path), "/proc/%llu/fd", (unsigned long long)pid);
    DIR *d = opendir(path);
    if (!d)
        return false;
    struct stat st;
    for (struct dirent *e; !found && (e = readdir(d)) != NULL;)
        found = e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && same(&st, file);
    (void)closedir(d);
    return found;
}

/* The process sees the files that we see. */
static bool shares_files(uint64_t pid)
{
    struct stat theirs, ours;
    return stat_of(pid, "ns/mnt", &theirs) && stat("/proc/self/ns/mnt", &ours) == 0 &&
           same(&theirs, &ours) && stat_of(pid, "root", &theirs) && stat("/", &ours) == 0 &&
           same(&theirs, &ours);
}

/* Is the daemon, which keeps its database of volumes locked, a process that shares our files? */
static bool daemon_shares_files(int volumes)
{
    struct stat db;
    bool found = false;
    if (fstatat(volumes, "metadata.db", &db, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    FILE *f = fopen("/proc/locks", "re");
    char *line = NULL;
    size_t cap = 0;
    while (f && !found && getline(&line, &cap, f) > 0) {
        uint64_t pid = 0;
        found = lock_of(line, db.st_ino, &pid) && has_open(pid, &db) && shares_files(pid);
    }
    free(line);
    if (f)
        (void)fclose(f);
    return found;
}

/* Such volumes of processes that were killed in between. */
static void sweep(struct dk_source *s, struct bake_ctx *ctx)
{
    static const char path[] = "/volumes?filters=%7B%22label%22%3A%5B%22bakengine.helper%22%5D%7D";
    json_t *list = NULL, *volume;
    size_t i;
    char url[160];
    if (dk_get(s->api, ctx, path, &list) != BAKE_OK)
        return;
    json_array_foreach(json_object_get(list, "Volumes"), i, volume)
    {
        const char *name = json_string_value(json_object_get(volume, "Name"));
        const char *owner = json_string_value(
            json_object_get(json_object_get(volume, "Labels"), "bakengine.owner"));
        if (!name || !owner || strncmp(name, PROOF, sizeof(PROOF) - 1) != 0 || strlen(name) > 100 ||
            !dk_owner_dead(s, ctx, owner))
            continue;
        (void)snprintf(url, sizeof(url), "/volumes/%s", name);
        (void)dk_delete(s->api, ctx, url); /* the next one tries again */
    }
    json_decref(list);
}

static int find_level(struct dk_source *s, struct bake_ctx *ctx, enum dk_proof *ret,
                      const char **ret_why)
{
    *ret = DK_PROOF_NONE;
    *ret_why = elsewhere;
    int volumes = dk_proof_volumes_fd(s);
    if (volumes < 0)
        return BAKE_OK;
    sweep(s, ctx);
    int rc = challenge(s, ctx, volumes, ret_why);
    if (rc == BAKE_OK) {
        *ret = daemon_shares_files(volumes) ? DK_PROOF_NAMESPACE : DK_PROOF_VOLUMES;
        *ret_why = apart;
    }
    (void)close(volumes);
    return rc == BAKE_END ? BAKE_OK : rc;
}

int dk_proof_level(struct dk_source *s, struct bake_ctx *ctx, enum dk_proof *ret,
                   const char **ret_why)
{
    int rc = BAKE_OK;
    (void)pthread_mutex_lock(&s->lock);
    *ret = (enum dk_proof)s->proof.level;
    *ret_why = s->proof.why;
    (void)pthread_mutex_unlock(&s->lock);
    if (*ret == DK_PROOF_UNKNOWN)
        rc = find_level(s, ctx, ret, ret_why); /* twice side by side does no harm */
    if (rc == BAKE_OK) {
        (void)pthread_mutex_lock(&s->lock);
        s->proof.level = (int)*ret;
        s->proof.why = *ret_why;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return rc;
}

/* ---- a container's process ------------------------------------------------------------------- */

static bool in_cgroup(uint64_t pid, const char *id)
{
    char path[80], *line = NULL;
    size_t cap = 0;
    bool found = false;
    (void)snprintf(path, sizeof(path), "/proc/%llu/cgroup", (unsigned long long)pid);
    FILE *f = fopen(path, "re");
    while (f && !found && getline(&line, &cap, f) > 0)
        found = strstr(line, id) != NULL;
    free(line);
    if (f)
        (void)fclose(f);
    return found;
}

int dk_proof_process(const struct dk_container *c, const char *path, int fd)
{
    json_int_t pid =
        json_integer_value(json_object_get(json_object_get(c->inspect, "State"), "Pid"));
    char root[80];
    struct stat ours, theirs;
    if (pid <= 0 || strlen(c->id) != 64 || !in_cgroup((uint64_t)pid, c->id))
        return BAKE_E_NOTFOUND;
    (void)snprintf(root, sizeof(root), "/proc/%lld/root", (long long)pid);
    int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int there = top >= 0 ? bkc_open_inside(top, path, O_PATH | O_DIRECTORY) : -1;
    bool known = there >= 0 && fstat(there, &theirs) == 0 && fstat(fd, &ours) == 0;
    if (there >= 0)
        (void)close(there);
    if (top >= 0)
        (void)close(top);
    if (!known)
        return BAKE_E_NOTFOUND;
    return same(&ours, &theirs) ? BAKE_OK : BAKE_END;
}
