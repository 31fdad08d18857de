/* Fills a plugin's config struct from key=value words through its own option table. */
#ifndef CF_OPTIONS_H
#define CF_OPTIONS_H

#include <bakengine/plugin.h>

struct cf_config {
    void *cfg;
    void **owned; /* the strings and lists within */
    size_t n_owned;
};

/* words: "key=value"; a list's key may come several times, an optional path ends in '?'. Unknown
 * and repeated keys, missing required ones, values of the wrong type and out of range are errors:
 * 0, or -1 with a text in err. */
int cf_config_new(const struct bake_plugin *p, char *const *words, size_t n, struct cf_config *ret,
                  char *err, size_t cap);
void cf_config_free(struct cf_config *c);

/* Option i of the table, whose stride is the plugin's; NULL after the last. */
const struct bake_option *cf_option(const struct bake_plugin *p, size_t i);

#endif
