/* Names of databases as parts of components' names, and back. */
#include "catalog.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that a store's file may have for it: with more behind it, and each '%' as three. */
#define LONGEST 200
#define KEPT    150

static const char DIGITS[] = "0123456789ABCDEF";

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

/* Names that are taken by other components have their first letter spelled out. */
static bool is_taken(const char *name) { return strcmp(name, "users") == 0; }

/* "<start>%-<16 digits of its SHA-256>": "%-" stands in no other name. */
static char *shorten(char *out, const char *database)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!EVP_Digest(database, strlen(database), digest, &len, EVP_sha256(), NULL)) {
        free(out);
        return NULL;
    }
    size_t n = 0;
    for (size_t stored = 0; stored < KEPT; n++)
        stored += out[n] == '%' ? 3 : 1;
    while (n > 0 && (out[n - 1] == '%' || (n > 1 && out[n - 2] == '%')))
        n--;
    out[n++] = '%';
    out[n++] = '-';
    for (size_t i = 0; i < 8; i++) {
        out[n++] = DIGITS[digest[i] >> 4];
        out[n++] = DIGITS[digest[i] & 15];
    }
    out[n] = '\0';
    return out;
}

char *my_safe_name(const char *database)
{
    size_t n = 0, stored = 0;
    char *out = malloc(strlen(database) * 3 + KEPT + 32);
    if (!out)
        return NULL;
    for (const char *p = database; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (is_plain(*p) && !(p == database && (c == '.' || is_taken(database)))) {
            out[n++] = *p;
            stored++;
            continue;
        }
        stored += 5;
        out[n++] = '%';
        out[n++] = DIGITS[c >> 4];
        out[n++] = DIGITS[c & 15];
    }
    out[n] = '\0';
    return stored > LONGEST ? shorten(out, database) : out;
}

static int digit(char c)
{
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

char *my_true_name(const char *component)
{
    char *out = strdup(component), *to = out;
    size_t n = out ? strlen(out) : 0;
    if (n > 4 && strcmp(out + n - 4, ".sql") == 0)
        out[n - 4] = '\0';
    for (const char *p = out; out && *p;) {
        if (*p != '%') {
            *to++ = *p++;
            continue;
        }
        int high = digit(p[1]), low = high >= 0 ? digit(p[2]) : -1;
        if (low < 0 || high + low == 0) {
            free(out);
            return NULL;
        }
        *to++ = (char)(high << 4 | low);
        p += 3;
    }
    if (out)
        *to = '\0';
    return out;
}
