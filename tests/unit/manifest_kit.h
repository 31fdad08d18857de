/* A manifest with everything in it. */
#ifndef MANIFEST_KIT_H
#define MANIFEST_KIT_H

#include "storekit.h"

#include <stdlib.h>
#include <string.h>

#define KIT_SHA "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static inline void kit_object(struct bk_mcomp *c, const char *name, const char *role, uint64_t size)
{
    struct bk_object *o = &c->objects[c->n_objects++];

    o->name = bk_strdup(name);
    o->role = bk_strdup(role);
    o->size = size;
    memcpy(o->sha256, KIT_SHA, sizeof(o->sha256));
}

static inline void kit_tree(struct bk_mcomp *c)
{
    c->name = bk_strdup("myapp/web/stra\xc3\x9f"
                        "e");
    c->group = bk_strdup("myapp");
    c->source = bk_strdup("stacks");
    c->plugin = bk_strdup("docker");
    c->kind = BAKE_TREE;
    c->status = BK_STATUS_PARTIAL;
    c->bytes_in = UINT64_MAX; /* more than JSON's integers hold */
    c->bytes_stored = 12345;
    c->entries = 57012;
    c->warnings = 3;
    c->missing = 2;
    c->duration_ms = 1001; /* not exact as seconds */
    memcpy(c->sha256, KIT_SHA, sizeof(c->sha256));
    c->objects = calloc(2, sizeof(*c->objects));
    assert_non_null(c->objects);
    kit_object(c, "myapp/web/stra%C3%9Fe.tar.zst", "data", 12300);
    kit_object(c, "myapp/web/stra%C3%9Fe.mtree.zst", "listing", 45);
    assert_int_equal(bk_strv_add(&c->transforms, "zstd"), 0);
    assert_int_equal(bk_strv_add(&c->transforms, "age"), 0);
    c->fingerprint = bk_strdup("\"etag\"");
    c->facts = json_pack("{ss s[ii]}", "docker_version", "20.10.24", "ports", 80, 443);
}

static inline void kit_failed(struct bk_mcomp *c)
{
    c->name = bk_strdup("db/x.sql");
    c->source = bk_strdup("db");
    c->plugin = bk_strdup("postgres");
    c->kind = BAKE_BLOB;
    c->status = BK_STATUS_FAILED;
    c->error = bk_strdup("cannot connect: refused\n\"quoted\"");
}

static inline struct bk_manifest *kit_full(void)
{
    struct bk_manifest *m = kit_manifest(KIT_ID, "nightly", "host-1", 1762344000123456789, 3);

    m->parent = bk_strdup("nightly-20251104T120000Z-000000");
    assert_int_equal(bk_strv_add(&m->tags, "before upgrade"), 0);
    assert_int_equal(bk_strv_add(&m->tags, ""), 0);
    m->encrypted = 1;
    m->has_level = 1;
    m->compression_level = -7;
    m->plugins = json_pack("{ss}", "source-files", "0.1.0");
    m->pipeline_file = json_pack("{s[{ss}]}", "sources", "name", "system");
    bk_mcomp_release(&m->comps[1]);
    kit_tree(&m->comps[1]);
    bk_mcomp_release(&m->comps[2]);
    kit_failed(&m->comps[2]);
    return m;
}

#endif
