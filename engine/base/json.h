/* Small helpers over jansson: typed getters that say what is wrong, canonical output. */
#ifndef BK_JSON_H
#define BK_JSON_H

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include <jansson.h>

static inline void bk_json_p(json_t **j) { json_decref(*j); }
#define BK_JSON BK_CLEANUP(bk_json_p)

/* Parses text; `what` names it in the message ("manifest of 'nightly-...'"). Depth and duplicate
 * keys are limited. */
int bk_json_parse(const char *text, size_t n, const char *what, json_t **ret, struct bk_err *err);
/* Getters: BAKE_E_CORRUPT with "<what>: '<key>' is missing / is not a ...". The opt_ forms leave
 * *ret alone when the key is absent or null. Strings are borrowed from j. */
int bk_json_str(const json_t *j, const char *what, const char *key, const char **ret,
                struct bk_err *err);
int bk_json_opt_str(const json_t *j, const char *what, const char *key, const char **ret,
                    struct bk_err *err);
int bk_json_u64(const json_t *j, const char *what, const char *key, uint64_t *ret,
                struct bk_err *err);
int bk_json_opt_u64(const json_t *j, const char *what, const char *key, uint64_t *ret,
                    struct bk_err *err);
int bk_json_opt_bool(const json_t *j, const char *what, const char *key, int *ret,
                     struct bk_err *err);
/* RFC 3339 string -> ns */
int bk_json_time(const json_t *j, const char *what, const char *key, int64_t *ret_ns,
                 struct bk_err *err);
/* An array or object member, borrowed. */
int bk_json_array(const json_t *j, const char *what, const char *key, const json_t **ret,
                  struct bk_err *err);

/* Setters: take any bytes (made UTF-8), ignore NULL and numbers that are not finite. A number over
 * INT64_MAX becomes a string of digits, which the u64 getters read as well. Allocation failure is
 * seen by bk_json_text. */
void bk_json_set_str(json_t *j, const char *key, const char *value);
void bk_json_set_u64(json_t *j, const char *key, uint64_t value);
void bk_json_set_time(json_t *j, const char *key, int64_t ns);
void bk_json_set_bool(json_t *j, const char *key, int value);
void bk_json_set_real(json_t *j, const char *key, double value);

/* indent 0: one line. Appends to b, without a final newline. */
int bk_json_text(const json_t *j, int indent, struct bk_buf *b, struct bk_err *err);

/* Documents that vouch for themselves (manifest.json, bakengine.json, records): pretty-printed,
 * ending in a last member "sha256" over every byte before the quote that opens that key, and a
 * newline. A member "sha256" of j itself is left out. */
int bk_json_seal(const json_t *j, struct bk_buf *b, struct bk_err *err);
/* Checks the digest, then parses. BAKE_E_CORRUPT names what is wrong. */
int bk_json_unseal(const char *text, size_t n, const char *what, json_t **ret, struct bk_err *err);

#endif
