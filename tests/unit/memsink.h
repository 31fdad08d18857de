/* A sink within the test program's memory, with a clock of its own and faults where a test wants
 * them. Any number of threads. */
#ifndef MEMSINK_H
#define MEMSINK_H

#include "base/buf.h"
#include "plugin/registry.h"

#include <pthread.h>
#include <stdbool.h>

enum ms_op {
    MS_OPEN,
    MS_PUT_BEGIN,
    MS_PUT_WRITE,
    MS_PUT_END,
    MS_GET_BEGIN,
    MS_GET_READ,
    MS_LIST,
    MS_STAT,
    MS_REMOVE,
    MS_N_OPS
};

struct ms_object {
    char *name;
    char *data; /* of exactly n bytes */
    size_t n;
    int64_t mtime_ns;
};

struct ms_fault {
    enum ms_op op;
    const char *name; /* only objects whose name holds this; NULL: any */
    unsigned skip;    /* matching calls that still go well */
    unsigned times;   /* then so many fail; 0: all */
    int rc;
    bool done_first; /* PUT_END, REMOVE: does its work and fails then: the answer was lost */
    unsigned seen;   /* matching calls so far */
};

#define MS_FAULTS 8

struct memsink {
    pthread_mutex_t lock;
    struct ms_object *objects; /* by name */
    size_t n;
    struct ms_fault faults[MS_FAULTS];
    size_t n_faults;
    unsigned calls[MS_N_OPS];
    int puts_open, gets_open;
    int64_t clock_ns;       /* what objects that are put get as their time */
    size_t get_step;        /* at most so many bytes a get_read; 0: as many as fit */
    bool end_apart;         /* END comes in a call of its own */
    bool takes_half;        /* put_write takes half and says OK: breaks the contract */
    bool get_stalls;        /* get_read says OK without a byte, for ever */
    unsigned write_ms;      /* how long a put_write takes */
    uint64_t swept_older;   /* what sweep() was asked for */
    unsigned sweep_removes; /* what it says */
};

struct ms_cfg { /* the plugin's config */
    struct memsink *sink;
};

const struct bk_plugin *ms_plugin(void); /* "memory" */

void ms_init(struct memsink *s);
void ms_release(struct memsink *s);
void ms_fault(struct memsink *s, enum ms_op op, const char *name, unsigned skip, unsigned times,
              int rc);
void ms_fault_lost(struct memsink *s, enum ms_op op, const char *name, int rc);
void ms_heal(struct memsink *s); /* no faults any more, counters at 0 */

/* Behind the plugin's back. */
struct ms_object *ms_find(struct memsink *s, const char *name);
void ms_set(struct memsink *s, const char *name, const void *data, size_t n);
void ms_set_time(struct memsink *s, const char *name, int64_t mtime_ns);
void ms_drop(struct memsink *s, const char *name);
size_t ms_count(struct memsink *s, const char *prefix);

#endif
