/* The text of a backup manifest, item by item: it may be too long to be held. */
#ifndef PG_BASE_JSON_H
#define PG_BASE_JSON_H

#include <bakengine/plugin.h>

#include <stdbool.h>

struct pg_manifest_item {
    const char *path; /* any bytes but NUL */
    uint64_t size;
    unsigned char sha256[32];
};

struct pg_json;

/* each() returns OK, or an error that ends it. */
int pg_json_new(struct bake_ctx *ctx, int (*each)(void *arg, const struct pg_manifest_item *item),
                void *arg, struct pg_json **ret);
void pg_json_free(struct pg_json *j); /* NULL is fine */
/* In any pieces. BAKE_E_CORRUPT is said. */
int pg_json_feed(struct pg_json *j, const char *data, size_t n);
/* After the last byte: it is whole, and has this checksum. Else *ret_why, a static text. */
bool pg_json_whole(const struct pg_json *j, const unsigned char sha256[32], const char **ret_why);

#endif
