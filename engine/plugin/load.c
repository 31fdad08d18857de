/* One shared object: opened, loaded and asked for its description. */
#include "plugin/load.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

#define LAST_MAJOR 9 /* how far we look for an entry point that is not ours */

typedef const struct bake_plugin *entry_fn(void);

int bk_plugin_bad(const struct bk_plugin *p, struct bk_err *err, const char *fmt, ...)
{
    struct bk_buf text = BK_BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    int rc = bk_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (rc < 0)
        rc = bk_nomem(err);
    else
        rc = bk_fail(err, BAKE_E_CONFIG, "plugin '%s' %s", p->file, text.data);
    bk_buf_free(&text);
    return rc;
}

void bk_plugin_free(struct bk_plugin *p)
{
    if (!p)
        return;
    free(p->full_name);
    free(p->file);
    free(p->options);
    free(p);
}

/* The name under which the dynamic linker shall open the very file that was checked. Falls back
 * to its path where /proc is not mounted. */
static const char *name_for_linker(char *out, size_t cap, int fd, const char *real)
{
    struct stat by_fd, by_name;
    (void)snprintf(out, cap, "/proc/self/fd/%d", fd);
    if (fstat(fd, &by_fd) < 0 || stat(out, &by_name) < 0 || by_fd.st_dev != by_name.st_dev ||
        by_fd.st_ino != by_name.st_ino)
        return real;
    return out;
}

static int open_object(struct bk_plugin *p, int *fd, void **ret, struct bk_err *err)
{
    char buf[64];
    const char *name = name_for_linker(buf, sizeof(buf), *fd, p->file);
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        const char *why = dlerror();
        size_t n = strlen(name);
        if (why && strncmp(why, name, n) == 0 && strncmp(why + n, ": ", 2) == 0)
            why += n + 2;
        return bk_plugin_bad(p, err,
                             "cannot be loaded: %s\n"
                             "HINT: build it for this machine, link it with all the libraries "
                             "that it uses and install those",
                             why ? why : "no reason given");
    }
    /* The linker remembers the object by this name, so the number must never stand for another
     * file: it stays open, as the object stays loaded. */
    if (name == buf)
        *fd = -1;
    *ret = handle;
    return 0;
}

static int find_entry(const struct bk_plugin *p, void *handle, entry_fn **ret, struct bk_err *err)
{
    char symbol[32];
    (void)snprintf(symbol, sizeof(symbol), "bake_plugin_v%d", BAKE_ABI_MAJOR);
    void *found = dlsym(handle, symbol);
    if (found) {
        memcpy(ret, &found, sizeof(found)); /* ISO C has no cast for this */
        return 0;
    }
    for (int major = 1; major <= LAST_MAJOR; major++) {
        (void)snprintf(symbol, sizeof(symbol), "bake_plugin_v%d", major);
        if (dlsym(handle, symbol))
            return bk_plugin_bad(p, err,
                                 "is made for plugin interface %d, this engine speaks %d\n"
                                 "HINT: install the plugin's version for interface %d",
                                 major, BAKE_ABI_MAJOR, BAKE_ABI_MAJOR);
    }
    return bk_plugin_bad(p, err,
                         "has no entry point 'bake_plugin_v%d'\n"
                         "HINT: if it is meant to be a plugin, define its entry point with "
                         "BAKE_PLUGIN() of <bakengine/plugin.h> and rebuild it",
                         BAKE_ABI_MAJOR);
}

static int load(const char *path, struct bk_plugin *p, struct bk_err *err)
{
    int fd BK_CLOSE = -1;
    int rc = bk_trust_open(path, &p->file, &fd, err);
    if (rc < 0)
        return rc;
    void *handle = NULL;
    rc = open_object(p, &fd, &handle, err);
    if (rc < 0)
        return rc;
    entry_fn *entry = NULL;
    rc = find_entry(p, handle, &entry, err);
    if (rc < 0)
        return rc;
    const struct bake_plugin *raw = entry();
    if (!raw)
        return bk_plugin_bad(p, err,
                             "gives no description: 'bake_plugin_v%d' returned NULL" BK_REBUILD,
                             BAKE_ABI_MAJOR);
    return bk_plugin_check(raw, p, err);
}

int bk_plugin_load(const char *path, struct bk_plugin **ret, struct bk_err *err)
{
    struct bk_plugin *p = calloc(1, sizeof(*p));
    if (!p)
        return bk_nomem(err);
    int rc = load(path, p, err);
    if (rc < 0) {
        bk_plugin_free(p);
        return rc;
    }
    *ret = p;
    return 0;
}
