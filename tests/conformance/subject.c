/* The plugin under test; the cases that every kind of plugin has to pass. */
#include "subject.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef const struct bake_plugin *(*entry_fn)(void);

static void *nothing(void *arg) { return arg; }

/* Sanitizers start a thread of their own with the first one: before anything is counted. */
static void start_helpers(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        (void)pthread_join(thread, NULL);
}

int cf_subject_load(struct cf_subject *s, const char *path, char *const *words, size_t n)
{
    char err[512];
    entry_fn entry;

    memset(s, 0, sizeof(*s));
    start_helpers();
    s->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!s->handle) {
        (void)fprintf(stderr, "cannot load '%s': %s\n", path, dlerror());
        return -1;
    }
    *(void **)(&entry) = dlsym(s->handle, "bake_plugin_v1");
    s->plugin = entry ? entry() : NULL;
    if (!s->plugin || s->plugin->abi_major != BAKE_ABI_MAJOR ||
        s->plugin->struct_size < sizeof(*s->plugin) ||
        s->plugin->option_size < sizeof(struct bake_option)) {
        (void)fprintf(stderr, "'%s' has no bake_plugin_v1() of this interface's version\n", path);
        return -1;
    }
    if (cf_config_new(s->plugin, words, n, &s->config, err, sizeof(err)) < 0) {
        (void)fprintf(stderr, "%s\n", err);
        return -1;
    }
    cf_ctx_init(&s->ctx);
    return 0;
}

/* The plugin stays loaded, as the engine keeps it: libraries may have registered exit handlers. */
void cf_subject_free(struct cf_subject *s)
{
    cf_config_free(&s->config);
    cf_ctx_free(&s->ctx);
}

static bool word_ok(const char *s, const char *also)
{
    if (!s || !*s)
        return false;
    for (; *s; s++)
        if (!(islower((unsigned char)*s) || isdigit((unsigned char)*s) || strchr(also, *s)))
            return false;
    return true;
}

static size_t size_of(const struct bake_option *o)
{
    switch (o->type) {
    case BAKE_T_BOOL:
    case BAKE_T_ENUM:
        return sizeof(int);
    default:
        return sizeof(int64_t);
    }
}

static void check_option(struct cf_report *r, const struct bake_plugin *p,
                         const struct bake_option *o)
{
    cf_check(r, word_ok(o->key, "_"), "option '%s': a key is lower case, digits and '_'", o->key);
    if (!cf_check(r, o->type >= BAKE_T_BOOL && o->type <= BAKE_T_PATHLIST,
                  "option '%s' has the unknown type %u", o->key, o->type))
        return;
    cf_check(r, o->offset + size_of(o) <= p->config_size, "option '%s' lies outside of the config",
             o->key);
    cf_check(r, o->help && *o->help, "option '%s' has no help", o->key);
    cf_check(r, o->type != BAKE_T_ENUM || (o->choices && o->choices[0]),
             "option '%s' has no choices", o->key);
    cf_check(r, !(o->flags & BAKE_OPT_HAS_RANGE) || o->min <= o->max,
             "option '%s' has an empty range", o->key);
    cf_check(r, !(o->flags & BAKE_OPT_REQUIRED) || !o->fallback,
             "option '%s' is required and has a default", o->key);
    cf_check(r, o->type != BAKE_T_SECRET || !o->fallback, "option '%s': a secret with a default",
             o->key);
}

static void description(struct cf_subject *s, enum cf_kind kind)
{
    const struct bake_plugin *p = s->plugin;
    struct cf_report *r = &s->report;
    const struct bake_option *o, *other;

    cf_begin(r, "the description is complete");
    cf_check(r, word_ok(p->name, "-"), "the name is lower case, digits and '-'");
    cf_check(r, p->version && *p->version, "there is no version");
    cf_check(r, p->summary && *p->summary, "there is no summary");
    cf_check(r, !!p->source + !!p->transform + !!p->sink == 1, "exactly one kind must be there");
    cf_check(r, kind == CF_SINK ? !!p->sink : !!p->transform, "it is of another kind");
    for (size_t i = 0; (o = cf_option(p, i)); i++) {
        check_option(r, p, o);
        for (size_t j = 0; j < i && (other = cf_option(p, j)); j++)
            cf_check(r, strcmp(o->key, other->key) != 0, "option '%s' is there twice", o->key);
    }
    cf_end(r);
}

void cf_subject_cases(struct cf_subject *s, enum cf_kind kind)
{
    struct cf_report *r = &s->report;

    description(s, kind);
    cf_begin(r, "validate() accepts the options");
    if (s->plugin->validate)
        cf_want(r, &s->ctx, s->plugin->validate(&s->ctx.base, s->config.cfg), BAKE_OK, "validate");
    cf_end(r);
    cf_begin(r, "probe() reaches what is named");
    if (s->plugin->probe)
        cf_want(r, &s->ctx, s->plugin->probe(&s->ctx.base, s->config.cfg), BAKE_OK, "probe");
    cf_end(r);
}

void cf_check_words(struct cf_report *r, const struct cf_ctx *ctx, int rc)
{
    const char *text = ctx->text, *hint;
    size_t n;

    if (rc >= 0)
        return;
    if (!cf_check(r, ctx->fails > 0 && ctx->rc == rc, "%s was returned but not given to vfail()",
                  cf_rc_name(rc)))
        return;
    hint = strstr(text, "\nHINT: ");
    n = hint ? (size_t)(hint - text) : strlen(text);
    cf_check(r, n > 0, "%s comes without a word", cf_rc_name(rc));
    cf_check(r, n == 0 || !isupper((unsigned char)text[0]) || isupper((unsigned char)text[1]),
             "starts with a capital: %s", text);
    cf_check(r, n == 0 || text[n - 1] != '.', "ends with a full stop: %s", text);
    cf_check(r, !memchr(text, '\n', n), "only a HINT may have a line of its own: %s", text);
}

bool cf_want(struct cf_report *r, const struct cf_ctx *ctx, int rc, int wanted, const char *what)
{
    cf_check_words(r, ctx, rc);
    return cf_check(r, rc == wanted, "%s: %s instead of %s%s%s", what, cf_rc_name(rc),
                    cf_rc_name(wanted), rc < 0 ? ": " : "", rc < 0 ? ctx->text : "");
}

static unsigned count(const char *path)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    if (!dir)
        return 0;
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

unsigned cf_open_fds(void) { return count("/proc/self/fd"); }
unsigned cf_threads(void) { return count("/proc/self/task"); }

bool cf_threads_back_to(unsigned n)
{
    const struct timespec wait = {0, 10000000};

    for (int i = 0; i < 200 && cf_threads() > n; i++)
        (void)nanosleep(&wait, NULL);
    return cf_threads() <= n;
}

uint64_t cf_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

void cf_fill(void *data, size_t n, uint64_t seed)
{
    unsigned char *p = data;
    uint64_t state = seed * 2 + 1, word = 0;

    for (size_t i = 0; i < n; i++) {
        if (i % 8 == 0)
            word = cf_random(&state);
        p[i] = (unsigned char)(word >> (i % 8 * 8));
    }
}
