/* A base backup against its manifest: whole, and wrong in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base_manifest.h"
#include "fakehost.h"
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bed {
    struct fakehost host;
    struct pg_manifest *m;
    char text[65536]; /* the manifest */
    size_t n;
};

static int up(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    if (!b)
        return -1;
    fakehost_init(&b->host);
    *state = b;
    return pg_manifest_new(&b->host.ctx, "/tmp", &b->m);
}

static int down(void **state)
{
    struct bed *b = *state;
    pg_manifest_free(b->m);
    fakehost_free(&b->host);
    free(b);
    return 0;
}

static void hex_of(const void *data, size_t n, char *out)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(data, n, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

static void say(struct bed *b, const char *text)
{
    size_t n = strlen(text);
    assert_true(b->n + n < sizeof(b->text));
    memcpy(b->text + b->n, text, n + 1);
    b->n += n;
}

static void begin(struct bed *b)
{
    b->n = 0;
    say(b, "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n");
}

static void item(struct bed *b, const char *key, const char *path, const char *data, size_t n,
                 bool more)
{
    char digest[65], line[1024];
    hex_of(data, n, digest);
    (void)snprintf(line, sizeof(line),
                   "{ \"%s\": \"%s\", \"Size\": %zu, \"Last-Modified\": \"2026-11-21 20:00:00 "
                   "GMT\", \"Checksum-Algorithm\": \"SHA256\", \"Checksum\": \"%s\" }%s\n",
                   key, path, n, digest, more ? "," : "");
    say(b, line);
}

/* The rest, with the checksum over all lines before the last. */
static void end(struct bed *b)
{
    char digest[65], line[160];
    say(b, "],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": "
           "\"0/2000100\" }\n],\n");
    hex_of(b->text, b->n, digest);
    (void)snprintf(line, sizeof(line), "\"Manifest-Checksum\": \"%s\"}\n", digest);
    say(b, line);
}

static void file(struct bed *b, const char *path, const char *data, size_t n, int good)
{
    assert_int_equal(pg_manifest_file(b->m, path), BAKE_OK);
    for (size_t i = 0; i < n; i += 7)
        assert_int_equal(pg_manifest_data(b->m, data + i, n - i < 7 ? n - i : 7), BAKE_OK);
    assert_int_equal(pg_manifest_file_end(b->m, good), BAKE_OK);
}

#define LABEL "START WAL LOCATION"

static void usual(struct bed *b)
{
    begin(b);
    item(b, "Path", "backup_label", LABEL, strlen(LABEL), true);
    item(b, "Path", "base/1/1259", "catalog", 7, true);
    item(b, "Path", "a \\\"quoted\\\" \\\\ name", "x", 1, true);
    item(b, "Encoded-Path", "ff6e6f", "latin", 5, true);
    item(b, "Path", "pg_wal/archive_status/1.done", "", 0, true);
    item(b, "Path", "empty", "", 0, false);
    end(b);
}

/* The files but for one; they come in another order than the manifest has. */
static void files_but(struct bed *b, const char *left_out)
{
    static const char *const list[][2] = {
        {"base/1/1259", "catalog"},
        {"a \"quoted\" \\ name", "x"},
        {"empty", ""},
        {"\xffno", "latin"},
        {"pg_wal/000000010000000000000002", "log"}, /* in no manifest */
        {"pg_wal/archive_status/1.done", ""},
        {"backup_label", LABEL},
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
        if (!left_out || strcmp(list[i][0], left_out) != 0)
            file(b, list[i][0], list[i][1], strlen(list[i][1]), 1);
}

static void refused(struct bed *b, const char *words)
{
    fakehost_clear(&b->host);
    assert_int_equal(pg_manifest_check(b->m), BAKE_E_CORRUPT);
    assert_non_null(strstr(b->host.fail, words));
}

static void whole(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, NULL);
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    assert_int_equal(pg_manifest_check(b->m), BAKE_OK);
    assert_int_equal(pg_manifest_check(b->m), BAKE_OK); /* as often as one likes */
    assert_int_equal(pg_manifest_files(b->m), 6);
    assert_int_equal(pg_manifest_size(b->m), b->n);
}

static void missing(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, "base/1/1259");
    refused(b, "'backup_manifest' is missing");
    file(b, PG_MANIFEST_NAME, b->text, b->n, 0);
    refused(b, "'backup_manifest' is missing");
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    refused(b, "'base/1/1259' is missing");
    file(b, "base/1/1259", "catalog", 7, 0); /* came, but not as it was stored */
    refused(b, "'base/1/1259' is missing");
    file(b, "base/1/1259", "catalog", 7, 1);
    assert_int_equal(pg_manifest_check(b->m), BAKE_OK);
}

