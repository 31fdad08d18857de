/* init: a first pipeline, and the names it reads from the environment. */
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char pipeline_text[] =
    "# A bakengine pipeline: what to keep, through what, where to and for how long.\n"
    "#   bakengine validate pipeline.yaml          finds mistakes\n"
    "#   bakengine run pipeline.yaml --dry-run     says what would be done\n"
    "#   bakengine run pipeline.yaml               does it\n"
    "#   bakengine plugins files                   explains a plugin's options\n"
    "pipeline: main\n"
    "#env_file: .env                # for ${...} below; the environment wins over it\n"
    "\n"
    "sources:\n"
    "  - name: system\n"
    "    plugin: files\n"
    "    paths: [/etc]              # absolute, or relative to this file; globs work\n"
    "    exclude: [\"*.swp\", \"*~\"]   # as in .gitignore\n"
    "\n"
    "store:\n"
    "  format: repository           # each piece of data once; or archive: plain .tar.zst files\n"
    "\n"
    "transforms:\n"
    "  - plugin: zstd\n"
    "    level: 3\n"
    "\n"
    "sinks:\n"
    "  - plugin: local\n"
    "    path: ${BACKUP_DIR:-./backups}\n"
    "\n"
    "# Nothing is ever removed without this line; only good backups count.\n"
    "retention: {keep_last: 3, keep_daily: 30, keep_weekly: 12, keep_monthly: 12}\n"
    "\n"
    "verify:\n"
    "  after_run: read              # read every byte back after each run\n"
    "\n"
    "# bakengine schedule pipeline.yaml --cron --install\n"
    "schedule:\n"
    "  incremental: \"0 2 * * 1-6\"\n"
    "  full: \"0 2 * * 0\"\n"
    "  prune: \"0 7 * * *\"\n";

static const char env_text[] =
    "# Names that pipeline.yaml reads. Copy this file to .env, set what you need, keep it to "
    "yourself\n"
    "# (chmod 600 .env), and take away the '#' before env_file in pipeline.yaml.\n"
    "#BACKUP_DIR=/srv/backups\n";

static int check_new(const char *dir, const char *name, struct bk_err *err)
{
    char *path BK_FREE = bk_path_join(dir, name);
    struct stat st;

    if (!path)
        return bk_nomem(err);
    if (lstat(path, &st) < 0)
        return BAKE_OK;
    return bk_fail(err, BAKE_E_EXISTS,
                   "'%s' exists and is kept; nothing was written\n"
                   "HINT: use --force to replace it",
                   path);
}

static int write_text(const char *dir, const char *name, const char *text, struct bk_err *err)
{
    char *path BK_FREE = bk_path_join(dir, name);

    return path ? bk_write_file(path, text, strlen(text), 0640, err) : bk_nomem(err);
}

int bk_verb_init(struct bk_cli *cli, struct bk_err *err)
{
    const char *dir = cli->args.pos[0] ? cli->args.pos[0] : ".";
    char *path BK_FREE = bk_path_join(dir, "pipeline.yaml");
    int rc = path ? bk_mkdir_p(dir, 0750, err) : bk_nomem(err);

    if (rc >= 0 && !cli->args.force)
        rc = check_new(dir, "pipeline.yaml", err);
    if (rc >= 0 && !cli->args.force)
        rc = check_new(dir, ".env.example", err);
    if (rc >= 0)
        rc = write_text(dir, "pipeline.yaml", pipeline_text, err);
    if (rc >= 0)
        rc = write_text(dir, ".env.example", env_text, err);
    if (rc < 0)
        return rc;
    if (cli->args.json) {
        json_t *doc = json_object();

        bk_json_set_str(doc, "pipeline", path);
        return bk_cli_json(doc, err);
    }
    if (!cli->args.quiet)
        printf("wrote %s and .env.example beside it\n"
               "next: look through it, then\n"
               "  bakengine validate %s\n"
               "  bakengine run %s --dry-run\n",
               path, path, path);
    return BAKE_OK;
}
