/* Memory that runs out when a test says so. The program is linked with --wrap=malloc and so on, so
 * that it is our own code's calls that fail. */
#ifndef FAILMALLOC_H
#define FAILMALLOC_H

#include <stddef.h>

/* Of the calls from now on the n-th (from 1) and all after it fail; 0: none. */
void fm_fail_from(size_t n);
/* The n-th alone. */
void fm_fail_at(size_t n);
size_t fm_calls(void);    /* since then */
void *fm_plain(size_t n); /* memory that does not run out */

#endif
