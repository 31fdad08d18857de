/* SHA-256 (FIPS 180-4) through OpenSSL's EVP; random bytes; hexadecimal. */
#ifndef BK_DIGEST_H
#define BK_DIGEST_H

#include "base/err.h"
#include <stdbool.h>

#define BK_SHA256_LEN 32
#define BK_SHA256_HEX 65 /* with the NUL */

struct bk_sha256; /* one stream; one thread at a time */
int bk_sha256_new(struct bk_sha256 **ret, struct bk_err *err);
void bk_sha256_add(struct bk_sha256 *s, const void *data, size_t n);
/* Ends the stream and starts a new one. */
void bk_sha256_end(struct bk_sha256 *s, unsigned char out[BK_SHA256_LEN]);
void bk_sha256_end_hex(struct bk_sha256 *s, char out[BK_SHA256_HEX]);
void bk_sha256_free(struct bk_sha256 *s); /* NULL is fine */

/* 0, or BAKE_E_NOMEM with out "", which equals no digest. */
int bk_sha256_hex_of(const void *data, size_t n, char out[BK_SHA256_HEX]);
void bk_hex(const unsigned char *in, size_t n, char *out);    /* out: 2 n + 1 bytes */
bool bk_unhex(const char *hex, unsigned char *out, size_t n); /* exactly 2 n lower-case digits */
int bk_random(void *out, size_t n, struct bk_err *err);

#endif
