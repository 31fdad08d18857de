/* Loads one plugin as the engine does and compares what is said with the case's file:
 * load_case DIR KIND-NAME EXPECTED. A plugin that loads says "ok", its options' keys and traits;
 * DIR stands for its directory. load_case_next.c builds this file once more, as the engine of the
 * next minor.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "plugin/registry.h"
#include <string.h>
#include <sys/stat.h>

static int kind_of(const char *full_name, enum bk_kind *ret, const char **ret_name)
{
    for (int kind = BK_SOURCE; kind <= BK_SINK; kind++) {
        size_t n = strlen(bk_kind_name((enum bk_kind)kind));
        if (strncmp(full_name, bk_kind_name((enum bk_kind)kind), n) == 0 && full_name[n] == '-') {
            *ret = (enum bk_kind)kind;
            *ret_name = full_name + n + 1;
            return 0;
        }
    }
    return -1;
}

/* What a generous umask left in the build tree is not what is tested here. */
static int close_to_others(const char *dir, const char *full_name)
{
    char *file BK_FREE = bk_asprintf("%s/%s.so", dir, full_name);
    return file && chmod(dir, 0755) == 0 && chmod(file, 0755) == 0 ? 0 : -1;
}

static void add_without(struct bk_buf *b, const char *text, const char *dir)
{
    size_t n = strlen(dir);
    for (const char *hit; (hit = strstr(text, dir)) != NULL; text = hit + n) {
        (void)bk_buf_add(b, text, (size_t)(hit - text));
        (void)bk_buf_str(b, "DIR");
    }
    (void)bk_buf_str(b, text);
}

#ifndef NEXT_MINOR
static int lacks_next(const struct bk_plugin *p)
{
    (void)p;
    return 1;
}
#else
/* The members that this engine knows and an older plugin does not have. */
static int lacks_next(const struct bk_plugin *p)
{
    for (const struct bake_option *o = p->options; o->key; o++) {
        if (o->next_text)
            return 0;
    }
    return !p->desc.next_call && !p->source.next_call && !p->transform.next_call &&
           !p->sink.next_call;
}
#endif

static void say_loaded(struct bk_buf *said, const struct bk_plugin *p)
{
    (void)bk_buf_str(said, lacks_next(p) ? "ok" : "members came from nowhere");
    for (const struct bake_option *o = p->options; o->key; o++)
        (void)bk_buf_printf(said, " %s", o->key);
    if (p->kind == BK_SOURCE && p->source.traits)
        (void)bk_buf_printf(said, " traits=%x", (unsigned)p->source.traits);
}

static int load(const char *dir, enum bk_kind kind, const char *name, struct bk_buf *said)
{
    struct bk_registry *r = NULL;
    const struct bk_plugin *p = NULL;
    struct bk_err err = {0};
    int rc = setenv("BAKENGINE_PLUGIN_PATH", dir, 1) < 0 ? -1 : bk_registry_new(&r, &err);
    if (rc == 0)
        rc = bk_registry_get(r, kind, name, &p, &err);
    if (rc == 0 && p->kind == kind && strcmp(p->desc.name, name) == 0)
        say_loaded(said, p);
    else
        add_without(said, err.text, dir);
    if (err.hint[0])
        (void)bk_buf_printf(said, "\nHINT: %s", err.hint);
    (void)bk_buf_char(said, '\n');
    bk_registry_free(r);
    if (rc < 0 && rc != BAKE_E_CONFIG)
        fprintf(stderr, "the result is %d, not BAKE_E_CONFIG\n", rc);
    return rc == 0 || rc == BAKE_E_CONFIG ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct bk_buf said = BK_BUF_INIT, expected = BK_BUF_INIT;
    struct bk_err err = {0};
    enum bk_kind kind = BK_SOURCE;
    const char *name = NULL;
    if (argc != 4 || kind_of(argv[2], &kind, &name) < 0 || close_to_others(argv[1], argv[2]) < 0) {
        fprintf(stderr, "usage: load_case DIR KIND-NAME EXPECTED\n");
        return 2;
    }
    int failed = load(argv[1], kind, name, &said) < 0;
    if (bk_read_file(argv[3], 65536, &expected, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        failed = 1;
    } else if (said.failed || strcmp(said.data, expected.data ? expected.data : "") != 0) {
        fprintf(stderr, "expected:\n%s\nsaid:\n%s", expected.data, said.data);
        failed = 1;
    }
    bk_buf_free(&said);
    bk_buf_free(&expected);
    return failed;
}
