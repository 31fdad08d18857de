/* What the manifest of a backup says of a base backup; written when it is made, read on the way
 * back. */
#ifndef PG_BASE_FACTS_H
#define PG_BASE_FACTS_H

#include "base_stream.h"

/* JSON, to be freed. Asks the server for the time, which the backup has ended at. */
int pg_base_facts(struct pg_source *src, struct bake_ctx *ctx, const struct pg_base_info *info,
                  uint64_t files, char **ret);

struct pg_base_known { /* read back; strings live as long as `json` */
    void *json;
    int version; /* 150020 */
    const char *system_id, *start_lsn, *end_lsn, *superuser, *from, *end;
    uint32_t timeline;
    uint64_t segment_size;
    struct pg_tablespace *tablespaces; /* the texts are the JSON's */
    size_t n_tablespaces;
    const void *settings; /* json_t, or NULL */
};

/* text: bake_component.facts. BAKE_E_CORRUPT: they are not those of a base backup. */
int pg_base_known(struct bake_ctx *ctx, const char *text, struct pg_base_known *ret);
void pg_base_known_release(struct pg_base_known *k);

#endif
