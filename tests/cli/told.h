/* What the command-line tests' own sources share: they do as they are told. */
#ifndef TOLD_H
#define TOLD_H

#include <bakengine/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline int told_listed(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return 1;
    return 0;
}

/* Says that it is there (PATH.reached), and goes on once PATH is. */
static inline int told_wait(struct bake_ctx *ctx, const char *path)
{
    char reached[4200];
    int fd;

    (void)snprintf(reached, sizeof(reached), "%s.reached", path);
    fd = open(reached, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return bake_fail(ctx, BAKE_E_IO, "cannot make '%s': %s", reached, strerror(errno));
    (void)close(fd);
    while (access(path, F_OK) < 0)
        if (ctx->host->sleep_ms(ctx, 10) != BAKE_OK)
            return bake_fail(ctx, BAKE_E_CANCELLED, "cancelled");
    return BAKE_OK;
}

/* A tree of a directory and one file "data"; *entry counts what was given. */
static inline int told_next(int *entry, uint64_t size, struct bake_entry *ret)
{
    if (*entry > 1)
        return BAKE_END;
    ret->type = *entry == 0 ? BAKE_DIR : BAKE_FILE;
    ret->path = *entry == 0 ? "." : "data";
    ret->mode = *entry == 0 ? 0755 : 0644;
    ret->size = *entry == 0 ? 0 : size;
    ret->valid = BAKE_HAS_MODE | BAKE_HAS_MTIME;
    ret->mtime_ns = INT64_C(1700000000000000001);
    ++*entry;
    return BAKE_OK;
}

static inline int told_open_entry(void *reader, struct bake_entry *entry)
{
    (void)reader;
    (void)entry;
    return BAKE_OK;
}

/* `text` again and again, up to `size` bytes in all; *pos counts them. */
static inline void told_fill(const char *text, uint64_t size, uint64_t *pos, struct bake_out *out)
{
    size_t n = strlen(text), room = out->size - out->pos;
    char *to = (char *)out->data + out->pos;

    if (room > size - *pos)
        room = (size_t)(size - *pos);
    for (size_t i = 0; i < room; i++)
        to[i] = text[(*pos + i) % n];
    *pos += room;
    out->pos += room;
}

static inline int told_finish(void *reader, struct bake_result *ret)
{
    (void)reader;
    (void)ret;
    return BAKE_OK;
}

#endif
