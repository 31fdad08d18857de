/* Reads the user's own option files. Only these options matter here, and only of the groups that
 * are for all clients: those of single tools (as [mariadb-dump]) could leave out what belongs into
 * a backup. */
#include "login.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH 10 /* of includes, as with the server's own tools */

struct place_of {
    struct my_login *login;
    bool ours; /* in a group that counts */
};

static int read_file(const char *path, struct place_of *at, int depth);

static int set(char **where, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return BAKE_E_NOMEM;
    if (*where)
        explicit_bzero(*where, strlen(*where));
    free(*where);
    *where = copy;
    return BAKE_OK;
}

static bool is_off(const char *value)
{
    return strcmp(value, "0") == 0 || strcasecmp(value, "off") == 0 ||
           strcasecmp(value, "false") == 0;
}

static unsigned number(const char *value)
{
    unsigned n = 0;
    for (; *value >= '0' && *value <= '9' && n < 100000; value++)
        n = n * 10 + (unsigned)(*value - '0');
    return *value || n > 65535 ? 0 : n;
}

static int option(struct my_login *l, const char *key, const char *value)
{
    const struct {
        const char *key;
        char **where;
    } texts[] = {{"host", &l->host},         {"socket", &l->socket}, {"user", &l->user},
                 {"password", &l->password}, {"ssl-ca", &l->ca},     {"ssl-cert", &l->cert},
                 {"ssl-key", &l->key}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(key, texts[i].key) == 0)
            return value ? set(texts[i].where, value) : BAKE_OK;
    if (strcmp(key, "port") == 0 && value)
        l->port = number(value);
    if (strcmp(key, "skip-ssl") == 0 || (strcmp(key, "ssl") == 0 && value && is_off(value)))
        l->tls = MY_TLS_OFF;
    else if (strcmp(key, "ssl") == 0 && l->tls == MY_TLS_OFF)
        l->tls = MY_TLS_PREFERRED;
    if (strcmp(key, "ssl-verify-server-cert") == 0)
        l->tls = value && is_off(value) ? MY_TLS_PREFERRED : MY_TLS_VERIFY;
    return BAKE_OK;
}

/* Takes a value's quotes and escapes away, in place; "#" outside of quotes ends it. */
static char *plain(char *value)
{
    char quote = '\0';
    size_t n = 0;
    for (char *p = value; *p; p++) {
        if (quote && *p == '\\' && p[1])
            p++;
        else if (*p == quote)
            quote = '\0';
        else if (!quote && (*p == '"' || *p == '\''))
            quote = *p;
        else if (!quote && *p == '#')
            break;
        n = (size_t)(p - value) + 1;
    }
    while (n > 0 && strchr(" \t\r\n", value[n - 1]))
        n--;
    value[n] = '\0';
    if (n > 1 && (*value == '"' || *value == '\'') && value[n - 1] == *value) {
        value[n - 1] = '\0';
        value++;
    }
    static const char from[] = "btnrs", to[] = "\b\t\n\r ";
    char *out = value;
    for (const char *p = value; *p; p++) {
        const char *known = *p == '\\' && p[1] ? strchr(from, p[1]) : NULL;
        if (known)
            *out++ = to[known - from];
        else if (*p == '\\' && p[1] && strchr("\\\"'", p[1]))
            *out++ = p[1];
        else {
            *out++ = *p;
            continue;
        }
        p++;
    }
    *out = '\0';
    return value;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_folder(const char *folder, struct place_of *at, int depth)
{
    struct dirent **found = NULL;
    int rc = BAKE_OK, n = scandir(folder, &found, NULL, NULL);
    char *names[256];
    size_t n_names = 0;
    for (int i = 0; i < n; i++) {
        const char *dot = strrchr(found[i]->d_name, '.');
        if (dot && strcmp(dot, ".cnf") == 0 && n_names < sizeof(names) / sizeof(names[0]))
            names[n_names++] = found[i]->d_name;
    }
    if (n_names)
        qsort(names, n_names, sizeof(names[0]), by_name);
    for (size_t i = 0; i < n_names && rc == BAKE_OK; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, names[i]) < 0)
            path = NULL;
        rc = path ? read_file(path, at, depth) : BAKE_E_NOMEM;
        free(path);
    }
    for (int i = 0; i < n; i++)
        free(found[i]);
    free(found);
    return rc;
}

static int include(char *line, struct place_of *at, int depth)
{
    bool folder = strncmp(line, "!includedir", 11) == 0;
    if (!folder && strncmp(line, "!include", 8) != 0)
        return BAKE_OK;
    char *path = line + (folder ? 11 : 8);
    path += strspn(path, " \t");
    path[strcspn(path, "\r\n")] = '\0';
    for (size_t n = strlen(path); n > 0 && (path[n - 1] == ' ' || path[n - 1] == '\t'); n--)
        path[n - 1] = '\0';
    return folder ? read_folder(path, at, depth + 1) : read_file(path, at, depth + 1);
}

static int line_of(char *line, struct place_of *at, int depth)
{
    line += strspn(line, " \t\r\n");
    if (!*line || *line == '#' || *line == ';')
        return BAKE_OK;
    if (*line == '!')
        return include(line, at, depth);
    if (*line == '[') {
        line[strcspn(line, "]")] = '\0';
        at->ours = strcmp(line, "[client") == 0 || strcmp(line, "[client-server") == 0 ||
                   strcmp(line, "[client-mariadb") == 0;
        return BAKE_OK;
    }
    if (!at->ours)
        return BAKE_OK;
    char *value = strchr(line, '=');
    size_t n = value ? (size_t)(value - line) : strcspn(line, "#\r\n");
    while (n > 0 && strchr(" \t", line[n - 1]))
        n--;
    if (value)
        value = plain(value + 1 + strspn(value + 1, " \t"));
    line[n] = '\0';
    for (char *p = line; *p; p++)
        *p = *p == '_' ? '-' : *p;
    return option(at->login, strncmp(line, "loose-", 6) == 0 ? line + 6 : line, value);
}

static int read_file(const char *path, struct place_of *at, int depth)
{
    struct stat st;
    int rc = BAKE_OK, fd = depth < DEPTH ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return BAKE_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IWOTH)) {
        (void)close(fd);
        return BAKE_OK;
    }
    FILE *f = fdopen(fd, "r");
    if (!f) {
        (void)close(fd);
        return BAKE_E_NOMEM;
    }
    char line[4096];
    struct place_of here = {at->login, false};
    while (rc == BAKE_OK && fgets(line, sizeof(line), f))
        rc = line_of(line, &here, depth);
    explicit_bzero(line, sizeof(line));
    (void)fclose(f);
    return rc;
}

int my_optfile_read(struct my_login *ret)
{
    const char *home = getenv("HOME"), *own = getenv("MARIADB_HOME");
    struct place_of at = {ret, false};
    char *paths[4] = {strdup("/etc/my.cnf"), strdup("/etc/mysql/my.cnf"), NULL, NULL};
    int rc = BAKE_OK;
    if (!own)
        own = getenv("MYSQL_HOME");
    if (own && asprintf(&paths[2], "%s/my.cnf", own) < 0)
        paths[2] = NULL;
    if (home && asprintf(&paths[3], "%s/.my.cnf", home) < 0)
        paths[3] = NULL;
    if (!paths[0] || !paths[1] || (own && !paths[2]) || (home && !paths[3]))
        rc = BAKE_E_NOMEM;
    for (size_t i = 0; i < 4; i++) {
        if (rc == BAKE_OK && paths[i])
            rc = read_file(paths[i], &at, 0);
        free(paths[i]);
    }
    return rc;
}
