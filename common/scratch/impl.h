/* Shared by the files of this folder. */
#ifndef BKC_SCRATCH_IMPL_H
#define BKC_SCRATCH_IMPL_H

#include "child/spawn.h"
#include "scratch/scratch.h"

#include <jansson.h>

#define BKC_SCRATCH_PREFIX "bakengine-"
#define BKC_SCRATCH_RANDOM 6

struct bkc_scratch {
    char *path, *user; /* user: NULL: ours */
    uid_t uid;
    uint64_t inode; /* of the directory */
    uint64_t duty;  /* 0: nothing is promised */
    char boot[64];
    pid_t pid; /* 0: no server, or it was reaped */
    int pidfd;
    uint64_t started; /* when, in the system's own ticks */
};

/* This start of the system. */
void bkc_boot_id(char *room, size_t size);
/* When a process started; false: there is none, or it has ended and waits to be reaped. */
bool bkc_start_time(pid_t pid, uint64_t *ret);
/* Sends it, waits until it has ended. pidfd may be -1: it is asked for by number and start then. */
bool bkc_end_process(pid_t pid, int pidfd, uint64_t started, int signal, uint64_t wait_ms);

/* Promises what s is now. */
int bkc_scratch_promise(struct bkc_scratch *s, struct bake_ctx *ctx);
/* Removes what a directory is made of, then itself. name: below parent. */
int bkc_scratch_remove(struct bake_ctx *ctx, int parent, const char *name, int fd,
                       const char *path);
/* "<dir>/<name>", both as copies of ret. false: not an absolute path with a name. */
bool bkc_scratch_split(const char *path, char **ret_dir, const char **ret_name);

#endif
