/* See rights.h. */
#include "rights.h"

#include <stdlib.h>
#include <string.h>

/* LIKE, with '\' before what is meant as it is. */
static bool like(const char *pattern, const char *text)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*pattern == '%') {
            star = ++pattern;
            from = text;
            continue;
        }
        const char *p = *pattern == '\\' && pattern[1] ? pattern + 1 : pattern;
        if (*p && ((*p == '_' && p == pattern) || *p == *text)) {
            pattern = p + 1;
            text++;
        } else if (star) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "%")] == '\0';
}

/* The name in backticks at p, without them; NULL: there is none. *end is behind it. */
static char *unquote(const char *p, const char **end)
{
    char *out = *p == '`' ? malloc(strlen(p)) : NULL, *to = out;
    for (p++; out && *p; p++) {
        if (*p == '`' && *++p != '`') {
            *to = '\0';
            *end = p;
            return out;
        }
        *to++ = *p;
    }
    free(out);
    return NULL;
}

/* Behind " ON " of the line, outside of what is in quotes; NULL: it grants a role. */
static const char *level_of(const char *line)
{
    char quote = '\0';
    for (const char *p = line; *p; p++) {
        if (quote)
            quote = *p == quote ? '\0' : quote;
        else if (*p == '`' || *p == '\'')
            quote = *p;
        else if (strncmp(p, " ON ", 4) == 0)
            return p + 4;
    }
    return NULL;
}

static bool has_right(const char *from, const char *to, const char *right)
{
    size_t n = strlen(right);
    while (from < to) {
        const char *comma = memchr(from, ',', (size_t)(to - from)), *end = comma ? comma : to;
        if ((size_t)(end - from) == n && memcmp(from, right, n) == 0)
            return true;
        from = end + 1;
        while (from < to && *from == ' ')
            from++;
    }
    return false;
}

bool my_grant_covers(const char *line, const char *right, const char *database)
{
    const char *level = strncmp(line, "GRANT ", 6) == 0 ? level_of(line) : NULL, *end = NULL;
    if (!level)
        return false;
    const char *from = line + 6, *to = level - 4;
    if (!has_right(from, to, "ALL PRIVILEGES") && !has_right(from, to, right))
        return false;
    if (strncmp(level, "*.* ", 4) == 0)
        return true;
    char *pattern = unquote(level, &end);
    bool covers = pattern && strncmp(end, ".* ", 3) == 0 && like(pattern, database);
    free(pattern);
    return covers;
}

static bool covered(MYSQL_RES *grants, const char *right, const char *database)
{
    mysql_data_seek(grants, 0);
    for (MYSQL_ROW row; (row = mysql_fetch_row(grants));)
        if (row[0] && my_grant_covers(row[0], right, database))
            return true;
    return false;
}

/* To see all routines takes the table they stand in, or (since 11.3) a right of its own. */
static bool sees_routines(struct my_conn *c, MYSQL_RES *grants, const char *database)
{
    return covered(grants, "SHOW CREATE ROUTINE", database) ||
           my_try(c, NULL, "SELECT 1 FROM mysql.proc LIMIT 0") == BAKE_OK;
}

static int missing(struct my_conn *c, const char *database, const char *right, const char *what)
{
    return bake_fail(c->ctx, BAKE_E_AUTH,
                     "the user may not see all %s of database '%s': the dump would lack them\n"
                     "HINT: GRANT %s to the user, or set '%s: false'",
                     what, database, right, what);
}

int my_rights_check(struct my_conn *c, const struct my_config *cfg, const char *database)
{
    MYSQL_RES *grants = NULL;
    int rc = my_query(c, &grants, "cannot ask what the user may do", "SHOW GRANTS");
    if (rc != BAKE_OK)
        return rc;
    if (cfg->routines && !sees_routines(c, grants, database))
        rc = missing(c, database, "SELECT ON mysql.proc", "routines");
    else if (cfg->events && !covered(grants, "EVENT", database))
        rc = missing(c, database, "EVENT ON the database", "events");
    else if (cfg->triggers && !covered(grants, "TRIGGER", database))
        rc = missing(c, database, "TRIGGER ON the database", "triggers");
    else if (!covered(grants, "SELECT", database))
        bake_report(c->ctx, BAKE_WARNING, database,
                    "the user has no SELECT right on the whole database: only the tables that it "
                    "may see are backed up");
    mysql_free_result(grants);
    return rc;
}
