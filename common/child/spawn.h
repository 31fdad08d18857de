/* From a process with threads to another program: all that is needed is made ready before fork(),
 * so that only calls that are safe there follow it. */
#ifndef BKC_SPAWN_H
#define BKC_SPAWN_H

#include <bakengine/plugin.h>

#include <stdbool.h>
#include <sys/types.h>

struct bkc_user { /* whom a program is to run as */
    bool change;  /* false: as this process */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int n_groups;
    char *name, *home;
};

/* name NULL, or this process is not root, or it is that user already: no change. BAKE_E_CONFIG:
 * there is no such user. */
int bkc_user_find(struct bake_ctx *ctx, const char *name, struct bkc_user *ret);
void bkc_user_release(struct bkc_user *u);

#define BKC_WORDS_OWNED 12

struct bkc_words { /* a program's path, arguments and environment */
    char *path;
    const char **argv, **env; /* the lists are owned, of the strings only those in `owned` */
    size_t n_argv, n_env;
    char *owned[BKC_WORDS_OWNED];
    size_t n_owned, n_owned_arguments;
};

/* argv, env as in struct bkc_child_spec; `more` entries can be added to either. */
int bkc_words_make(struct bake_ctx *ctx, const char *const *argv, const char *const *env,
                   const struct bkc_user *user, size_t more, struct bkc_words *ret);
/* Takes `owned`, "NAME=value"; it takes the place of one of that name. */
void bkc_words_env(struct bkc_words *w, char *owned);
void bkc_words_argument(struct bkc_words *w, char *owned); /* behind the name and those before */
void bkc_words_release(struct bkc_words *w);

#define BKC_SPAWN_KEEP 6

struct bkc_spawn {
    const struct bkc_words *words;
    const struct bkc_user *user;
    const char *directory;    /* or NULL */
    int std[3];               /* all above 2 */
    int keep[BKC_SPAWN_KEEP]; /* above 2, under the same number */
    size_t n_keep;
    bool stays; /* a session of its own, not bound to the thread that starts it, umask 077; else a
                   process group, and SIGTERM when the thread ends */
    int gate;   /* >= 0: it waits for a byte here, and goes without one */
};

/* *ret_report: for bkc_spawn_ran(), which closes it. */
int bkc_spawn(struct bake_ctx *ctx, const struct bkc_spawn *s, pid_t *ret_pid, int *ret_report);
/* Waits until it is another program. Else the failure is said, and it is reaped: NOTFOUND. */
int bkc_spawn_ran(struct bake_ctx *ctx, const struct bkc_spawn *s, pid_t pid, int report);

/* A descriptor for its end, or -1 where there are none. */
int bkc_pidfd(pid_t pid);
/* The same descriptor above 2; closes fd; -1 with errno. */
int bkc_fd_above(int fd);
uint64_t bkc_now_ms(void);
const char *bkc_base_name(const char *path);

#endif
