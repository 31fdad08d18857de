/* Scope-bound cleanup: a variable declared with one of these is released on every way out. */
#ifndef BK_CLEANUP_H
#define BK_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void bk_free_p(void *p) { free(*(void **)p); }
static inline void bk_close_p(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}
static inline void bk_fclose_p(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

#define BK_CLEANUP(f) __attribute__((cleanup(f)))
#define BK_FREE       BK_CLEANUP(bk_free_p)  /* char *p BK_FREE = NULL; */
#define BK_CLOSE      BK_CLEANUP(bk_close_p) /* int fd BK_CLOSE = -1;   */
#define BK_FCLOSE     BK_CLEANUP(bk_fclose_p)

#define BK_STEAL(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) bk_stolen_ = (p);                                                            \
        (p) = NULL;                                                                                \
        bk_stolen_;                                                                                \
    })

#define BK_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
