/* The marks around a program's output, and the buffer in which they are looked for. */
#ifndef DOCKER_EXEC_MARKS_H
#define DOCKER_EXEC_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#define DK_NONCE    32 /* characters */
#define DK_OUT_ROOM (256U * 1024)

struct dk_marks {
    char begin[64], end[64]; /* up to the number that follows */
    size_t n_begin, n_end;
    char *buf; /* output that has come and was not taken yet */
    size_t at, n;
    size_t scanned; /* no end mark starts before here */
    bool began, ended;
    long pid; /* of the program, in the container */
    int code; /* its exit status, once ended */
};

/* false: out of memory. */
bool dk_marks_init(struct dk_marks *m, const char *nonce);
void dk_marks_free(struct dk_marks *m);
size_t dk_marks_room(struct dk_marks *m); /* how much may be put now */
void dk_marks_put(struct dk_marks *m, const char *data, size_t n);
/* Output that is certain: *ret and its length; 0: more must come first, or all is out. */
size_t dk_marks_peek(struct dk_marks *m, const char **ret);
void dk_marks_take(struct dk_marks *m, size_t n);
/* Everything that is there, marks or not: for what is said when the program never began. */
size_t dk_marks_rest(const struct dk_marks *m, const char **ret);

#endif
