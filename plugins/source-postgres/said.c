/* See said.h. */
#include "said.h"

#include <stdio.h>
#include <string.h>

void pg_said_nothing(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

void pg_said_line(const char *text, char *out, size_t cap)
{
    size_t n = 0;
    bool gap = false, line = false;
    for (const char *p = text ? text : ""; *p && n + 4 < cap; p++) {
        if (*p == '\n' || *p == '\r') {
            line = n > 0;
            continue;
        }
        if (*p == ' ' || *p == '\t') {
            gap = n > 0;
            continue;
        }
        if (line && n > 0 && out[n - 1] != ':' && out[n - 1] != ';')
            out[n++] = ';';
        if (line || gap)
            out[n++] = ' ';
        line = gap = false;
        out[n++] = *p;
    }
    out[n] = '\0';
}

static bool state_char(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }

/* ":  28P01: " */
static const char *find_state(const char *text)
{
    for (const char *p = strstr(text, ":  "); p; p = strstr(p + 1, ":  ")) {
        size_t n = 0;
        while (n < 5 && state_char(p[3 + n]))
            n++;
        if (n == 5 && p[8] == ':' && p[9] == ' ')
            return p + 3;
    }
    return NULL;
}

void pg_said_connect(const char *text, char state[6], char *out, size_t cap)
{
    char buf[2 * PG_SAID_MAX] = "";
    const char *at = find_state(text);
    state[0] = '\0';
    if (at) {
        memcpy(state, at, 5);
        state[5] = '\0';
        (void)snprintf(buf, sizeof(buf), "%.*s%s", (int)(at - text), text, at + 7);
        char *place = strstr(buf, "\nLOCATION:  ");
        if (place)
            *place = '\0';
    } else {
        (void)snprintf(buf, sizeof(buf), "%s", text);
    }
    pg_said_line(buf, out, cap);
}

bool pg_said_tls(const char *text)
{
    static const char *const words[] = {"SSL", "certificate", "private key", NULL};
    for (const char *const *w = words; *w; w++)
        if (strstr(text, *w))
            return true;
    return false;
}
