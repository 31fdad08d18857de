/* Messages for people, on standard error. Holds the engine's only process-wide state. */
#include "base/log.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mask.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock; /* over all below, and over writing */
    enum bk_log_format format;
    int level;
    struct bk_masks masks;
    int incomplete;   /* a secret could not be added: nothing can be masked safely */
    char *status;     /* masked and printable; NULL: none */
    int status_shown; /* it stands at the bottom of the terminal now */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = BAKE_LOG_INFO};

void bk_log_setup(enum bk_log_format format, int level)
{
    (void)pthread_mutex_lock(&state.lock);
    state.format = format;
    state.level = level;
    (void)pthread_mutex_unlock(&state.lock);
}

/* ---- masks ---- */

void bk_mask_add(const char *secret)
{
    if (!secret)
        return;
    (void)pthread_mutex_lock(&state.lock);
    if (bk_masks_add(&state.masks, secret) != 0)
        state.incomplete = 1;
    (void)pthread_mutex_unlock(&state.lock);
}

/* Under the lock. */
static int mask_into(struct bk_buf *b, const char *s)
{
    return state.incomplete ? BAKE_E_NOMEM : bk_masks_apply(&state.masks, s, b);
}

char *bk_mask(const char *s)
{
    struct bk_buf b = BK_BUF_INIT;
    (void)pthread_mutex_lock(&state.lock);
    int rc = mask_into(&b, s);
    (void)pthread_mutex_unlock(&state.lock);
    if (rc) {
        bk_buf_wipe(&b);
        return NULL;
    }
    return bk_buf_take(&b);
}

void bk_mask_forget(void)
{
    (void)pthread_mutex_lock(&state.lock);
    bk_masks_wipe(&state.masks);
    state.incomplete = 0;
    (void)pthread_mutex_unlock(&state.lock);
}

/* ---- what is shown ---- */

/* Control characters and what is not UTF-8 become \xNN. */
static void add_clean(struct bk_buf *b, const char *s)
{
    for (size_t n = strlen(s); n > 0;) {
        uint32_t cp;
        size_t len = bk_utf8_next(s, n, &cp);
        if (len == 0 || bk_is_control(cp)) {
            len = 1;
            (void)bk_buf_printf(b, "\\x%02x", (unsigned char)*s);
        } else {
            (void)bk_buf_add(b, s, len);
        }
        s += len;
        n -= len;
    }
}

/* The text without its last line "HINT: ..." and without newlines at its end; the hint or NULL. */
static char *split_hint(char *text)
{
    static const char mark[] = "\nHINT: ";
    char *hint = NULL;
    for (char *p = strstr(text, mark); p; p = strstr(p + 1, mark))
        hint = p;
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    if (!hint)
        return NULL;
    *hint = '\0';
    return hint + strlen(mark);
}

static const char *level_name(int level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return names[level < 0 ? 0 : level > BAKE_LOG_DEBUG ? BAKE_LOG_DEBUG : level];
}

static int json_message(struct bk_buf *b, int level, const char *text, const char *hint)
{
    json_t *j BK_JSON = json_object();
    bk_json_set_str(j, "message_type", "log");
    bk_json_set_str(j, "level", level_name(level));
    bk_json_set_time(j, "time", bk_now_ns());
    bk_json_set_str(j, "text", text);
    bk_json_set_str(j, "hint", hint);
    return bk_json_text(j, 0, b, NULL);
}

static int text_message(struct bk_buf *b, int level, const char *text, const char *hint)
{
    (void)bk_buf_str(b, "bakengine: ");
    if (level != BAKE_LOG_INFO)
        (void)bk_buf_printf(b, "%s: ", level_name(level));
    (void)bk_buf_str(b, text);
    return hint ? bk_buf_printf(b, "\nHINT: %s", hint) : b->failed;
}

/* Columns a character takes, never fewer than it really does. */
static size_t width_of(uint32_t cp)
{
    static const uint32_t wide[][2] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},
                                       {0x23e9, 0x23f3},   {0x25fd, 0x25fe},   {0x2600, 0x27bf},
                                       {0x2b1b, 0x2b55},   {0x2e80, 0xa4cf},   {0xa960, 0xa97f},
                                       {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe6f},
                                       {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18aff},
                                       {0x1b000, 0x1b2ff}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd}};
    for (size_t i = 0; i < BK_LEN(wide); i++)
        if (cp >= wide[i][0] && cp <= wide[i][1])
            return 2;
    return 1;
}

