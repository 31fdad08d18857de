/* Secrets: from KEY or KEY_file, masked from the moment they are known. */
#include "config/options_internal.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "config/private_file.h"

#include <string.h>
#include <sys/stat.h>

#define MAX_SECRET_BYTES ((size_t)64 << 10)

static int keep(const struct bk_opt_run *run, const struct bake_option *o, const char *text,
                size_t n)
{
    const char *copy = bk_optmem_text(run->mem, text, n);
    if (!copy)
        return bk_nomem(run->err);
    bk_mask_add(copy);
    memcpy(bk_option_at(run->cfg, o), &copy, sizeof(copy));
    return 0;
}

int bk_option_secret(const struct bk_opt_run *run, const struct bake_option *o,
                     const struct bk_node *node)
{
    if (node->type != BK_SCALAR) {
        bk_option_wrong(run, o->key, node, "text");
        return 0;
    }
    if (!*node->text) {
        bk_diag_error(run->diags, node->at, "'%s' must not be empty", o->key);
        return 0;
    }
    if (run->job->is_public && !node->filled)
        bk_diag_error(run->diags, node->at,
                      "'%s' stands here in clear, and others can read this file; take that right "
                      "away (chmod o-rwx), or use '%s_file' or ${NAME}",
                      o->key, o->key);
    return keep(run, o, node->text, strlen(node->text));
}

static size_t without_newline(const struct bk_buf *b)
{
    size_t n = b->len;
    if (n && b->data[n - 1] == '\n')
        n--;
    if (n < b->len && n && b->data[n - 1] == '\r')
        n--;
    return n;
}

int bk_option_secret_file(const struct bk_opt_run *run, const struct bake_option *o,
                          const struct bk_node *node)
{
    struct bk_buf text BK_CLEANUP(bk_buf_wipe) = BK_BUF_INIT;
    struct bk_err err = {0};
    char key[BK_FILE_KEY_CAP];
    const char *path = NULL;
    mode_t mode = 0;
    int rc = bk_option_path(run, bk_option_file_key(key, o), node, &path);
    if (rc < 0 || !path)
        return rc;
    rc = bk_read_private(path, MAX_SECRET_BYTES, &text, &mode, &err);
    if (rc == BAKE_E_NOMEM)
        return bk_nomem(run->err);
    size_t n = rc < 0 ? 0 : without_newline(&text);
    if (rc < 0)
        bk_diag_error(run->diags, node->at, "'%s': %s", key, err.text);
    else if (mode & S_IROTH)
        bk_diag_error(run->diags, node->at,
                      "'%s': others can read '%s'; take that right away (chmod o-rwx)", key, path);
    else if (n == 0)
        bk_diag_error(run->diags, node->at, "'%s': '%s' is empty", key, path);
    else if (memchr(text.data, '\0', n))
        bk_diag_error(run->diags, node->at, "'%s': '%s' holds NUL bytes", key, path);
    else
        return keep(run, o, text.data, n);
    return 0;
}
