/* See login.h. */
#include "login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void my_login_release(struct my_login *l)
{
    char *const all[] = {l->host, l->socket, l->user, l->password, l->ca, l->cert, l->key};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        wipe(all[i]);
    *l = (struct my_login){0};
}

/* value NULL: what is there stays. */
static bool replace(char **where, const char *value)
{
    if (!value)
        return true;
    wipe(*where);
    *where = strdup(value);
    return *where != NULL;
}

static bool overlay(struct my_login *l, const struct my_config *cfg)
{
    if (cfg->host || cfg->port || cfg->socket) { /* what files say is of another server */
        wipe(l->host);
        wipe(l->socket);
        l->host = l->socket = NULL;
        l->port = 0;
    }
    bool good = replace(&l->host, cfg->host) && replace(&l->socket, cfg->socket) &&
                replace(&l->user, cfg->user) && replace(&l->password, cfg->password) &&
                replace(&l->ca, cfg->ca) && replace(&l->cert, cfg->cert) &&
                replace(&l->key, cfg->key);
    if (cfg->port) {
        l->port = (unsigned)cfg->port;
        if (!cfg->host) /* "localhost" would be a socket */
            good = good && replace(&l->host, "127.0.0.1");
    }
    if (cfg->tls != MY_TLS_PREFERRED)
        l->tls = cfg->tls;
    return good;
}

int my_login_make(const struct my_config *cfg, const struct my_place *place, struct my_login *ret)
{
    *ret = (struct my_login){.tls = MY_TLS_PREFERRED};
    bool good = true;
    if (place) {
        ret->tls = MY_TLS_OFF;
        good = replace(&ret->socket, place->socket) && replace(&ret->user, place->user) &&
               replace(&ret->password, place->password ? place->password : "");
    } else {
        good = my_optfile_read(ret) == BAKE_OK && overlay(ret, cfg);
    }
    if (!good)
        my_login_release(ret);
    return good ? BAKE_OK : BAKE_E_NOMEM;
}

char *my_login_line(const char *key, const char *value)
{
    size_t n = strlen(key), longest = n + 2 * strlen(value) + 5;
    char *out = malloc(longest), *to = out;
    if (!out)
        return NULL;
    memcpy(to, key, n);
    to += n;
    *to++ = '=';
    *to++ = '"';
    for (const char *p = value; *p; p++) {
        static const char from[] = "\b\t\n\r\\\"", as[] = "btnr\\\"";
        const char *known = strchr(from, *p);
        if (known)
            *to++ = '\\';
        *to++ = known ? as[known - from] : *p;
    }
    *to++ = '"';
    *to++ = '\n';
    *to = '\0';
    return out;
}

static bool add(char **text, char *line)
{
    size_t old = *text ? strlen(*text) : 0, n = line ? strlen(line) : 0;
    char *all = line ? malloc(old + n + 1) : NULL;
    if (all) {
        if (old)
            memcpy(all, *text, old);
        memcpy(all + old, line, n + 1);
    }
    wipe(line);
    wipe(*text);
    *text = all;
    return all != NULL;
}

char *my_login_text(const struct my_login *l)
{
    const struct {
        const char *key, *value;
    } list[] = {{"host", l->host},         {"socket", l->socket}, {"user", l->user},
                {"password", l->password}, {"ssl-ca", l->ca},     {"ssl-cert", l->cert},
                {"ssl-key", l->key}};
    char *text = strdup("[client]\n");
    for (size_t i = 0; text && i < sizeof(list) / sizeof(list[0]); i++)
        if (list[i].value && !add(&text, my_login_line(list[i].key, list[i].value)))
            return NULL;
    char port[32] = "";
    if (l->port)
        (void)snprintf(port, sizeof(port), "port=%u\n", l->port);
    if (text && l->port && !add(&text, strdup(port)))
        return NULL;
    const char *tls = l->tls == MY_TLS_OFF      ? "skip-ssl\n"
                      : l->tls == MY_TLS_VERIFY ? "ssl\nssl-verify-server-cert\n"
                                                : "ssl\n";
    return text && add(&text, strdup(tls)) ? text : NULL;
}
