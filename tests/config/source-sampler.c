/* A source that does nothing but have one option of every type: for the cases of this folder. */
#include <bakengine/plugin.h>
#include <string.h>

struct sampler_cfg {
    int flag, mood;
    int64_t count;
    uint64_t room, pause;
    const char *text, *place, *password, *token, *old;
    const char *const *words;
    const struct bake_path *places;
};

#define AT(member, ctype) .offset = BAKE_MEMBER(struct sampler_cfg, member, ctype)

static const char *const moods[] = {"calm", "cheerful", "grumpy", NULL};

static const struct bake_option options[] = {
    {.key = "flag", .type = BAKE_T_BOOL, AT(flag, int), .fallback = "yes", .help = "A switch."},
    {.key = "mood",
     .type = BAKE_T_ENUM,
     AT(mood, int),
     .fallback = "calm",
     .choices = moods,
     .help = "One of several."},
    {.key = "count",
     .type = BAKE_T_INT,
     .flags = BAKE_OPT_HAS_RANGE,
     AT(count, int64_t),
     .fallback = "3",
     .min = -7,
     .max = 22,
     .help = "A number."},
    {.key = "room",
     .type = BAKE_T_SIZE,
     .flags = BAKE_OPT_HAS_RANGE,
     AT(room, uint64_t),
     .fallback = "64 KiB",
     .min = 4096,
     .max = INT64_C(1) << 30,
     .help = "A size."},
    {.key = "pause",
     .type = BAKE_T_DURATION,
     .flags = BAKE_OPT_HAS_RANGE,
     AT(pause, uint64_t),
     .fallback = "90s",
     .min = 1000,
     .max = 86400000,
     .help = "A duration."},
    {.key = "text", .type = BAKE_T_STRING, AT(text, const char *), .help = "Any text."},
    {.key = "place",
     .type = BAKE_T_PATH,
     AT(place, const char *),
     .fallback = "./here",
     .help = "A path."},
    {.key = "password", .type = BAKE_T_SECRET, AT(password, const char *), .help = "A secret."},
    {.key = "token", .type = BAKE_T_SECRET, AT(token, const char *), .help = "Another secret."},
    {.key = "words",
     .type = BAKE_T_STRLIST,
     AT(words, const char *const *),
     .fallback = "[one, two]",
     .help = "Several texts."},
    {.key = "places",
     .type = BAKE_T_PATHLIST,
     AT(places, const struct bake_path *),
     .help = "Several paths."},
    {.key = "old",
     .type = BAKE_T_STRING,
     .flags = BAKE_OPT_DEPRECATED,
     AT(old, const char *),
     .help = "use 'text' instead"},
    {0},
};

static int validate(struct bake_ctx *ctx, const void *cfg)
{
    const struct sampler_cfg *c = cfg;
    if (c->text && strcmp(c->text, "refuse") == 0)
        return bake_fail(ctx, BAKE_E_CONFIG,
                         "'text' and the rest do not go together\n"
                         "HINT: say something else");
    return BAKE_OK;
}

static int open_source(struct bake_ctx *ctx, const void *cfg, void **ret_self)
{
    (void)cfg;
    (void)ret_self;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "nothing can be backed up from here");
}

static int plan(void *self, struct bake_component *ret)
{
    (void)self;
    (void)ret;
    return BAKE_END;
}

static int reader_open(void *self, struct bake_ctx *ctx, const struct bake_component *component,
                       void **ret_reader)
{
    (void)self;
    (void)component;
    (void)ret_reader;
    return bake_fail(ctx, BAKE_E_UNSUPPORTED, "nothing can be read here");
}

static int read_bytes(void *reader, struct bake_out *out)
{
    (void)reader;
    (void)out;
    return BAKE_END;
}

static int finish(void *reader, struct bake_result *ret)
{
    (void)reader;
    (void)ret;
    return BAKE_OK;
}

static void close_any(void *self) { (void)self; }

static const struct bake_source_ops source = {
    .struct_size = sizeof(source),
    .open = open_source,
    .plan = plan,
    .reader_open = reader_open,
    .read = read_bytes,
    .finish = finish,
    .reader_close = close_any,
    .close = close_any,
};

static const struct bake_plugin sampler = {
    BAKE_PLUGIN_HEAD,     .name = "sampler",
    .version = "1.0",     .summary = "One option of every type.",
    .options = options,   .config_size = sizeof(struct sampler_cfg),
    .validate = validate, .source = &source,
};

BAKE_PLUGIN(sampler)
