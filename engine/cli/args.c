/* Parsing the command line. */
#include "cli/args.h"

#include "base/cleanup.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define BOOL_FLAG(name, member, help)                                                              \
    {                                                                                              \
        name, BK_FLAG_BOOL, offsetof(struct bk_args, member), NULL, help                           \
    }
#define STR_FLAG(name, member, arg, help)                                                          \
    {                                                                                              \
        name, BK_FLAG_STR, offsetof(struct bk_args, member), arg, help                             \
    }
#define LIST_FLAG(name, member, arg, help)                                                         \
    {                                                                                              \
        name, BK_FLAG_LIST, offsetof(struct bk_args, member), arg, help                            \
    }

static const struct bk_flag flags[] = {
    BOOL_FLAG("json", json, "print JSON on standard output, and nothing else there"),
    BOOL_FLAG("quiet", quiet, "print only warnings and errors"),
    BOOL_FLAG("verbose", verbose, "print what is being done"),
    BOOL_FLAG("help", help, "show this help"),
    BOOL_FLAG("dry-run", dry_run, "say what would be done, and do nothing"),
    BOOL_FLAG("force", force, "replace existing files"),
    BOOL_FLAG("no-verify", no_verify, "leave out 'verify: {after_run: ...}' this time"),
    BOOL_FLAG("probe", probe, "also connect to each source and sink"),
    BOOL_FLAG("all", all, "every backup, not only the latest"),
    BOOL_FLAG("cron", cron, "as crontab lines"),
    BOOL_FLAG("install", install, "put them into the crontab, in place of earlier ones"),
    BOOL_FLAG("remove", remove, "take them out of the crontab"),
    BOOL_FLAG("redeem", redeem, "put back what runs that died have left stopped, and nothing else"),
    BOOL_FLAG("skip-stop", skip_stop, "stop no container for it: you have"),
    BOOL_FLAG("skip-start", skip_start, "at the end let run only what ran before"),
    BOOL_FLAG("undo", undo, "with --stack: put back what its last restore replaced"),
    STR_FLAG("type", type, "TYPE", "full, incremental or differential"),
    STR_FLAG("parent", parent, "ID", "the backup to compare with"),
    STR_FLAG("id", id, "ID", "the new backup's id, instead of one that is made"),
    STR_FLAG("at", at, "TIME", "the newest backup started at or before TIME"),
    STR_FLAG("target", target, "DIR", "restore to DIR instead of back in place"),
    STR_FLAG("from", from, "SINK", "read from this sink"),
    STR_FLAG("host", host, "NAME", "backups of another host; '*' for all"),
    STR_FLAG("stack", stack, "NAME", "only this stack, from the newest backup that has it"),
    STR_FLAG("as-project", as_project, "NAME", "restore the one stack chosen under another name"),
    STR_FLAG("as-database", as_database, "NAME", "restore the one database chosen under this name"),
    STR_FLAG("level", level, "LEVEL", "quick (sizes), read (every byte) or restore (a drill)"),
    STR_FLAG("source", source, "NAME", "the source whose logs are meant, where it is not clear"),
    STR_FLAG("stream", stream, "ID", "whose logs, instead of the server's in whose folder this is"),
    STR_FLAG("output", output, "FILE", "use FILE instead of the user's crontab"),
    STR_FLAG("user", user, "NAME", "who runs the lines of a system crontab (default: root)"),
    LIST_FLAG("only", only, "GLOB", "only components that match; may be repeated"),
    LIST_FLAG("tag", tags, "TAG", "a label for the backup; may be repeated"),
    LIST_FLAG("component", components, "GLOB", "only these components; may be repeated"),
    LIST_FLAG("path", paths, "GLOB", "only these paths within trees (tables of dumps); repeatable"),
    LIST_FLAG("set", set, "SOURCE.OPTION=VALUE", "in place of the file's option; may be repeated"),
};

static const char *const everywhere[] = {"json", "quiet", "verbose", "help", NULL};

