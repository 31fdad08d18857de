/* A transform within the test program: it expands, and breaks in every way that a test asks for. */
#ifndef FAKETRANSFORM_H
#define FAKETRANSFORM_H

#include "flow/chain.h"

#include <stdatomic.h>

#define FT_NEVER UINT64_MAX

/* Each byte b becomes 'd', b ^ key; the stream ends in 'e' and a check byte. Reversed, any other
 * tag, a wrong check byte, bytes after the end and an end that does not come are corrupt. */
struct ft_cfg {
    unsigned char key;
    size_t step;       /* at most so many bytes come out of one call; 0: as many as fit */
    unsigned late;     /* FINISH says OK so many times with nothing left before it says END */
    uint64_t fail_at;  /* after so many bytes taken in: fail_rc; FT_NEVER */
    int fail_rc;       /* may be no result at all */
    bool silent;       /* fails without a text */
    uint64_t stuck_at; /* from then on nothing moves; FT_NEVER */
    uint64_t end_at;   /* from then on CONTINUE says END with input left; FT_NEVER */
    int open_rc;       /* of open() */
    atomic_int *open;  /* how many are open now; or NULL */
};

/* clang-format off */
#define FT_CFG {.key = 0x5a, .fail_at = FT_NEVER, .stuck_at = FT_NEVER, .end_at = FT_NEVER}
/* clang-format on */

const struct bk_plugin *ft_plugin(void); /* "fake", ".fk" */

#endif
