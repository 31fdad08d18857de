/* Orders and answers of place_fs.h as text, for the helper program. Part of it too. */
#include "place_fs.h"

#include <stdio.h>
#include <string.h>

static const char *const verbs[] = {
    [DK_FS_STAT] = "stat",     [DK_FS_EXCHANGE] = "exchange", [DK_FS_CLEAR] = "clear",
    [DK_FS_REMOVE] = "remove", [DK_FS_MKDIR] = "mkdir",       [DK_FS_META] = "meta",
    [DK_FS_SYNC] = "sync",
};

const char *dk_fs_verb_name(enum dk_fs_verb verb) { return verbs[verb]; }

/* Decimal digits alone; *p then stands behind them. */
static bool number(const char **p, uint64_t *ret)
{
    uint64_t n = 0;
    const char *from = *p;

    for (; **p >= '0' && **p <= '9'; (*p)++) {
        unsigned digit = (unsigned)(**p - '0');

        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return *p > from;
}

bool dk_fs_order_parse(char *const *args, struct dk_fs_order *ret)
{
    const char *a = args[3], *b = args[4];
    size_t verb = 0;

    while (verb < sizeof(verbs) / sizeof(*verbs) && strcmp(verbs[verb], args[0]) != 0)
        verb++;
    if (verb == sizeof(verbs) / sizeof(*verbs))
        return false;
    *ret = (struct dk_fs_order){.verb = (enum dk_fs_verb)verb, .a = args[1], .b = args[2]};
    return number(&a, &ret->ino_a) && !*a && number(&b, &ret->ino_b) && !*b;
}

size_t dk_fs_answer_print(const struct dk_fs_answer *a, char *out, size_t size)
{
    int n = snprintf(out, size, "%d %llu %llu %llu %d %d %s\n", a->error,
                     (unsigned long long)a->ino, (unsigned long long)a->dev,
                     (unsigned long long)a->room, a->movable, a->mounts, a->where);

    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

bool dk_fs_answer_parse(const char *text, struct dk_fs_answer *ret)
{
    uint64_t v[6];
    size_t n;

    memset(ret, 0, sizeof(*ret));
    for (size_t i = 0; i < 6; i++)
        if (!number(&text, &v[i]) || *text++ != ' ')
            return false;
    n = strcspn(text, "\n");
    if (text[n] != '\n' || text[n + 1] || n >= sizeof(ret->where) || v[0] > 4095 || v[4] > 1 ||
        v[5] > 1)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    ret->error = (int)v[0];
    ret->ino = v[1];
    ret->dev = v[2];
    ret->room = v[3];
    ret->movable = v[4] != 0;
    ret->mounts = v[5] != 0;
    memcpy(ret->where, text, n);
    return true;
}
