/* Orders about directories below one root, carried out by descriptors and without ever following a
 * symbolic link: in this process, or in a helper container (helper/helper.c), which is given the
 * same orders as arguments and leaves the same answers. */
#ifndef DOCKER_PLACE_FS_H
#define DOCKER_PLACE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dk_fs_verb {
    DK_FS_STAT,     /* what is at a */
    DK_FS_EXCHANGE, /* a and b change places, where a is ino_a and b is ino_b (0: nothing is
                       there); where they have done so already all is well */
    DK_FS_CLEAR,    /* removes what is in a, not a itself */
    DK_FS_REMOVE,   /* removes a and what is in it, if it is there */
    DK_FS_MKDIR,    /* makes a, and what is missing above it, mode 0700; b "": it must be new */
    DK_FS_META,     /* gives b the owner, mode and attributes of a; the answer is about b */
    DK_FS_SYNC,     /* writes out the file system of a */
};

struct dk_fs_order {
    enum dk_fs_verb verb;
    const char *a, *b; /* below the root, without "." and ".."; NULL or "": the root */
    uint64_t ino_a, ino_b;
};

struct dk_fs_answer {
    int error;         /* 0 or an errno; ESTALE: another directory is there than the one meant */
    uint64_t ino, dev; /* ino 0: nothing is there */
    uint64_t room;     /* bytes free on its file system */
    bool movable; /* it (or, if it is not there, what would hold it) is on the root's own mount */
    bool mounts;  /* something is mounted below it */
    char where[200]; /* what the error is about; printable */
};

void dk_fs_do(int root, const struct dk_fs_order *order, struct dk_fs_answer *ret);

/* The order as arguments: verb, a, b, ino_a, ino_b. */
#define DK_FS_ARGS 5
const char *dk_fs_verb_name(enum dk_fs_verb verb);
bool dk_fs_order_parse(char *const *args, struct dk_fs_order *ret);
/* The answer as one line of text. Its length. */
size_t dk_fs_answer_print(const struct dk_fs_answer *a, char *out, size_t size);
bool dk_fs_answer_parse(const char *text, struct dk_fs_answer *ret);

/* place_sweep.c: removes what is in a directory, staying on its mount. 0 or -errno; where: the
 * name that could not be removed. */
int dk_fs_empty(int dir, char *where, size_t size);
/* Is the open directory (or what is below it, by path) another mount than this one? 0 or -errno. */
int dk_fs_mount(int fd, uint64_t *ret_mount, uint64_t *ret_dev);

#endif
