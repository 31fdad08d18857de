/* SHA-256 through OpenSSL, random bytes, hexadecimal. */
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct bk_sha256 {
    EVP_MD_CTX *ctx;
};

/* With its memory in hand SHA-256 has nothing left that can fail; if it does all the same, going
 * on would write digests that are wrong. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

int bk_sha256_new(struct bk_sha256 **ret, struct bk_err *err)
{
    struct bk_sha256 *s = calloc(1, sizeof(*s));
    if (!s)
        return bk_nomem(err);
    s->ctx = EVP_MD_CTX_new();
    if (!s->ctx || EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) != 1) {
        bk_sha256_free(s);
        return bk_fail(err, BAKE_E_NOMEM, "cannot set up SHA-256: out of memory");
    }
    *ret = s;
    return 0;
}

void bk_sha256_add(struct bk_sha256 *s, const void *data, size_t n)
{
    if (n > 0)
        must(EVP_DigestUpdate(s->ctx, data, n));
}

void bk_sha256_end(struct bk_sha256 *s, unsigned char out[BK_SHA256_LEN])
{
    must(EVP_DigestFinal_ex(s->ctx, out, NULL));
    must(EVP_DigestInit_ex(s->ctx, NULL, NULL));
}

void bk_sha256_end_hex(struct bk_sha256 *s, char out[BK_SHA256_HEX])
{
    unsigned char digest[BK_SHA256_LEN];
    bk_sha256_end(s, digest);
    bk_hex(digest, sizeof(digest), out);
}

void bk_sha256_free(struct bk_sha256 *s)
{
    if (!s)
        return;
    EVP_MD_CTX_free(s->ctx);
    free(s);
}

int bk_sha256_hex_of(const void *data, size_t n, char out[BK_SHA256_HEX])
{
    unsigned char digest[BK_SHA256_LEN];
    out[0] = '\0';
    if (EVP_Digest(n ? data : "", n, digest, NULL, EVP_sha256(), NULL) != 1)
        return BAKE_E_NOMEM;
    bk_hex(digest, sizeof(digest), out);
    return 0;
}

void bk_hex(const unsigned char *in, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * n] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool bk_unhex(const char *hex, unsigned char *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return hex[2 * n] == '\0';
}

int bk_random(void *out, size_t n, struct bk_err *err)
{
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return bk_fail_errno(err, errno, "cannot get random bytes");
        p += got;
        n -= (size_t)got;
    }
    return 0;
}
