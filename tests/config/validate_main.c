/* What `bakengine validate FILE` and `bakengine schema` do, without the command line: so that the
 * cases of this folder need nothing above engine/config. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "config/pipeline.h"

#include <stdio.h>
#include <string.h>

#define EXIT_INVALID 2

static int validate(struct bk_registry *reg, const char *file)
{
    struct bk_diags *diags BK_CLEANUP(bk_diags_drop) = NULL;
    struct bk_pipeline *pipeline = NULL;
    struct bk_err err = {0};
    int rc = bk_diags_new(file, &diags, &err);
    if (rc == 0)
        rc = bk_pipeline_load(reg, file, BK_LOAD_ALL, diags, &pipeline, &err);
    if (diags)
        bk_diags_print(diags);
    if (rc < 0 && err.text[0])
        bk_log_err(&err);
    bk_pipeline_free(pipeline);
    return rc < 0 ? EXIT_INVALID : 0;
}

static int schema(struct bk_registry *reg)
{
    struct bk_buf text BK_CLEANUP(bk_buf_free) = BK_BUF_INIT;
    struct bk_err err = {0};
    json_t *json = NULL;
    int rc = bk_pipeline_schema(reg, &json, &err);
    if (rc == 0)
        rc = bk_json_text(json, 2, &text, &err);
    json_decref(json);
    if (rc < 0) {
        bk_log_err(&err);
        return 1;
    }
    return puts(text.data) < 0;
}

int main(int argc, char **argv)
{
    struct bk_registry *reg = NULL;
    struct bk_err err = {0};
    int status = EXIT_INVALID;
    if (bk_registry_new(&reg, &err) < 0)
        bk_log_err(&err);
    else if (argc == 3 && strcmp(argv[1], "validate") == 0)
        status = validate(reg, argv[2]);
    else if (argc == 2 && strcmp(argv[1], "schema") == 0)
        status = schema(reg);
    else
        (void)fprintf(stderr, "usage: %s validate FILE | schema\n", argv[0]);
    bk_registry_free(reg);
    bk_mask_forget();
    return status;
}
