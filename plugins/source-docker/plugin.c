/* The Docker source: every labelled stack of a host, and volumes without labels. */
#include "ops.h"

#define LIST(member)   BAKE_MEMBER(struct dk_config, member, const char *const *)
#define TEXT(member)   BAKE_MEMBER(struct dk_config, member, const char *)
#define NUMBER(member) BAKE_MEMBER(struct dk_config, member, int)
#define TIME(member)   BAKE_MEMBER(struct dk_config, member, uint64_t)

#define SECOND 1000
#define DAY    (24 * 3600 * (int64_t)SECOND)

static const char *const consistencies[] = {"stop", "pause", "none", NULL};
static const char *const reads[] = {"auto", "direct", "api", NULL};

static const struct bake_option options[] = {
    {"host", BAKE_T_STRING, 0, TEXT(host), NULL, 0, 0, NULL,
     "the daemon's address: unix:///path, tcp://host:port or https://host:port; by default "
     "DOCKER_HOST, else unix:///var/run/docker.sock"},
    {"ca", BAKE_T_PATH, 0, TEXT(ca), NULL, 0, 0, NULL,
     "TLS: PEM file of the authority that signed the daemon's certificate"},
    {"cert", BAKE_T_PATH, 0, TEXT(cert), NULL, 0, 0, NULL, "TLS: PEM file of our own certificate"},
    {"key", BAKE_T_PATH, 0, TEXT(key), NULL, 0, 0, NULL, "TLS: PEM file of the key of `cert`"},
    {"projects", BAKE_T_STRLIST, 0, LIST(projects), NULL, 0, 0, NULL,
     "globs of the stacks to back up; by default all that have labels"},
    {"exclude_projects", BAKE_T_STRLIST, 0, LIST(exclude_projects), NULL, 0, 0, NULL,
     "globs of stacks to leave alone"},
    {"paths", BAKE_T_STRLIST, 0, LIST(paths), NULL, 0, 0, NULL,
     "globs of the paths within containers that labels may name; by default all"},
    {"exclude_paths", BAKE_T_STRLIST, 0, LIST(exclude_paths), NULL, 0, 0, NULL,
     "globs of paths within containers that are left out though a label names them"},
    {"exclude", BAKE_T_STRLIST, 0, LIST(exclude), NULL, 0, 0, NULL,
     "patterns as in .gitignore of what to leave out; a leading / is the root of each path or "
     "volume"},
    {"volumes", BAKE_T_STRLIST, 0, LIST(volumes), NULL, 0, 0, NULL,
     "volumes to back up without any label: all, or globs of their names"},
    {"consistency", BAKE_T_ENUM, 0, NUMBER(consistency), "stop", 0, 0, consistencies,
     "what is done to containers while their files are read, unless their label says otherwise"},
    {"read", BAKE_T_ENUM, 0, NUMBER(read), "auto", 0, 0, reads,
     "how files are read: from the host's directories, through the daemon, or whichever can be "
     "proven right"},
    {"config", BAKE_T_BOOL, 0, NUMBER(config), "false", 0, 0, NULL,
     "back up the Compose files and .env of each stack as <stack>/config"},
    {"definition", BAKE_T_BOOL, 0, NUMBER(definition), "true", 0, 0, NULL,
     "back up what a stack's containers, networks and volumes are made again from; it holds their "
     "environment, so passwords too"},
    {"stop_timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(stop_timeout), "0", 0, DAY, NULL,
     "how long a container may take to stop before it is killed; 0: its own setting"},
    {"health_timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(health_timeout), "2m", 0, DAY,
     NULL, "how long containers that were started again may take to be healthy"},
    {"timeout", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(timeout), "60s", SECOND, DAY, NULL,
     "how long the daemon may be silent"},
    {"keep_previous", BAKE_T_DURATION, BAKE_OPT_HAS_RANGE, TIME(keep_previous), "3d", 0, 3650 * DAY,
     NULL, "how long a restore keeps what it replaced, for restore --undo"},
    {0},
};

static const struct bake_plugin plugin = {
    BAKE_PLUGIN_HEAD,         .name = "docker",
    .version = "1.0",         .summary = "stacks of containers, their volumes and databases",
    .options = options,       .config_size = sizeof(struct dk_config),
    .validate = dk_validate,  .probe = dk_probe,
    .source = &dk_source_ops,
};

BAKE_PLUGIN(plugin)