static size_t terminal_width(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return 80;
    return w.ws_col;
}

/* As much of the status line as fits beside the cursor. */
static void add_status(struct bk_buf *b)
{
    size_t room = terminal_width() - 1, n = strlen(state.status);
    const char *s = state.status;
    while (n > 0) {
        uint32_t cp = 0;
        size_t len = bk_utf8_next(s, n, &cp);
        if (len == 0 || width_of(cp) > room)
            return;
        room -= width_of(cp);
        (void)bk_buf_add(b, s, len);
        s += len;
        n -= len;
    }
}

/* Under the lock. Erases the status line, writes text (or nothing), draws it again: one write. */
static void put(const char *text)
{
    struct bk_buf b = BK_BUF_INIT;
    if (state.status_shown)
        (void)bk_buf_str(&b, "\r\033[K");
    if (text)
        (void)bk_buf_printf(&b, "%s\n", text);
    int shown = state.status && state.format == BK_LOG_TEXT && isatty(STDERR_FILENO);
    if (shown)
        add_status(&b);
    if (b.failed) {
        if (text)
            (void)!(bk_write_full(STDERR_FILENO, text, strlen(text)) ||
                    bk_write_full(STDERR_FILENO, "\n", 1));
    } else {
        state.status_shown = shown;
        (void)bk_write_full(STDERR_FILENO, b.data ? b.data : "", b.len);
    }
    bk_buf_free(&b);
}

/* Masked, made printable, formatted: what one message looks like. */
static char *shown_form(int level, const char *message)
{
    char *ret = NULL;
    struct bk_buf masked BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf hint BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_buf out BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    if (mask_into(&masked, message) != 0 || bk_buf_reserve(&masked, 0) != 0)
        return NULL;
    const char *rest = split_hint(masked.data);
    add_clean(&text, masked.data);
    if (rest)
        add_clean(&hint, rest);
    if (bk_buf_reserve(&text, 0) != 0 || hint.failed)
        return NULL;
    int rc = state.format == BK_LOG_JSON ? json_message(&out, level, text.data, hint.data)
                                         : text_message(&out, level, text.data, hint.data);
    if (rc == 0)
        ret = bk_buf_take(&out);
    return ret;
}

void bk_vlog(int level, const char *fmt, va_list ap)
{
    int saved = errno;
    struct bk_buf message = BK_BUF_INIT;
    (void)bk_buf_vprintf(&message, fmt, ap);
    (void)pthread_mutex_lock(&state.lock);
    if (level <= state.level) {
        char *text = bk_buf_reserve(&message, 0) == 0 ? shown_form(level, message.data) : NULL;
        put(text ? text : "bakengine: error: a message is lost: out of memory");
        free(text);
    }
    (void)pthread_mutex_unlock(&state.lock);
    bk_buf_wipe(&message); /* it may have held a secret */
    errno = saved;
}

void bk_log(int level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bk_vlog(level, fmt, ap);
    va_end(ap);
}

void bk_log_err(const struct bk_err *err)
{
    const char *text = err->text[0] ? err->text : "failed without saying why";
    if (err->hint[0])
        bk_log(BAKE_LOG_ERROR, "%s\nHINT: %s", text, err->hint);
    else
        bk_log(BAKE_LOG_ERROR, "%s", text);
}

void bk_log_status(const char *line)
{
    struct bk_buf masked = BK_BUF_INIT, clean = BK_BUF_INIT;
    (void)pthread_mutex_lock(&state.lock);
    if (line && *line && isatty(STDERR_FILENO) && mask_into(&masked, line) == 0)
        add_clean(&clean, masked.data);
    free(state.status);
    state.status = clean.len > 0 && !clean.failed ? bk_buf_take(&clean) : NULL;
    if (state.status || state.status_shown)
        put(NULL);
    (void)pthread_mutex_unlock(&state.lock);
    bk_buf_free(&clean);
    bk_buf_wipe(&masked);
}
