/* The text of a backup manifest, item by item: cut at the outer structure by counting brackets,
 * each item then parsed by itself. */
#include "base_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ITEM_MOST   (64u << 10) /* of one object's text: a path has at most 4096 bytes */
#define WORD_MOST   72          /* of a name or text of the outermost object: a SHA-256 */
#define NESTED_MOST 8u

struct pg_json {
    struct bake_ctx *ctx;
    int (*each)(void *arg, const struct pg_manifest_item *item);
    void *arg;
    unsigned depth;
    bool in_string, escaped;
    bool in_files, files, after_colon, ended; /* files: the list was there */
    char *item;                               /* the object of the list that is coming */
    size_t n_item;
    bool in_item;
    char word[WORD_MOST + 1], key[WORD_MOST + 1], checksum[WORD_MOST + 1];
    size_t n_word;
    bool version; /* was there, and is one that we know */
};

int pg_json_new(struct bake_ctx *ctx, int (*each)(void *arg, const struct pg_manifest_item *item),
                void *arg, struct pg_json **ret)
{
    struct pg_json *j = calloc(1, sizeof(*j));
    if (j)
        j->item = malloc(ITEM_MOST);
    if (!j || !j->item) {
        pg_json_free(j);
        return bake_fail(ctx, BAKE_E_NOMEM, "out of memory");
    }
    j->ctx = ctx;
    j->each = each;
    j->arg = arg;
    *ret = j;
    return BAKE_OK;
}

void pg_json_free(struct pg_json *j)
{
    if (!j)
        return;
    free(j->item);
    free(j);
}

static int corrupt(struct pg_json *j, const char *why)
{
    return bake_fail(j->ctx, BAKE_E_CORRUPT, "the base backup's manifest %s", why);
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Hexadecimal digits of n bytes. */
static bool unhex(const char *text, unsigned char *ret, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = nibble(text[2 * i]), low = high < 0 ? -1 : nibble(text[2 * i + 1]);
        if (low < 0)
            return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return text[2 * n] == '\0';
}

/* ---- an item --------------------------------------------------------------------------------- */

/* "Path", or "Encoded-Path" where it is not UTF-8: hexadecimal digits. To be freed. */
static char *path_of(const json_t *object)
{
    const char *plain = json_string_value(json_object_get(object, "Path"));
    const char *coded = json_string_value(json_object_get(object, "Encoded-Path"));
    if (plain)
        return strdup(plain);
    if (!coded)
        return NULL;
    size_t n = strlen(coded) / 2;
    char *path = calloc(1, n + 1);
    if (path && !unhex(coded, (unsigned char *)path, n)) {
        free(path);
        return NULL;
    }
    return path;
}

static int take_item(struct pg_json *j)
{
    struct pg_manifest_item item = {0};
    json_t *object = json_loadb(j->item, j->n_item, JSON_REJECT_DUPLICATES, NULL);
    const char *algorithm = json_string_value(json_object_get(object, "Checksum-Algorithm"));
    const char *sum = json_string_value(json_object_get(object, "Checksum"));
    const json_t *size = json_object_get(object, "Size");
    char *path = path_of(object);
    int rc = BAKE_OK;
    if (!object || !path || !json_is_integer(size) || json_integer_value(size) < 0)
        rc = corrupt(j, "has a file's entry that is not understood");
    else if (!algorithm || !sum || strcmp(algorithm, "SHA256") != 0 || !unhex(sum, item.sha256, 32))
        rc = corrupt(j, "has a file's entry without a SHA-256");
    if (rc == BAKE_OK) {
        item.path = path;
        item.size = (uint64_t)json_integer_value(size);
        rc = j->each(j->arg, &item);
    }
    free(path);
    json_decref(object);
    return rc;
}

/* ---- what is around -------------------------------------------------------------------------- */

/* A string of the outermost object has ended: a name, or a name's value. */
static void take_word(struct pg_json *j)
{
    j->word[j->n_word] = '\0';
    if (!j->after_colon)
        memcpy(j->key, j->word, j->n_word + 1);
    else if (strcmp(j->key, "Manifest-Checksum") == 0)
        memcpy(j->checksum, j->word, j->n_word + 1);
}

static int in_string(struct pg_json *j, char c)
{
    if (j->escaped)
        j->escaped = false;
    else if (c == '\\')
        j->escaped = true;
    else if (c == '"') {
        j->in_string = false;
        if (j->depth == 1)
            take_word(j);
        return BAKE_OK;
    }
    if (j->depth == 1 && j->n_word == WORD_MOST)
        return corrupt(j, "has a text that is too long");
    if (j->depth == 1)
        j->word[j->n_word++] = c;
    return BAKE_OK;
}

static int open_bracket(struct pg_json *j, char c)
{
    if (j->ended || j->depth == NESTED_MOST || (j->depth == 0 && c != '{'))
        return corrupt(j, "is no manifest");
    if (j->depth == 1 && c == '[' && strcmp(j->key, "Files") == 0) {
        if (j->files)
            return corrupt(j, "lists its files twice");
        j->in_files = j->files = true;
    }
    if (j->depth == 2 && c == '{' && j->in_files) {
        j->in_item = true;
        j->item[0] = c;
        j->n_item = 1;
    }
    j->depth++;
    return BAKE_OK;
}

static int close_bracket(struct pg_json *j)
{
    if (j->depth == 0)
        return corrupt(j, "is no manifest");
    j->depth--;
    if (j->depth == 0)
        j->ended = true;
    if (j->depth == 1)
        j->in_files = false;
    if (j->depth == 2 && j->in_item) {
        j->in_item = false;
        return take_item(j);
    }
    return BAKE_OK;
}

static int outside_string(struct pg_json *j, char c)
{
    switch (c) {
    case '"':
        if (j->depth == 0)
            return corrupt(j, "is no manifest");
        j->in_string = true;
        j->n_word = 0;
        return BAKE_OK;
    case '{':
    case '[':
        return open_bracket(j, c);
    case '}':
    case ']':
        return close_bracket(j);
    case ':':
        j->after_colon |= j->depth == 1;
        return BAKE_OK;
    case ',':
        j->after_colon &= j->depth != 1;
        return BAKE_OK;
    default:
        if (j->depth == 1 && j->after_colon &&
            strcmp(j->key, "PostgreSQL-Backup-Manifest-Version") == 0)
            j->version |= c == '1' || c == '2';
        return BAKE_OK;
    }
}

int pg_json_feed(struct pg_json *j, const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (j->in_item && j->n_item == ITEM_MOST)
            return corrupt(j, "has an entry that is too long");
        if (j->in_item)
            j->item[j->n_item++] = data[i];
        int rc = j->in_string ? in_string(j, data[i]) : outside_string(j, data[i]);
        if (rc != BAKE_OK)
            return rc;
    }
    return BAKE_OK;
}

bool pg_json_whole(const struct pg_json *j, const unsigned char sha256[32], const char **ret_why)
{
    unsigned char said[32];
    *ret_why = "is cut short";
    if (!j->ended || !j->files)
        return false;
    *ret_why = "is of a version that is not known";
    if (!j->version)
        return false;
    *ret_why = "does not match its own checksum";
    return unhex(j->checksum, said, 32) && memcmp(said, sha256, 32) == 0;
}
