/* store/listing: libarchive, and so bsdtar, reads the same out of it. */
#include "listing_kit.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

static mode_t file_type(uint32_t type)
{
    switch (type) {
    case BAKE_DIR:
        return AE_IFDIR;
    case BAKE_SYMLINK:
        return AE_IFLNK;
    case BAKE_CHARDEV:
        return AE_IFCHR;
    case BAKE_BLOCKDEV:
        return AE_IFBLK;
    case BAKE_FIFO:
        return AE_IFIFO;
    default:
        return AE_IFREG;
    }
}

static void same(struct archive_entry *e, const struct bake_entry *want)
{
    const char *path = archive_entry_pathname(e);
    int64_t seconds = want->mtime_ns / 1000000000, ns = want->mtime_ns % 1000000000;

    if (ns < 0) {
        seconds--;
        ns += 1000000000;
    }
    if (path[0] == '.' && path[1] == '/')
        path += 2;
    assert_string_equal(path, want->path);
    assert_int_equal(archive_entry_filetype(e), file_type(want->type));
    assert_int_equal(archive_entry_perm(e), want->mode);
    assert_int_equal(archive_entry_uid(e), want->uid);
    assert_int_equal(archive_entry_gid(e), want->gid);
    assert_string_equal(archive_entry_uname(e), want->user);
    assert_int_equal(archive_entry_mtime(e), seconds);
    assert_int_equal(archive_entry_mtime_nsec(e), ns);
    assert_int_equal(archive_entry_nlink(e), want->nlink);
    if (want->type == BAKE_FILE)
        assert_int_equal(archive_entry_size(e), want->size);
    if (want->type == BAKE_SYMLINK)
        assert_string_equal(archive_entry_symlink(e), want->link);
    if (want->type == BAKE_CHARDEV || want->type == BAKE_BLOCKDEV) {
        assert_int_equal(archive_entry_rdevmajor(e), want->dev_major);
        assert_int_equal(archive_entry_rdevminor(e), want->dev_minor);
    }
}

static void read_by_libarchive(void **state)
{
    (void)state;
    const struct bake_entry *all;
    size_t n = kit_entries(&all);
    struct bk_buf text = BK_BUF_INIT;
    struct archive *a = archive_read_new();
    struct archive_entry *e;

    assert_int_equal(bk_buf_str(&text, BK_LISTING_HEAD), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bk_listing_line(&text, &all[i], all[i].type == BAKE_FILE ? KIT_SUM : NULL),
                         0);
    assert_non_null(a);
    assert_int_equal(archive_read_support_format_mtree(a), ARCHIVE_OK);
    if (archive_read_open_memory(a, text.data, text.len) != ARCHIVE_OK)
        fail_msg("%s", archive_error_string(a));
    for (size_t i = 0; i < n; i++) {
        if (archive_read_next_header(a, &e) != ARCHIVE_OK)
            fail_msg("%s: %s", all[i].path, archive_error_string(a));
        same(e, &all[i]);
    }
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    archive_read_free(a);
    bk_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_by_libarchive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
