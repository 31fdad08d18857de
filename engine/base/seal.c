/* JSON documents that vouch for themselves: their last member is a digest of what is before it. */
#include "base/digest.h"
#include "base/json.h"

#include <string.h>

#define SEAL_KEY  "sha256"
#define SEAL_OPEN "\"" SEAL_KEY "\": \""

enum { SEAL_LEN = sizeof(SEAL_OPEN) - 1 + BK_SHA256_HEX - 1 + 3 }; /* with "\"\n}" */

/* Turns the object at `start` of b into a sealed one: "\n}" at its end makes room. */
static int append_seal(struct bk_buf *b, size_t start, int members, struct bk_err *err)
{
    char hex[BK_SHA256_HEX];
    b->len -= members ? 2 : 1; /* "\n}" or, of "{}", "}" */
    (void)bk_buf_str(b, members ? ",\n  " : "\n  ");
    if (b->failed || bk_sha256_hex_of(b->data + start, b->len - start, hex) != 0 ||
        bk_buf_printf(b, SEAL_OPEN "%s\"\n}\n", hex) != 0)
        return bk_nomem(err);
    return 0;
}

int bk_json_seal(const json_t *j, struct bk_buf *b, struct bk_err *err)
{
    if (!json_is_object(j))
        return bk_fail(err, BAKE_E_INTERNAL, "cannot seal what is not a JSON object");
    json_t *copy BK_JSON = json_copy((json_t *)j); /* shallow; an old seal is not part of it */
    /* jansson leaves out of a copy what it has no memory for, without a word */
    if (json_object_size(copy) != json_object_size(j))
        return bk_nomem(err);
    (void)json_object_del(copy, SEAL_KEY);
    size_t start = b->len;
    int rc = bk_json_text(copy, 2, b, err);
    if (rc == 0)
        rc = append_seal(b, start, json_object_size(copy) > 0, err);
    if (rc && b->data) {
        b->len = start;
        b->data[start] = '\0';
    }
    return rc;
}

static int damaged(struct bk_err *err, const char *what, const char *why)
{
    return bk_fail(err, BAKE_E_CORRUPT, "%s: damaged: %s", what, why);
}

/* Where the quote that opens the last key stands; 0: the text does not end in a seal. */
static size_t seal_at(const char *text, size_t n)
{
    if (n < SEAL_LEN + 4 || memcmp(text + n - 3, "\"\n}", 3) != 0)
        return 0;
    size_t at = n - SEAL_LEN;
    if (memcmp(text + at, SEAL_OPEN, strlen(SEAL_OPEN)) != 0)
        return 0;
    /* A newline cannot stand in a string: this is a key, not a part of one. */
    bool member =
        memcmp(text + at - 3, "\n  ", 3) == 0 && (text[at - 4] == ',' || text[at - 4] == '{');
    return member ? at : 0;
}

static int check_seal(const char *text, size_t n, const char *what, struct bk_err *err)
{
    size_t at = seal_at(text, n);
    if (at == 0)
        return damaged(err, what, "it does not end in a '" SEAL_KEY "' of itself");
    char hex[BK_SHA256_HEX];
    if (bk_sha256_hex_of(text, at, hex) != 0)
        return bk_nomem(err);
    if (memcmp(text + at + strlen(SEAL_OPEN), hex, BK_SHA256_HEX - 1) != 0)
        return damaged(err, what, "its content does not match its '" SEAL_KEY "'");
    return 0;
}

int bk_json_unseal(const char *text, size_t n, const char *what, json_t **ret, struct bk_err *err)
{
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n == 0)
        return damaged(err, what, "it is empty");
    if (text[n - 1] != '}')
        return damaged(err, what, "it is cut short, or something stands after its end");
    int rc = check_seal(text, n, what, err);
    if (rc)
        return rc;
    return bk_json_parse(text, n, what, ret, err);
}
