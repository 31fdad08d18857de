/* Lists of gitignore(5) patterns, prepared once and asked for each path. */
#include "match/gitignore.h"

#include "match/wild.h"
#include <stdlib.h>
#include <string.h>

enum rule_kind {
    RULE_LITERAL, /* the text as it stands */
    RULE_SUFFIX,  /* "*.swp": the last part ends in the text */
    RULE_WILD
};

struct rule {
    enum rule_kind kind;
    bool negated, dir_only;
    bool last_part; /* no '/' in it: matched against the path's last part, at any depth */
    size_t n;       /* length of text */
    char *text;
};

struct bkc_ignore {
    size_t n;
    struct rule rules[];
};

/* Length without the blanks at the end, but for one that is escaped. */
static size_t trimmed(const char *s, size_t n)
{
    while (n > 0 && s[n - 1] == ' ') {
        size_t slashes = 0;
        while (slashes < n - 1 && s[n - 2 - slashes] == '\\')
            slashes++;
        if (slashes % 2)
            break;
        n--;
    }
    return n;
}

static void classify(struct rule *r)
{
    r->kind = RULE_WILD;
    if (!bkc_wild_special(r->text))
        r->kind = RULE_LITERAL;
    else if (r->last_part && r->text[0] == '*' && !bkc_wild_special(r->text + 1))
        r->kind = RULE_SUFFIX;
}

/* 1: the line says nothing (it is blank); 0; -1: not sound; -2: no memory. */
static int parse(const char *s, struct rule *ret)
{
    struct rule r = {0};
    size_t n = trimmed(s, strlen(s));
    if (n == 0)
        return 1;
    if (*s == '!') {
        r.negated = true;
        s++;
        n--;
    }
    if (n > 0 && s[n - 1] == '/') {
        r.dir_only = true;
        n--;
    }
    if (n == 0)
        return -1;
    r.last_part = !memchr(s, '/', n);
    if (*s == '/') {
        s++;
        n--;
    }
    r.text = strndup(s, n);
    if (!r.text)
        return -2;
    if (n == 0 || !bkc_wild_sound(r.text)) {
        free(r.text);
        return -1;
    }
    r.n = n;
    classify(&r);
    *ret = r;
    return 0;
}

int bkc_ignore_new(const char *const *patterns, struct bkc_ignore **ret, size_t *ret_bad)
{
    size_t n = 0;
    while (patterns[n])
        n++;
    struct bkc_ignore *ig = calloc(1, sizeof(*ig) + n * sizeof(ig->rules[0]));
    if (!ig) {
        *ret_bad = BKC_IGNORE_NOMEM;
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        int rc = parse(patterns[i], &ig->rules[ig->n]);
        if (rc < 0) {
            *ret_bad = rc == -1 ? i : BKC_IGNORE_NOMEM;
            bkc_ignore_free(ig);
            return -1;
        }
        ig->n += rc == 0;
    }
    *ret = ig;
    return 0;
}

void bkc_ignore_free(struct bkc_ignore *ig)
{
    if (!ig)
        return;
    for (size_t i = 0; i < ig->n; i++)
        free(ig->rules[i].text);
    free(ig);
}

static bool rule_matches(const struct rule *r, const char *s, size_t n)
{
    switch (r->kind) {
    case RULE_LITERAL:
        return n == r->n && memcmp(s, r->text, n) == 0;
    case RULE_SUFFIX: /* text starts with the '*' */
        return n + 1 >= r->n && memcmp(s + (n + 1 - r->n), r->text + 1, r->n - 1) == 0;
    case RULE_WILD:
        break;
    }
    return bkc_wild(r->text, s, n, BKC_STARS_PART);
}

bool bkc_ignored(const struct bkc_ignore *ig, const char *path, bool is_dir)
{
    if (ig->n == 0)
        return false;
    size_t n = strlen(path);
    const char *slash = memrchr(path, '/', n);
    const char *last = slash ? slash + 1 : path;
    size_t last_n = n - (size_t)(last - path);
    for (size_t i = ig->n; i-- > 0;) {
        const struct rule *r = &ig->rules[i];
        if (r->dir_only && !is_dir)
            continue;
        if (r->last_part ? rule_matches(r, last, last_n) : rule_matches(r, path, n))
            return !r->negated;
    }
    return false;
}

bool bkc_glob(const char *glob, const char *path)
{
    return bkc_wild_sound(glob) && bkc_wild(glob, path, strlen(path), BKC_STARS_ANYWHERE);
}

bool bkc_glob_beneath(const char *glob, const char *name)
{
    if (!bkc_wild_sound(glob))
        return false;
    for (const char *end = name; *end; end++)
        if (*end == '/' && end != name &&
            bkc_wild(glob, name, (size_t)(end - name), BKC_STARS_ANYWHERE))
            return true;
    return bkc_wild(glob, name, strlen(name), BKC_STARS_ANYWHERE);
}
