/* PostgreSQL's logs: names, the first page's header, pg_control, histories. */
#include "run/wal_name.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/path.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define HEX8      8u
#define LONG_HEAD 40u /* XLogLongPageHeaderData */
#define LONG_FLAG 0x0002u

/* ---- names ----------------------------------------------------------------------------------- */

/* PostgreSQL itself writes upper case alone. */
static bool hex8(const char *s, uint32_t *ret)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < HEX8; i++) {
        const char *digits = "0123456789ABCDEF", *at = s[i] ? strchr(digits, s[i]) : NULL;

        if (!at)
            return false;
        v = v << 4 | (uint32_t)(at - digits);
    }
    *ret = v;
    return true;
}

bool bk_pg_name_parse(const char *name, struct bk_pg_name *ret)
{
    size_t n = strlen(name);
    uint32_t offset;

    memset(ret, 0, sizeof(*ret));
    if (!hex8(name, &ret->timeline) || ret->timeline == 0)
        return false;
    ret->kind = BK_PG_HISTORY;
    if (bk_streq(name + HEX8, ".history"))
        return true;
    if (n < 3 * HEX8 || !hex8(name + HEX8, &ret->log) || !hex8(name + 2 * HEX8, &ret->segment))
        return false;
    name += 3 * HEX8;
    ret->kind = BK_PG_SEGMENT;
    if (!*name)
        return true;
    ret->kind = BK_PG_PARTIAL;
    if (bk_streq(name, ".partial"))
        return true;
    ret->kind = BK_PG_LABEL;
    return name[0] == '.' && hex8(name + 1, &offset) && bk_streq(name + 1 + HEX8, ".backup");
}

bool bk_pg_archived_parse(const char *name, struct bk_pg_name *ret)
{
    uint32_t folder;

    return hex8(name, &folder) && name[HEX8] == '/' && bk_pg_name_parse(name + HEX8 + 1, ret) &&
           ret->timeline == folder;
}

void bk_pg_archived_name(const struct bk_pg_name *n, const char *name, char ret[BK_PG_NAME_CAP])
{
    (void)snprintf(ret, BK_PG_NAME_CAP, "%08" PRIX32 "/%s", n->timeline, name);
}

bool bk_pg_segment_size_ok(uint64_t size)
{
    return size >= UINT64_C(1) << 20 && size <= UINT64_C(1) << 30 && (size & (size - 1)) == 0;
}

bool bk_pg_number(const struct bk_pg_name *n, uint64_t segment_size, uint64_t *ret)
{
    uint64_t per_log;

    if (n->kind == BK_PG_HISTORY || !bk_pg_segment_size_ok(segment_size))
        return false;
    per_log = (UINT64_C(1) << 32) / segment_size;
    if (n->segment >= per_log)
        return false;
    *ret = n->log * per_log + n->segment;
    return true;
}

void bk_pg_segment_name(uint32_t timeline, uint64_t number, uint64_t segment_size,
                        char ret[BK_PG_NAME_CAP])
{
    uint64_t per_log = (UINT64_C(1) << 32) / segment_size;

    (void)snprintf(ret, BK_PG_NAME_CAP, "%08" PRIX32 "%08" PRIX64 "%08" PRIX64, timeline,
                   number / per_log, number % per_log);
}

/* ---- a segment's header ---------------------------------------------------------------------- */

/* In the byte order of the machine that the server runs on, which need not be this one's. */
struct order {
    bool big;
};

static uint64_t number(const struct order *o, const unsigned char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[o->big ? i : n - 1 - i];
    return v;
}

/* The magic number's high byte has been 0xd0 or 0xd1 ever since; its low one counts versions. */
static bool find_order(const unsigned char *head, struct order *ret)
{
    ret->big = head[0] == 0xd0 || head[0] == 0xd1;
    return ret->big || head[1] == 0xd0 || head[1] == 0xd1;
}

static int disagrees(const char *path, const char *why, struct bk_err *err)
{
    return bk_fail(err, BAKE_E_CORRUPT,
                   "'%s' is not the segment that its name says: %s\n"
                   "HINT: archive_command must be given %%p as it is",
                   path, why);
}

/* The first page of a timeline's first segment is a copy of the older timeline's: its header may
 * name that one. */
static int check_head(const char *path, const unsigned char head[LONG_HEAD], uint64_t file_size,
                      const struct bk_pg_name *n, uint64_t *ret_system, struct bk_err *err)
{
    struct order o;
    uint64_t segment_size, page_size, at;

    if (!find_order(head, &o) || !(number(&o, head + 2, 2) & LONG_FLAG))
        return disagrees(path, "it does not begin with a segment's header", err);
    segment_size = number(&o, head + 32, 4);
    page_size = number(&o, head + 36, 4);
    if (!bk_pg_segment_size_ok(segment_size) || page_size < 1024 || page_size > 65536 ||
        (page_size & (page_size - 1)) != 0)
        return disagrees(path, "its header says sizes that cannot be", err);
    if (file_size != segment_size)
        return bk_fail(err, BAKE_E_CORRUPT,
                       "'%s' has %" PRIu64 " bytes, a segment of this server has %" PRIu64, path,
                       file_size, segment_size);
    if (!bk_pg_number(n, segment_size, &at) || number(&o, head + 8, 8) != at * segment_size)
        return disagrees(path, "its header says another position", err);
    if (number(&o, head + 4, 4) == 0 || number(&o, head + 4, 4) > n->timeline)
        return disagrees(path, "its header says a later timeline", err);
    *ret_system = number(&o, head + 24, 8);
    return *ret_system ? BAKE_OK : disagrees(path, "its header names no cluster", err);
}

