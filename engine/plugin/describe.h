/* What `bakengine plugins [NAME]` says: from the plugin's own option table. */
#ifndef BK_DESCRIBE_H
#define BK_DESCRIBE_H

#include "base/buf.h"
#include "plugin/registry.h"
#include <jansson.h>

const char *bk_type_name(uint32_t type); /* "bool", "size", "list of strings", ... */
/* For people: name, version, file, summary, then one paragraph per option. */
int bk_describe_text(const struct bk_plugin *p, struct bk_buf *out, struct bk_err *err);
/* {"name","kind","version","summary","file","options":[{"key","type","required","default","min",
 * "max","choices","help","deprecated"}]}; a new reference. */
json_t *bk_describe_json(const struct bk_plugin *p);

#endif
