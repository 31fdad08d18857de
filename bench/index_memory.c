/* What the chunk index costs: runs of 10,000 and 10,000,000 made-up chunks, looked up at random.
 * Prints memory and time per lookup, and fails when there is more than a byte per chunk and some
 * beyond the stated cache. With a number as argument only that many chunks. */
#include "base/clock.h"
#include "base/num.h"
#include "store/index_private.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOKUPS 100000u

/* The n-th id is n spread over the first eight bytes, so they come in order without sorting. */
struct made {
    uint64_t at, n;
};

static uint64_t scramble(uint64_t v)
{
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9u;
    v = (v ^ v >> 27) * 0x94d049bb133111ebu;
    return v ^ v >> 31;
}

static bk_id id_of(uint64_t number, uint64_t n)
{
    uint64_t words[4] = {UINT64_MAX / n * number};
    bk_id id;

    for (int i = 0; i < 8; i++)
        id.b[i] = (unsigned char)(words[0] >> (56 - 8 * i));
    for (uint64_t i = 1; i < 4; i++)
        words[i] = scramble(number * 3 + i);
    memcpy(id.b + 8, words + 1, 24);
    return id;
}

static int next(void *arg, struct bk_located *ret, struct bk_err *err)
{
    struct made *m = arg;

    (void)err;
    ret->id = id_of(m->at, m->n);
    ret->loc = (struct bk_loc){(uint32_t)(m->at % 1000), 0, 0, 65536};
    m->at++;
    return BAKE_OK;
}

/* Resident bytes of this process. */
static uint64_t resident(void)
{
    char text[4096], *line;
    uint64_t kib = 0;
    ssize_t n;
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    line = strstr(text, "RssAnon:");
    for (line = line ? line + 8 : text; *line && *line != '\n'; line++)
        if (*line >= '0' && *line <= '9')
            kib = kib * 10 + (uint64_t)(*line - '0');
    return kib << 10;
}

/* Looks up ids that are there, or such that are not. Returns nanoseconds per lookup, or -1. */
static int64_t look_up(struct bk_run *run, uint64_t n, bool there)
{
    int64_t start = bk_now_ns();

    for (uint64_t i = 0; i < LOOKUPS; i++) {
        uint64_t number = scramble(i) % n;
        bk_id id = id_of(number, n);
        struct bk_loc loc;
        int rc;

        if (!there)
            memcpy(id.b + 8, id_of(i + n, UINT64_MAX).b + 8, 24);
        rc = bk_run_find(run, &id, &loc, NULL, NULL);
        if (rc != (there ? BAKE_OK : BAKE_END) || (there && loc.pack != number % 1000))
            return -1;
    }
    return (bk_now_ns() - start) / LOOKUPS;
}

static int look_up_all(struct bk_run *run, uint64_t n, uint64_t before, uint64_t cache)
{
    int64_t cold = look_up(run, n, true), warm = look_up(run, n, true);
    int64_t absent = look_up(run, n, false);
    uint64_t after = resident(), grown = after > before ? after - before : 0;
    uint64_t allowed = cache + n + n / 5 + (1u << 20);

    printf("%9llu chunks: %6.2f MiB filter and fences, resident +%6.2f MiB (allowed %.2f), "
           "lookup %lld ns first, %lld ns again, %lld ns absent\n",
           (unsigned long long)n, (double)bk_run_memory(run) / 1048576, (double)grown / 1048576,
           (double)allowed / 1048576, (long long)cold, (long long)warm, (long long)absent);
    if (cold < 0 || warm < 0 || absent < 0) {
        puts("a lookup is wrong");
        return 1;
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#else
    return grown > allowed;
#endif
}

static int measure(const char *dir, uint64_t n)
{
    uint64_t cache_size = BK_INDEX_CACHE * (BK_RUN_BLOCK + 16ull), before;
    struct made m = {0, n};
    struct bk_run_cache *cache;
    struct bk_run *run;
    struct bk_err err = {0};
    int fd = open(dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), again, rc;

    again = fd < 0 ? -1 : dup(fd);
    if (again < 0 || bk_run_cache_new(BK_INDEX_CACHE, &cache, &err) < 0)
        return 1;
    if (bk_run_write(fd, cache, n, next, &m, &run, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    bk_run_free(run);
    before = resident();
    if (bk_run_open(again, cache, &run, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    rc = look_up_all(run, n, before, cache_size);
    bk_run_free(run);
    bk_run_cache_free(cache);
    return rc;
}

int main(int argc, char **argv)
{
    const char *tmp = getenv("TMPDIR"), *dir = tmp && *tmp ? tmp : "/var/tmp";
    uint64_t n = 0;

    if (argc > 1 && (!bk_parse_u64(argv[1], &n) || n == 0)) {
        fprintf(stderr, "usage: %s [CHUNKS]\n", argv[0]);
        return 2;
    }
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20); /* what is freed is gone, so that it does not hide */
    if (n)
        return measure(dir, n);
    return measure(dir, 10000) || measure(dir, 10000000);
}
