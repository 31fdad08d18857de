/* The files that obligations are kept in: one per process in <state>/obligations, lines of JSON
 * that are only appended, each durable before it counts. The process and its guard hold a lock on
 * it, so what nobody has locked belongs to the dead. */
#ifndef BK_DUTY_FILE_H
#define BK_DUTY_FILE_H

#include "base/json.h"
#include "base/str.h"

struct bk_obligation {
    uint64_t id;
    char *source, *plugin; /* the source's name in the pipeline, and its plugin's */
    char *pipeline;        /* the pipeline file, absolute */
    struct bk_strv set;    /* options that counted in place of the file's */
    char *what;            /* the plugin's JSON */
};

struct bk_duty_file {
    int fd;
    char *path;
    struct bk_obligation *items; /* not redeemed yet */
    size_t n;
    uint64_t last;
};

#define BK_DUTY_FILE_INIT                                                                          \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* <state>/obligations; the caller's. */
int bk_duty_dir(char **ret, struct bk_err *err);
int bk_duty_file_new(struct bk_duty_file *ret, struct bk_err *err); /* made, durable and locked */
/* Another process's, with its obligations. BAKE_END: it is alive (or the file is gone meanwhile).
 */
int bk_duty_file_take(const char *path, struct bk_duty_file *ret, struct bk_err *err);
/* id 0: a new one; its id is in o. Copies. */
int bk_duty_file_add(struct bk_duty_file *f, struct bk_obligation *o, struct bk_err *err);
int bk_duty_file_drop(struct bk_duty_file *f, uint64_t id, struct bk_err *err);
/* Closes it; removes it if nothing is left in it. */
void bk_duty_file_close(struct bk_duty_file *f);

#endif
