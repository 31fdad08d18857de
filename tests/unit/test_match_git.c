/* common/match against git itself: random patterns over a real tree, `git check-ignore` judging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "match/gitignore.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS   250
#define PATTERNS 6

extern char **environ;

struct tree {
    char dir[64];
    char *paths[2000]; /* relative; a directory ends in no slash either */
    bool is_dir[2000];
    size_t n;
    uint64_t seed;
    size_t hits, misses;
};

static unsigned rnd(struct tree *t, unsigned below)
{
    t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(t->seed >> 33) % below;
}

static int git(const char *const argv[], const char *in, const char *out)
{
    posix_spawn_file_actions_t fa;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 0, in, O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&fa, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (posix_spawnp(&pid, "git", &fa, NULL, (char *const *)argv, environ) != 0)
        return -1;
    posix_spawn_file_actions_destroy(&fa);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *const names[] = {"a", "b", "ab", "foo", "bar.c", "a-b", "[x]", "b*", "x y"};
#define NAMES (sizeof(names) / sizeof(names[0]))

static void grow(struct tree *t, const char *under, int depth)
{
    for (size_t i = 0; i < NAMES; i++) {
        bool dir = depth < 3 && rnd(t, 3) != 0 && i < 5;
        char path[256];
        (void)snprintf(path, sizeof(path), "%s%s%s", under, *under ? "/" : "", names[i]);
        if (dir) {
            assert_int_equal(mkdir(path, 0700), 0);
        } else {
            int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
            assert_true(fd >= 0);
            close(fd);
        }
        assert_true(t->n < sizeof(t->paths) / sizeof(t->paths[0]));
        t->is_dir[t->n] = dir;
        assert_non_null(t->paths[t->n++] = strdup(path));
        if (dir)
            grow(t, path, depth + 1);
    }
}

static void random_part(struct tree *t, char *out, size_t cap)
{
    static const char *const bits[] = {"a",    "b",           "foo",   "*",   "?",     "[ab]",
                                       "[!a]", "*.c",         "[a-c]", "\\a", "\\[x]", "b\\*",
                                       "-",    "[[:alpha:]]", "x y",   "ab",  "[^b]"};
    size_t n = 1 + rnd(t, 2);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        const char *bit = bits[rnd(t, sizeof(bits) / sizeof(bits[0]))];
        /* git strips a literal prefix before it looks for "**", against its own manual: only
         * whole "**" parts are compared */
        if (i > 0 && bit[0] == '*' && out[strlen(out) - 1] == '*')
            continue;
        (void)snprintf(out + strlen(out), cap - strlen(out), "%s", bit);
    }
}

static void random_pattern(struct tree *t, char *out, size_t cap)
{
    size_t parts = 1 + rnd(t, 3);
    out[0] = '\0';
    if (rnd(t, 4) == 0)
        (void)snprintf(out, cap, "!");
    if (rnd(t, 3) == 0)
        (void)snprintf(out + strlen(out), cap - strlen(out), "/");
    for (size_t i = 0; i < parts; i++) {
        char part[64] = "**";
        if (rnd(t, 4) != 0)
            random_part(t, part, sizeof(part));
        (void)snprintf(out + strlen(out), cap - strlen(out), "%s%s", i ? "/" : "", part);
    }
    if (rnd(t, 4) == 0)
        (void)snprintf(out + strlen(out), cap - strlen(out), "/");
}

/* As the walker does it: what is in an ignored directory is ignored. */
static bool walked_ignored(const struct bkc_ignore *ig, const struct tree *t, size_t i)
{
    char prefix[256];
    (void)snprintf(prefix, sizeof(prefix), "%s", t->paths[i]);
    for (char *p = prefix; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        if (bkc_ignored(ig, prefix, true))
            return true;
    }
    return bkc_ignored(ig, t->paths[i], t->is_dir[i]);
}

static char *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char *data = malloc(4 << 20);
    assert_non_null(data);
    *ret_n = fread(data, 1, (4 << 20) - 1, f);
    data[*ret_n] = '\0';
    (void)fclose(f);
    return data;
}

/* Output of check-ignore -v -n -z: source, line, pattern, path, each NUL-ended. */
static void compare(const struct bkc_ignore *ig, struct tree *t, const char *patterns)
{
    size_t n = 0;
    char *data = slurp("../out", &n);
    const char *p = data;
    for (size_t i = 0; i < t->n; i++) {
        p += strlen(p) + 1;
        p += strlen(p) + 1;
        const char *pattern = p;
        p += strlen(p) + 1;
        assert_string_equal(p, t->paths[i]);
        p += strlen(p) + 1;
        bool want = *pattern && *pattern != '!';
        *(want ? &t->hits : &t->misses) += 1;
        if (walked_ignored(ig, t, i) != want)
            fail_msg("'%s'%s: git says %d ('%s'), of:\n%s", t->paths[i],
                     t->is_dir[i] ? " (directory)" : "", want, pattern, patterns);
    }
    assert_int_equal(p - data, n);
    free(data);
}

static void one_round(struct tree *t)
{
    char patterns[PATTERNS][256], all[PATTERNS * 260] = "";
    const char *list[PATTERNS + 1] = {NULL};
    for (size_t i = 0; i < PATTERNS; i++) {
        random_pattern(t, patterns[i], sizeof(patterns[i]));
        list[i] = patterns[i];
        (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s\n", patterns[i]);
    }
    FILE *f = fopen(".git/info/exclude", "we");
    assert_non_null(f);
    assert_true(fputs(all, f) >= 0);
    assert_int_equal(fclose(f), 0);
    const char *const argv[] = {"git", "check-ignore", "--stdin",    "-z",
                                "-v",  "-n",           "--no-index", NULL};
    int rc = git(argv, "../in", "../out");
    assert_true(rc == 0 || rc == 1);
    struct bkc_ignore *ig = NULL;
    size_t bad = 0;
    if (bkc_ignore_new(list, &ig, &bad) != 0)
        fail_msg("refused: '%s'", patterns[bad]);
    compare(ig, t, all);
    bkc_ignore_free(ig);
}

static void test_like_git(void **state)
{
    struct tree *t = *state;
    for (int i = 0; i < ROUNDS; i++)
        one_round(t);
    /* the comparison is worth little unless the patterns hit and miss often */
    assert_true(t->n > 100);
    assert_true(t->hits > t->n * ROUNDS / 20);
    assert_true(t->misses > t->n * ROUNDS / 20);
}

static int setup(void **state)
{
    struct tree *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->seed = 4711;
    (void)snprintf(t->dir, sizeof(t->dir), "/tmp/bake-match.XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(chdir(t->dir), 0);
    assert_int_equal(mkdir("t", 0700), 0);
    assert_int_equal(chdir("t"), 0);
    unsetenv("GIT_DIR");
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    setenv("HOME", t->dir, 1);
    const char *const argv[] = {"git", "init", "-q", ".", NULL};
    *state = t;
    if (git(argv, "/dev/null", "/dev/null") != 0)
        return -1;
    (void)mkdir(".git/info", 0700);
    grow(t, "", 0);
    FILE *f = fopen("../in", "we");
    assert_non_null(f);
    for (size_t i = 0; i < t->n; i++)
        (void)fwrite(t->paths[i], 1, strlen(t->paths[i]) + 1, f);
    return fclose(f);
}

static int rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct tree *t = *state;
    (void)chdir("/");
    (void)nftw(t->dir, rm, 16, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < t->n; i++)
        free(t->paths[i]);
    free(t);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_git),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