static bool listed(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (bk_streq(*names, name))
            return true;
    return false;
}

static bool takes(const struct bk_verb *verb, const char *name)
{
    return listed(everywhere, name) || (verb && listed(verb->flags, name));
}

/* word: with the dashes it was typed with */
static int no_such_flag(const struct bk_verb *verb, const char *word, struct bk_err *err)
{
    const char *valid[BK_LEN(flags) + 1];
    const char *like;
    size_t n = 0;

    for (size_t i = 0; i < BK_LEN(flags); i++)
        if (takes(verb, flags[i].name))
            valid[n++] = flags[i].name;
    valid[n] = NULL;
    like = bk_suggest(word + strspn(word, "-"), valid);
    bk_fail(err, BK_E_USAGE, "unknown option '%s' for '%s'%s%s%s", word,
            verb ? verb->name : "bakengine", like ? "; did you mean '--" : "", like ? like : "",
            like ? "'?" : "");
    bk_hint(err, "'bakengine %s%s--help' lists the options", verb ? verb->name : "",
            verb ? " " : "");
    return BK_E_USAGE;
}

static int set_flag(const struct bk_flag *f, const char *value, struct bk_args *args,
                    struct bk_err *err)
{
    char *at = (char *)args + f->offset;

    switch (f->type) {
    case BK_FLAG_BOOL:
        *(bool *)at = true;
        return BAKE_OK;
    case BK_FLAG_STR:
        if (*(const char **)at)
            return bk_fail(err, BK_E_USAGE, "option '--%s' is given twice", f->name);
        *(const char **)at = value;
        return BAKE_OK;
    case BK_FLAG_LIST:
        return bk_strv_add((struct bk_strv *)at, value) < 0 ? bk_nomem(err) : BAKE_OK;
    }
    return BAKE_OK;
}

/* argv[*i] begins with "--"; takes the next word too where the flag wants a value. */
static int parse_flag(int argc, char *const *argv, int *i, const struct bk_verb *verb,
                      struct bk_args *args, struct bk_err *err)
{
    const char *equals = strchr(argv[*i], '='), *name;
    char *option BK_FREE = strndup(argv[*i], strcspn(argv[*i], "="));

    if (!option)
        return bk_nomem(err);
    name = option + 2;
    for (size_t k = 0; k < BK_LEN(flags); k++) {
        const struct bk_flag *f = &flags[k];
        const char *value = equals ? equals + 1 : NULL;

        if (!bk_streq(f->name, name) || !takes(verb, name))
            continue;
        if (f->type == BK_FLAG_BOOL && value)
            return bk_fail(err, BK_E_USAGE, "option '--%s' takes no value", name);
        if (f->type != BK_FLAG_BOOL && !value) {
            if (*i + 1 >= argc)
                return bk_fail(err, BK_E_USAGE, "option '--%s' needs a value (%s)", name, f->arg);
            value = argv[++*i];
        }
        return set_flag(f, value, args, err);
    }
    return no_such_flag(verb, option, err);
}

static const struct bk_verb *find_verb(const char *name)
{
    for (const struct bk_verb *v = bk_verbs; v->name; v++)
        if (bk_streq(v->name, name))
            return v;
    return NULL;
}

static int no_such_verb(const char *name, struct bk_err *err)
{
    const char *names[64];
    const char *like;
    size_t n = 0;

    for (const struct bk_verb *v = bk_verbs; v->name && n < 63; v++)
        names[n++] = v->name;
    names[n] = NULL;
    like = bk_suggest(name, names);
    bk_fail(err, BK_E_USAGE, "unknown command '%s'%s%s%s", name, like ? "; did you mean '" : "",
            like ? like : "", like ? "'?" : "");
    bk_hint(err, "'bakengine --help' lists the commands");
    return BK_E_USAGE;
}

