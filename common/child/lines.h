/* Text from a program, line by line, made fit to be shown. */
#ifndef BKC_LINES_H
#define BKC_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define BKC_LINE_MAX 1000
#define BKC_TAIL_MAX 2048

struct bkc_lines { /* zeroed, but for said and arg */
    char line[BKC_LINE_MAX + 8];
    size_t n;
    bool cut;                    /* the line is longer */
    char tail[BKC_TAIL_MAX + 1]; /* the last lines, '\n' between them */
    size_t tail_n;
    void (*said)(void *arg, const char *line); /* or NULL */
    void *arg;
};

void bkc_lines_feed(struct bkc_lines *l, const char *text, size_t n);
void bkc_lines_end(struct bkc_lines *l); /* the last one may have no end */
const char *bkc_lines_last(const struct bkc_lines *l);

#endif
