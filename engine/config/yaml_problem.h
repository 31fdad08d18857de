/* Says in plain words what libyaml found wrong. */
#ifndef BK_YAML_PROBLEM_H
#define BK_YAML_PROBLEM_H

#include "config/diag.h"
#include <yaml.h>

/* Reports the parser's error on the text (for the character it stopped at). */
void bk_yaml_problem(const yaml_parser_t *parser, const char *text, size_t n,
                     struct bk_diags *diags);

#endif
