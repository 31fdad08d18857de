/* Standard output: documents, events as lines, events in words. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "cli/cli.h"
#include "cli/signals.h"
#include "cli/words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int bk_cli_json(json_t *doc, struct bk_err *err)
{
    struct bk_buf text = BK_BUF_INIT;
    int rc = bk_json_text(doc, 2, &text, err);

    json_decref(doc);
    if (rc >= 0)
        printf("%s\n", text.data);
    bk_buf_free(&text);
    return rc;
}

int bk_cli_flush(struct bk_err *err)
{
    if (fflush(stdout) != 0)
        return bk_fail_errno(err, errno, "cannot write to standard output");
    if (ferror(stdout)) /* an earlier line: its errno is gone */
        return bk_fail(err, BAKE_E_IO, "cannot write to standard output: not all of it was taken");
    return BAKE_OK;
}

/* Says what the program will really end with: a signal comes before everything else. */
static json_t *sum_up(struct bk_cli *cli, const json_t *event)
{
    json_t *copy = json_copy((json_t *)event); /* only counts references */
    int caught = cli->until_signal ? 0 : bk_signals_caught(cli->signals);

    cli->exit_code = (int)json_integer_value(json_object_get(event, "exit_code"));
    if (caught) {
        cli->exit_code = 128 + caught;
        bk_json_set_u64(copy, "exit_code", (uint64_t)cli->exit_code);
    }
    cli->summed_up = true;
    return copy;
}

void bk_cli_emit_json(void *arg, const char *type, const json_t *event)
{
    struct bk_buf text = BK_BUF_INIT;
    json_t *last BK_JSON = strcmp(type, "summary") == 0 ? sum_up(arg, event) : NULL;

    if (bk_json_text(last ? last : event, 0, &text, NULL) >= 0) {
        printf("%s\n", text.data);
        (void)fflush(stdout); /* whoever reads lines wants them now */
    }
    bk_buf_free(&text);
}

static double real(const json_t *e, const char *key)
{
    return json_number_value(json_object_get(e, key));
}

static void say_warning(const json_t *e)
{
    const char *severity = bk_event_str(e, "severity"), *component = bk_event_str(e, "component");
    const char *subject = bk_event_str(e, "subject"), *hint = bk_event_str(e, "hint");
    int level = strcmp(severity, "notice") == 0 ? BAKE_LOG_INFO : BAKE_LOG_WARN;

    bk_log(level, "%s%s%s%s%s%s%s%s", component, *component ? ": " : "", *subject ? "'" : "",
           subject, *subject ? "': " : "", bk_event_str(e, "text"), *hint ? "\nHINT: " : "", hint);
}

static void say_error(const json_t *e)
{
    const char *hint = bk_event_str(e, "hint"), *component = bk_event_str(e, "component");
    const char *text = bk_event_str(e, "text"), *id = bk_event_str(e, "id");
    bool named = !*component || strstr(text, component), known = !*id || strstr(text, id);

    bk_log(BAKE_LOG_ERROR, "%s%s%s%s%s%s%s", known ? "" : id, known ? "" : ": ",
           named ? "" : component, named ? "" : ": ", text, *hint ? "\nHINT: " : "", hint);
}

/* "[=========           ]  45 %  " */
static void add_bar(struct bk_buf *line, double part)
{
    int full = (int)(part * 20.0);

    bk_buf_char(line, '[');
    for (int i = 0; i < 20; i++)
        bk_buf_char(line, i < full ? '=' : ' ');
    bk_buf_printf(line, "] %3d %%  ", (int)(part * 100.0));
}

/* The bar, bytes, entries, rate and time left, on the terminal's last line. */
static void say_status(const json_t *e)
{
    double elapsed = real(e, "seconds_elapsed");
    struct bk_buf line = BK_BUF_INIT;
    uint64_t done = bk_event_num(e, "bytes_done");
    char text[32];

    if (json_object_get(e, "percent_done"))
        add_bar(&line, real(e, "percent_done"));
    bk_buf_str(&line, bk_format_size(text, sizeof(text), done));
    bk_buf_printf(&line, "  %s entries",
                  bk_format_count(text, sizeof(text), bk_event_num(e, "entries_done")));
    if (elapsed > 0)
        bk_buf_printf(&line, "  %s/s",
                      bk_format_size(text, sizeof(text), (uint64_t)((double)done / elapsed)));
    if (json_object_get(e, "seconds_remaining"))
        bk_buf_printf(&line, "  %s left",
                      bk_format_duration(text, sizeof(text),
                                         (uint64_t)(real(e, "seconds_remaining") * 1000.0)));
    bk_log_status(line.data);
    bk_buf_free(&line);
}

void bk_cli_emit_text(void *arg, const char *type, const json_t *event)
{
    const struct bk_cli *cli = arg;

    if (strcmp(type, "warning") == 0) {
        say_warning(event);
        return;
    }
    if (strcmp(type, "error") == 0) {
        say_error(event);
        return;
    }
    if (cli->args.quiet)
        return;
    if (strcmp(type, "status") == 0) {
        say_status(event);
        return;
    }
    bk_log_status(NULL);
    bk_words(type, event);
    (void)fflush(stdout);
}
