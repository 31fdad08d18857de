/* Small helpers over jansson: reading and writing members. */
#include "base/json.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/str.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int bk_json_parse(const char *text, size_t n, const char *what, json_t **ret, struct bk_err *err)
{
    json_error_t e = {0};
    json_t *j = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, &e);
    if (j) {
        *ret = j;
        return 0;
    }
    /* jansson has no text only where it could not allocate. */
    if (json_error_code(&e) == json_error_out_of_memory || !e.text[0])
        return bk_nomem(err);
    return bk_fail(err, BAKE_E_CORRUPT, "%s: not valid JSON: line %d, column %d: %s", what, e.line,
                   e.column, e.text);
}

static int wrong(struct bk_err *err, const char *what, const char *key, const char *why)
{
    return bk_fail(err, BAKE_E_CORRUPT, "%s: '%s' %s", what, key, why);
}

static int missing(struct bk_err *err, const char *what, const char *key)
{
    return wrong(err, what, key, "is missing");
}

/* The member, or NULL if it is absent or null. */
static const json_t *member(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);
    return json_is_null(v) ? NULL : v;
}

int bk_json_opt_str(const json_t *j, const char *what, const char *key, const char **ret,
                    struct bk_err *err)
{
    const json_t *v = member(j, key);
    if (!v)
        return 0;
    if (!json_is_string(v))
        return wrong(err, what, key, "is not a string");
    *ret = json_string_value(v);
    return 0;
}

int bk_json_str(const json_t *j, const char *what, const char *key, const char **ret,
                struct bk_err *err)
{
    if (!member(j, key))
        return missing(err, what, key);
    return bk_json_opt_str(j, what, key, ret, err);
}

int bk_json_opt_u64(const json_t *j, const char *what, const char *key, uint64_t *ret,
                    struct bk_err *err)
{
    const json_t *v = member(j, key);
    uint64_t big;
    if (!v)
        return 0;
    if (json_is_integer(v) && json_integer_value(v) >= 0)
        *ret = (uint64_t)json_integer_value(v);
    else if (json_is_string(v) && bk_parse_u64(json_string_value(v), &big) && big > INT64_MAX)
        *ret = big;
    else
        return wrong(err, what, key, "is not a whole number from 0 on");
    return 0;
}

int bk_json_u64(const json_t *j, const char *what, const char *key, uint64_t *ret,
                struct bk_err *err)
{
    if (!member(j, key))
        return missing(err, what, key);
    return bk_json_opt_u64(j, what, key, ret, err);
}

int bk_json_opt_bool(const json_t *j, const char *what, const char *key, int *ret,
                     struct bk_err *err)
{
    const json_t *v = member(j, key);
    if (!v)
        return 0;
    if (!json_is_boolean(v))
        return wrong(err, what, key, "is not true or false");
    *ret = json_is_true(v);
    return 0;
}

int bk_json_time(const json_t *j, const char *what, const char *key, int64_t *ret_ns,
                 struct bk_err *err)
{
    const char *s = NULL;
    int rc = bk_json_str(j, what, key, &s, err);
    if (rc)
        return rc;
    if (!bk_parse_rfc3339(s, ret_ns))
        return wrong(err, what, key, "is not a time (RFC 3339)");
    return 0;
}

int bk_json_array(const json_t *j, const char *what, const char *key, const json_t **ret,
                  struct bk_err *err)
{
    const json_t *v = member(j, key);
    if (!v)
        return missing(err, what, key);
    if (!json_is_array(v) && !json_is_object(v))
        return wrong(err, what, key, "is not an array or object");
    *ret = v;
    return 0;
}

/* A member could not be stored, and nobody looks at once: makes every json_dump() of j fail. A
 * value of no type does that, in the place of a member, as that needs no memory. An object that
 * has none and can take none becomes one of no type itself: its memory is lost, which is little
 * by then. */
static void spoil(json_t *j, const char *key)
{
    static const json_t nothing = {(json_type)99, (size_t)-1}; /* -1: not counted by jansson */
    void *first = json_object_iter(j);
    if (first)
        (void)json_object_iter_set_new(j, first, (json_t *)&nothing);
    else if (json_object_set_new_nocheck(j, key, (json_t *)&nothing) != 0)
        j->type = nothing.type;
}

/* Takes v; NULL stands for out of memory. */
static void set(json_t *j, const char *key, json_t *v)
{
    if (!json_is_object(j))
        json_decref(v);
    else if (json_object_set_new(j, key, v) != 0)
        spoil(j, key);
}

void bk_json_set_str(json_t *j, const char *key, const char *value)
{
    if (!value)
        return;
    char *text = bk_to_utf8(value);
    set(j, key, text ? json_string_nocheck(text) : NULL);
    free(text);
}

void bk_json_set_u64(json_t *j, const char *key, uint64_t value)
{
    if (value <= INT64_MAX) {
        set(j, key, json_integer((json_int_t)value));
        return;
    }
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    set(j, key, json_string(text));
}

void bk_json_set_time(json_t *j, const char *key, int64_t ns)
{
    char text[BK_TIME_CAP];
    set(j, key, json_string(bk_format_time(text, ns)));
}

void bk_json_set_bool(json_t *j, const char *key, int value) { set(j, key, json_boolean(value)); }

void bk_json_set_real(json_t *j, const char *key, double value)
{
    if (isfinite(value)) /* JSON knows no others */
        set(j, key, json_real(value));
}

static int to_buf(const char *data, size_t n, void *b) { return bk_buf_add(b, data, n) ? -1 : 0; }

int bk_json_text(const json_t *j, int indent, struct bk_buf *b, struct bk_err *err)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    flags |= indent > 0 ? JSON_INDENT((size_t)indent) : JSON_COMPACT;
    size_t before = b->len;
    if (json_dump_callback(j, to_buf, b, flags) == 0)
        return 0;
    if (b->data) {
        b->len = before;
        b->data[before] = '\0';
    }
    return bk_fail(err, BAKE_E_NOMEM, "cannot write JSON: out of memory");
}
