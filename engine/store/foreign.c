/* Finding foreign archives by their names. */
#include "store/foreign.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <string.h>

#define SUFFIX    ".tar.zst"
#define STAMP_LEN 15 /* "20231105-120000" */
#define ID_MAX    64
#define STACK_MAX 200
#define BEGINNING "backup" /* then '-' or '_' */

static bool is_between(char c) { return c == '-' || c == '_'; }

/* "20231105-120000" at text, all of it plausible. */
static bool is_stamp(const char *text, int64_t *ret_ns)
{
    static const char digits[] = "0123456789";
    char iso[24];

    if (strspn(text, digits) != 8 || text[8] != '-' || strspn(text + 9, digits) != 6)
        return false;
    (void)snprintf(iso, sizeof(iso), "%.8sT%.6sZ", text, text + 9);
    return bk_parse_time(iso, ret_ns);
}

/* What comes last: a short random word or a whole UUID, which has '-' of its own. */
static bool is_id(const char *text, size_t n)
{
    return n > 0 && n <= ID_MAX &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") >= n &&
           !is_between(text[0]) && !is_between(text[n - 1]);
}

/* The rightmost stamp with something fit before and behind it is the one: what looks like one
 * within the stack's name stands further left. */
int bk_foreign_name(const char *object, char **ret_stack, int64_t *ret_time_ns)
{
    size_t n = strlen(object), begin = strlen(BEGINNING) + 1;

    for (const char *c = object; *c; c++)
        if (*c <= ' ' || *c > '~')
            return BAKE_END;
    if (!bk_starts(object, BEGINNING) || !is_between(object[begin - 1]) || strchr(object, '/') ||
        !bk_ends(object, SUFFIX))
        return BAKE_END;
    n -= strlen(SUFFIX);
    if (n < begin + 1 + 1 + STAMP_LEN + 1 + 1)
        return BAKE_END;
    for (size_t at = n - STAMP_LEN - 2; at >= begin + 2; at--) {
        const char *id = object + at + STAMP_LEN + 1;

        if (!is_between(object[at - 1]) || !is_between(id[-1]) ||
            !is_stamp(object + at, ret_time_ns) || !is_id(id, n - (size_t)(id - object)))
            continue;
        if (at - 1 - begin > STACK_MAX)
            return BAKE_END;
        *ret_stack = strndup(object + begin, at - 1 - begin);
        return *ret_stack ? BAKE_OK : BAKE_E_NOMEM;
    }
    return BAKE_END;
}

void bk_foreign_free(struct bk_foreign *f)
{
    if (!f)
        return;
    free(f->object);
    free(f->stack);
    bk_manifest_free(f->manifest);
    free(f);
}

struct found {
    struct bk_backup *items;
    size_t n, cap;
    int rc;
};

static int keep(struct found *all, const char *object, char *stack, int64_t time_ns, uint64_t size)
{
    struct bk_foreign *f = calloc(1, sizeof(*f));
    struct bk_backup *b;

    if (all->n == all->cap) {
        size_t cap = all->cap ? 2 * all->cap : 16;
        struct bk_backup *more = reallocarray(all->items, cap, sizeof(*more));

        if (!more || !f) {
            free(f);
            return BAKE_E_NOMEM;
        }
        all->items = more;
        all->cap = cap;
    }
    b = &all->items[all->n];
    memset(b, 0, sizeof(*b));
    b->id = strndup(object, strlen(object) - strlen(SUFFIX));
    if (f)
        f->object = bk_strdup(object);
    if (!f || !b->id || !f->object) {
        bk_foreign_free(f);
        free(b->id);
        return BAKE_E_NOMEM;
    }
    f->stack = stack;
    f->time_ns = time_ns;
    f->size = size;
    b->foreign = f;
    all->n++;
    return BAKE_OK;
}

static int on_object(void *arg, const char *name, uint64_t size, int64_t mtime_ns)
{
    struct found *all = arg;
    char *stack;
    int64_t time_ns;
    int rc = bk_foreign_name(name, &stack, &time_ns);

    (void)mtime_ns;
    if (rc == BAKE_OK) {
        rc = keep(all, name, stack, time_ns, size);
        if (rc < 0)
            free(stack);
    }
    all->rc = rc < 0 ? rc : all->rc;
    return all->rc;
}

static int by_time(const void *a, const void *b)
{
    const struct bk_backup *x = a, *y = b;

    if (x->foreign->time_ns != y->foreign->time_ns)
        return x->foreign->time_ns < y->foreign->time_ns ? -1 : 1;
    return strcmp(x->id, y->id);
}

int bk_foreign_list(struct bk_sink *sink, struct bk_backup **ret, size_t *ret_n, struct bk_err *err)
{
    static const char *const prefixes[] = {BEGINNING "-", BEGINNING "_"};
    struct found all = {0};
    int rc = BAKE_OK;

    for (size_t i = 0; i < BK_LEN(prefixes) && rc >= 0; i++)
        rc = bk_sink_list(sink, prefixes[i], on_object, &all, err);
    if (all.rc < 0)
        rc = bk_nomem(err);
    if (rc < 0) {
        for (size_t i = 0; i < all.n; i++) {
            free(all.items[i].id);
            bk_foreign_free(all.items[i].foreign);
        }
        free(all.items);
        return rc;
    }
    if (all.n > 1)
        qsort(all.items, all.n, sizeof(*all.items), by_time);
    *ret = all.items;
    *ret_n = all.n;
    return BAKE_OK;
}

int bk_foreign_any(struct bk_sink *sink, bool *ret, struct bk_err *err)
{
    struct bk_backup *all;
    size_t n;
    int rc = bk_foreign_list(sink, &all, &n, err);

    if (rc < 0)
        return rc;
    *ret = n > 0;
    for (size_t i = 0; i < n; i++) {
        free(all[i].id);
        bk_foreign_free(all[i].foreign);
    }
    free(all);
    return BAKE_OK;
}
