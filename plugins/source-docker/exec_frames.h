/* The frames of a multiplexed stream (exec, attach, logs): one byte of stream, three of zero, the
 * length as 4 bytes big-endian, the bytes. */
#ifndef DOCKER_EXEC_FRAMES_H
#define DOCKER_EXEC_FRAMES_H

#include <bakengine/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dk_frames { /* zeroed to begin with */
    unsigned char head[8];
    unsigned n_head;
    uint32_t left; /* of the frame's bytes */
};

struct dk_piece {
    int stream; /* 1: output, 2: errors (the daemon's own too) */
    const char *data;
    size_t n;
};

/* The next piece of *data[0..*n), which both move on. BAKE_OK: *ret is one; BAKE_END: more must
 * come first; BAKE_E_CORRUPT: this is no such stream. */
int dk_frames_next(struct dk_frames *f, const char **data, size_t *n, struct dk_piece *ret);
/* Between two frames? */
bool dk_frames_whole(const struct dk_frames *f);

#endif
