/* Names of what stands in a sink (docs/format.md). */
#ifndef BK_LAYOUT_H
#define BK_LAYOUT_H

#include "base/err.h"
#include "config/pipeline.h"
#include <stdbool.h>

#define BK_INFO_NAME     "bakengine.json"
#define BK_BACKUPS       "backups/"
#define BK_MANIFEST_NAME "manifest.json"
#define BK_SUMS_NAME     "SHA256SUMS"
#define BK_RECORDS       "records/"
#define BK_WRITERS       "writers/"
#define BK_GC            "gc/"
#define BK_BAD           "bad/"
#define BK_MOVED         "moved/"
#define BK_PACKS_NAME    "packs"

#define BK_ID_CAP 112 /* a pipeline's name (64), a stamp (16), 6 hex digits, dashes, NUL */

const char *bk_format_name(enum bk_format_id format); /* "archive" */

/* "<pipeline>-20251105T120000Z-3f9c2a" */
int bk_make_id(const char *pipeline, int64_t start_ns, char ret[BK_ID_CAP], struct bk_err *err);
/* Letters, digits, '-', '_' and '.', not starting with '.' or '-', short enough. */
bool bk_id_ok(const char *id);

/* "backups/<id>/<rest>"; owned by the caller, NULL when out of memory. */
char *bk_backup_object(const char *id, const char *rest);
/* A component's name as part of an object's name: bytes outside of printable ASCII, '%' and '\'
 * as %XX. Owned by the caller, NULL when out of memory. */
char *bk_object_safe(const char *component);

#endif
