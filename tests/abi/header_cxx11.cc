// The header in C++11: a plugin may be written in it.
#include <bakengine/plugin.h>

namespace
{

struct config {
    int64_t number;
    const char *text;
};

const bake_option options[] = {
    {"number", BAKE_T_INT, 0, BAKE_MEMBER(config, number, int64_t), "1", 0, 0, nullptr,
     "A number."},
    {"text", BAKE_T_STRING, BAKE_OPT_REQUIRED, BAKE_MEMBER(config, text, const char *), nullptr, 0,
     0, nullptr, "A text."},
    {nullptr, 0, 0, 0, nullptr, 0, 0, nullptr, nullptr},
};

int refuse(bake_ctx *ctx, const void *)
{
    return bake_fail(ctx, BAKE_E_CONFIG, "no '%s' here", "text");
}

const bake_plugin plugin = {
    BAKE_PLUGIN_HEAD, "cxx",   "1",     "for a test", options, sizeof(config),
    refuse,           nullptr, nullptr, nullptr,      nullptr,
};

int vfail(bake_ctx *, int rc, const char *, va_list) { return rc; }

} // namespace

BAKE_PLUGIN(plugin)

int main()
{
    bake_host host = {};
    host.vfail = vfail;
    bake_ctx ctx = {&host};
    return bake_plugin_v1()->validate(&ctx, nullptr) == BAKE_E_CONFIG ? 0 : 1;
}
