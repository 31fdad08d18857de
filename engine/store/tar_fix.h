/* Corrects an entry's headers as libarchive writes them. Inside of the tar writer. */
#ifndef BK_TAR_FIX_H
#define BK_TAR_FIX_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct bk_tar_fix {
    bool minus_zero;         /* the time is between -1 s and 0: a sign that libarchive loses */
    bool odd_xattrs;         /* attribute names with other bytes than printable ASCII */
    bool devices;            /* device numbers over 2^18 */
    const char *sparse_name; /* of a sparse file, if it is long: libarchive cuts it; else NULL */
    int mode;                /* an ACL changed it: the real one; else -1 */
};

/* head: all that libarchive wrote for one header (option hdrcharset=BINARY), whole blocks. What is
 * to be written instead is *ret_at .. *ret_n within head->data, or in scratch. */
int bk_tar_fix(const struct bk_tar_fix *fix, struct bk_buf *head, struct bk_buf *scratch,
               const char **ret_data, size_t *ret_n, struct bk_err *err);

#endif
