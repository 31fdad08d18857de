/* Says in plain words what libyaml found wrong. */
#include "config/yaml_problem.h"

#include "base/cleanup.h"

#include <string.h>

#define INDENT "check the indentation"

struct known {
    const char *context; /* libyaml's own words; NULL: any */
    const char *problem;
    const char *text; /* what we say */
    bool at_context;  /* the mistake is where the construct starts */
};

static const struct known known_problems[] = {
    {NULL, "found a tab character", "a tab is not allowed here; indent with spaces", false},
    {NULL, "mapping values are not allowed",
     "a ':' is not expected here; put a text that holds "
     "': ' in quotes, or " INDENT,
     false},
    {NULL, "could not find expected ':'", "there is no ': ' after this key", true},
    {"while parsing a block mapping", "did not find expected key",
     "a key is expected here; " INDENT, false},
    {"while parsing a block collection", "did not find expected '-' indicator",
     "a '- ' is expected here; " INDENT, false},
    {NULL, "block sequence entries are not allowed", "a '- ' is not expected here; " INDENT, false},
    {"while parsing a flow sequence", "did not find expected ',' or ']'",
     "this list is not closed with ']', or a ',' is missing in it", true},
    {"while parsing a flow mapping", "did not find expected ',' or '}'",
     "this map is not closed with '}', or a ',' is missing in it", true},
    {"while scanning a quoted scalar", "found unexpected end of stream", "this quote is not closed",
     true},
    {"while scanning an alias", NULL, "a text that starts with '*' goes in quotes", true},
    {"while scanning an anchor", NULL, "a text that starts with '&' goes in quotes", true},
    {"while parsing a quoted scalar", "found unknown escape character",
     "this escape is not known within \"...\"; use '...' to take backslashes as they are", false},
};

static bool matches(const struct known *k, const yaml_parser_t *p)
{
    if (k->context && (!p->context || strcmp(k->context, p->context) != 0))
        return false;
    return !k->problem || strncmp(k->problem, p->problem, strlen(k->problem)) == 0;
}

/* The byte at a place, 0 when there is none. Columns count characters. */
static char byte_at(const char *text, size_t n, yaml_mark_t mark)
{
    size_t i = 0;
    for (size_t line = 0; line < mark.line && i < n; i++)
        line += text[i] == '\n';
    for (size_t col = 0; col < mark.column && i < n; col++) {
        i++;
        while (i < n && ((unsigned char)text[i] & 0xC0) == 0x80)
            i++;
    }
    return i < n ? text[i] : '\0';
}

static struct bk_pos place(yaml_mark_t mark)
{
    return (struct bk_pos){(int)mark.line + 1, (int)mark.column + 1};
}

static void report_start(char c, struct bk_pos at, struct bk_diags *diags)
{
    if (c == '\t')
        bk_diag_error(diags, at, "a tab is not allowed here; indent with spaces");
    else
        bk_diag_error(diags, at, "a text that starts with '%c' goes in quotes", c);
}

void bk_yaml_problem(const yaml_parser_t *p, const char *text, size_t n, struct bk_diags *diags)
{
    const char *problem = p->problem ? p->problem : "it cannot be read";
    struct bk_pos at = place(p->problem_mark);
    if (p->error == YAML_READER_ERROR) {
        bk_diag_error(diags, (struct bk_pos){0, 0}, "not valid YAML: %s", problem);
        return;
    }
    if (strcmp(problem, "found character that cannot start any token") == 0) {
        report_start(byte_at(text, n, p->problem_mark), at, diags);
        return;
    }
    for (size_t i = 0; p->problem && i < BK_LEN(known_problems); i++) {
        const struct known *k = &known_problems[i];
        if (matches(k, p)) {
            bk_diag_error(diags, k->at_context ? place(p->context_mark) : at, "%s", k->text);
            return;
        }
    }
    bk_diag_error(diags, at, "not valid YAML: %s", problem);
}