static int check_segment(const char *path, const struct bk_pg_name *n, uint64_t *ret_system,
                         struct bk_err *err)
{
    unsigned char head[LONG_HEAD];
    int fd BK_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ssize_t got;

    if (fd < 0 || fstat(fd, &st) < 0)
        return bk_fail_errno(err, errno, "cannot open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return bk_fail(err, BAKE_E_IO, "'%s' is not a regular file", path);
    got = bk_read_full(fd, head, sizeof(head));
    if (got < 0)
        return bk_fail_errno(err, errno, "cannot read '%s'", path);
    if (got < (ssize_t)sizeof(head))
        return disagrees(path, "it is shorter than a segment's header", err);
    return check_head(path, head, (uint64_t)st.st_size, n, ret_system, err);
}

/* They are a few lines; anything else under such a name is a mistake. */
static int check_text(const char *path, struct bk_err *err)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    int rc = bk_read_file(path, 16u << 20, &text, err);

    if (rc >= 0 && (text.len == 0 || memchr(text.data, '\0', text.len)))
        return bk_fail(err, BAKE_E_CORRUPT, "'%s' is not the text that its name says", path);
    return rc;
}

int bk_pg_check(const char *path, const struct bk_pg_name *n, uint64_t *ret_system,
                struct bk_err *err)
{
    *ret_system = 0;
    if (n->kind == BK_PG_SEGMENT || n->kind == BK_PG_PARTIAL)
        return check_segment(path, n, ret_system, err);
    return check_text(path, err);
}

/* ---- pg_control ------------------------------------------------------------------------------ */

static int read_control(const char *path, uint64_t *ret, struct bk_err *err)
{
    unsigned char data[12]; /* system identifier, version */
    int fd BK_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got;
    uint32_t version;

    if (fd < 0)
        return bk_fail_errno(err, errno, "cannot open '%s'", path);
    got = bk_read_full(fd, data, sizeof(data));
    if (got < 0)
        return bk_fail_errno(err, errno, "cannot read '%s'", path);
    if (got == (ssize_t)sizeof(data)) {
        memcpy(ret, data, sizeof(*ret)); /* the server runs on this host */
        memcpy(&version, data + sizeof(*ret), sizeof(version));
        if (*ret != 0 && version >= 800 && version < 10000)
            return BAKE_OK;
    }
    return bk_fail(err, BAKE_E_CORRUPT, "'%s' is not a cluster's control file", path);
}

/* By its text: pg_wal may be a symbolic link to elsewhere. */
int bk_pg_system(const char *path, uint64_t *ret, struct bk_err *err)
{
    static const char control[] = "global/pg_control";
    char *folder BK_FREE = bk_path_dir(path);
    char *data BK_FREE = folder ? bk_path_dir(folder) : NULL;
    char *beside BK_FREE = data ? bk_asprintf("%s/%s", data, control) : NULL;
    struct bk_err why = {0};
    int rc;

    if (!beside)
        return bk_nomem(err);
    rc = bk_streq(folder, ".") ? BAKE_E_NOTFOUND : read_control(beside, ret, &why);
    if (rc == BAKE_E_NOTFOUND)
        rc = read_control(control, ret, &why);
    if (rc == BAKE_E_NOTFOUND)
        return bk_fail(
            err, BAKE_E_IO,
            "it cannot be told which cluster '%s' belongs to, as there is no '%s' beside "
            "its folder or here\n"
            "HINT: PostgreSQL calls this in its data directory",
            path, control);
    if (rc < 0 && err)
        *err = why;
    return rc;
}

/* ---- histories ------------------------------------------------------------------------------- */

/* Digits of the base from *at on, of at most 32 bits. */
static bool take_number(const char **at, unsigned base, uint64_t *ret)
{
    const char *start = *at;

    for (*ret = 0; **at; ++*at) {
        const char *digits = "0123456789abcdef", c = **at;
        const char *found = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

        if (!found || found - digits >= (ptrdiff_t)base)
            break;
        *ret = *ret * base + (uint64_t)(found - digits);
        if (*ret > UINT32_MAX)
            return false;
    }
    return *at > start;
}

/* "2\t0/7000100\treason"; '#' begins a comment. */
static bool parse_line(const char *at, uint32_t *ret_timeline, uint64_t *ret_position)
{
    uint64_t timeline, high, low;
    size_t blank;

    at += strspn(at, " \t");
    if (!take_number(&at, 10, &timeline) || timeline == 0 || (blank = strspn(at, " \t")) == 0)
        return false;
    at += blank;
    if (!take_number(&at, 16, &high) || *at++ != '/' || !take_number(&at, 16, &low))
        return false;
    *ret_timeline = (uint32_t)timeline;
    *ret_position = high << 32 | low;
    return true;
}

/* The last line is the timeline's own parent, those before are older. */
bool bk_pg_parent(const char *text, uint32_t *ret_timeline, uint64_t *ret_position)
{
    bool any = false;

    while (*text) {
        size_t n = strcspn(text, "\n");
        char line[256];

        if (n < sizeof(line)) {
            memcpy(line, text, n);
            line[n] = '\0';
            line[strcspn(line, "#")] = '\0';
            any |= parse_line(line, ret_timeline, ret_position);
        }
        text += n + (text[n] != '\0');
    }
    return any;
}