static int check_positional(const struct bk_verb *verb, const struct bk_args *args,
                            struct bk_err *err)
{
    if (args->n_pos >= verb->min_pos && args->n_pos <= verb->max_pos)
        return BAKE_OK;
    bk_fail(err, BK_E_USAGE, "'%s' %s: bakengine %s %s", verb->name,
            args->n_pos < verb->min_pos ? "needs more arguments" : "got too many arguments",
            verb->name, verb->usage);
    bk_hint(err, "'bakengine %s --help' says more", verb->name);
    return BK_E_USAGE;
}

/* What stands before the verb, or where there is none. */
static int parse_front(const char *word, struct bk_args *args, bool *ret_version,
                       struct bk_err *err)
{
    if (bk_streq(word, "--version") || bk_streq(word, "version"))
        *ret_version = true;
    else if (bk_streq(word, "--help") || bk_streq(word, "-h") || bk_streq(word, "help"))
        args->help = true;
    else if (word[0] == '-')
        return no_such_flag(NULL, word, err);
    else
        return no_such_verb(word, err);
    return BAKE_OK;
}

int bk_args_parse(int argc, char *const *argv, struct bk_args *args,
                  const struct bk_verb **ret_verb, bool *ret_version, struct bk_err *err)
{
    const struct bk_verb *verb = argc > 1 ? find_verb(argv[1]) : NULL;
    bool only_positional = false;

    memset(args, 0, sizeof(*args));
    *ret_verb = verb;
    *ret_version = false;
    if (argc < 2)
        return bk_fail(err, BK_E_USAGE,
                       "no command is given\n"
                       "HINT: 'bakengine --help' lists the commands");
    if (!verb)
        return parse_front(argv[1], args, ret_version, err);
    for (int i = 2; i < argc; i++) {
        int rc = BAKE_OK;

        if (!only_positional && bk_streq(argv[i], "--"))
            only_positional = true;
        else if (!only_positional && bk_streq(argv[i], "-h"))
            args->help = true;
        else if (!only_positional && bk_starts(argv[i], "--"))
            rc = parse_flag(argc, argv, &i, verb, args, err);
        else if (!only_positional && argv[i][0] == '-' && argv[i][1])
            rc = no_such_flag(verb, argv[i], err);
        else if (args->n_pos < BK_MAX_POSITIONAL)
            args->pos[args->n_pos++] = argv[i];
        else
            rc = bk_fail(err, BK_E_USAGE, "too many arguments");
        if (rc < 0)
            return rc;
    }
    return args->help ? BAKE_OK : check_positional(verb, args, err);
}

void bk_args_release(struct bk_args *args)
{
    bk_strv_free(&args->only);
    bk_strv_free(&args->tags);
    bk_strv_free(&args->components);
    bk_strv_free(&args->paths);
    bk_strv_free(&args->set);
}

static void help_all(void)
{
    printf("bakengine backs up what a pipeline file says, proves it, and restores it.\n\n"
           "usage: bakengine COMMAND ...\n\n");
    for (const struct bk_verb *v = bk_verbs; v->name; v++)
        printf("  %-11s %s\n", v->name, v->summary);
    printf(
        "\n'bakengine COMMAND --help' says more. PIPELINE is a YAML file; 'list', 'show', 'ls',\n"
        "'cat', 'diff', 'verify', 'restore --target' also take a store's address (a directory).\n"
        "exit codes: 0 done, 1 failed, 2 usage or invalid pipeline, 3 partial, 4 verification\n"
        "failed, 10 no such store or backup, 11 locked, 12 wrong key, 128+N a signal\n");
}

void bk_args_help(const struct bk_verb *verb)
{
    if (!verb) {
        help_all();
        return;
    }
    printf("usage: bakengine %s %s\n\n%s\n\n", verb->name, verb->usage, verb->summary);
    for (size_t i = 0; i < BK_LEN(flags); i++) {
        char head[64];

        if (!takes(verb, flags[i].name))
            continue;
        (void)snprintf(head, sizeof(head), "--%s%s%s", flags[i].name, flags[i].arg ? " " : "",
                       flags[i].arg ? flags[i].arg : "");
        printf("  %-20s %s\n", head, flags[i].help);
    }
}
