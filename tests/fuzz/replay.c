/* Feeds each file of the folders given to a fuzz target: for compilers without libFuzzer, and so
 * that what was once found is tried in every build. Needs nothing of the engine. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_BYTES ((long)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole file in memory of exactly its size, so that a sanitizer sees reads beyond the end. */
static uint8_t *read_file(FILE *f, size_t *ret_size)
{
    if (fseek(f, 0, SEEK_END) < 0)
        return NULL;
    long size = ftell(f);
    if (size < 0 || size > MAX_BYTES || fseek(f, 0, SEEK_SET) < 0)
        return NULL;
    uint8_t *data = malloc(size ? (size_t)size : 1);
    if (data && fread(data, 1, (size_t)size, f) != (size_t)size) {
        free(data);
        return NULL;
    }
    *ret_size = (size_t)size;
    return data;
}

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    size_t size = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "rbe");
    uint8_t *data = f ? read_file(f, &size) : NULL;
    if (f)
        (void)fclose(f);
    if (!data) {
        (void)fprintf(stderr, "cannot read '%s'\n", path);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

/* How many files were fed; -1: some could not be. */
static int replay_folder(const char *folder)
{
    int fed = 0;
    DIR *d = opendir(folder);
    if (!d) {
        perror(folder);
        return -1;
    }
    for (struct dirent *e; fed >= 0 && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] != '.')
            fed = replay_file(folder, e->d_name) < 0 ? -1 : fed + 1;
    }
    (void)closedir(d);
    return fed;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int fed = replay_folder(argv[i]);
        if (fed < 0)
            return 1;
        total += fed;
    }
    (void)printf("%d inputs\n", total);
    return total ? 0 : 1;
}