static void changed(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, "base/1/1259");
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    file(b, "base/1/1259", "Catalog", 7, 1);
    refused(b, "'base/1/1259' does not match");
}

static void longer(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, "empty");
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    file(b, "empty", "!", 1, 1);
    refused(b, "'empty' has 1 bytes");
}

static void too_many(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, NULL);
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    file(b, "base/1/9999", "?", 1, 1);
    refused(b, "does not name: 1");
}

/* Every byte of the manifest counts, and every length but its own is wrong. */
static void every_byte(void **state)
{
    struct bed *b = *state;
    usual(b);
    files_but(b, NULL);
    for (size_t i = 0; i < b->n; i++) {
        b->text[i] ^= 1;
        file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
        b->text[i] ^= 1;
        if (strchr("\n}\" ", b->text[i]))
            continue; /* in the last line, which has no checksum, these do not matter */
        assert_int_equal(pg_manifest_check(b->m), BAKE_E_CORRUPT);
    }
    for (size_t n = 0; n < b->n; n++) {
        file(b, PG_MANIFEST_NAME, b->text, n, 1);
        assert_int_equal(pg_manifest_check(b->m), BAKE_E_CORRUPT);
    }
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    assert_int_equal(pg_manifest_check(b->m), BAKE_OK);
}

static void hostile(void **state)
{
    struct bed *b = *state;
    static const char *const list[] = {
        "",
        "\n",
        "{}\n",
        "[]\n",
        "}}}}\n",
        "{{{{{{{{{{{{{{{{\n",
        "\"Files\"\n",
        "{\"Files\": [{\"Path\": 1}]}\n",
        "{\"Files\": [{}],\n\"Manifest-Checksum\": \"\"}\n",
        "{\"Files\": [], \"Files\": [],\n\"Manifest-Checksum\": \"\"}\n",
        "{\"Files\": [{\"Path\": \"a\", \"Size\": -1}],\n\"Manifest-Checksum\": \"\"}\n",
        "{\"Files\": [{\"Encoded-Path\": \"abc\", \"Size\": 1}],\n\"Manifest-Checksum\": \"\"}\n",
        "{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": "
        "1}\n",
    };
    for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        file(b, PG_MANIFEST_NAME, list[i], strlen(list[i]), 1);
        assert_int_equal(pg_manifest_check(b->m), BAKE_E_CORRUPT);
    }
    size_t n = 1 << 20; /* an entry without an end */
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, 'a', n);
    memcpy(text, "{\"Files\": [{\"Path\": \"", 21);
    memcpy(text + n - 6, "\n\"}]}\n", 6);
    file(b, PG_MANIFEST_NAME, text, n, 1);
    refused(b, "too long");
    free(text);
}

static void other_version(void **state)
{
    struct bed *b = *state;
    say(b, "{ \"PostgreSQL-Backup-Manifest-Version\": 9,\n\"Files\": [\n");
    end(b);
    file(b, PG_MANIFEST_NAME, b->text, b->n, 1);
    refused(b, "version");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole, up, down),
        cmocka_unit_test_setup_teardown(missing, up, down),
        cmocka_unit_test_setup_teardown(changed, up, down),
        cmocka_unit_test_setup_teardown(longer, up, down),
        cmocka_unit_test_setup_teardown(too_many, up, down),
        cmocka_unit_test_setup_teardown(every_byte, up, down),
        cmocka_unit_test_setup_teardown(hostile, up, down),
        cmocka_unit_test_setup_teardown(other_version, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
