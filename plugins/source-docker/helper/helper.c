/* The program of the helper container: carries out one order of place_fs.h below /m, where a
 * directory of the daemon's host is mounted, and leaves the answer in /answer. It is linked
 * statically, as the image has nothing else. */
#include "place_fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT   "/m"
#define ANSWER "/answer"

enum { GOOD = 0, MISUSE = 64, NO_ANSWER = 74 };

static int leave_answer(const struct dk_fs_answer *a)
{
    char text[400];
    size_t n = dk_fs_answer_print(a, text, sizeof(text)), at = 0;
    int fd = n ? open(ANSWER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;

    while (fd >= 0 && at < n) {
        ssize_t got = write(fd, text + at, n - at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        at += (size_t)got;
    }
    return fd >= 0 && close(fd) == 0 && at == n ? GOOD : NO_ANSWER;
}

int main(int argc, char **argv)
{
    struct dk_fs_order order;
    struct dk_fs_answer answer;
    int root;

    if (argc != 1 + DK_FS_ARGS || !dk_fs_order_parse(argv + 1, &order))
        return MISUSE;
    root = open(ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        memset(&answer, 0, sizeof(answer));
        answer.error = errno;
        return leave_answer(&answer);
    }
    dk_fs_do(root, &order, &answer);
    (void)close(root);
    return leave_answer(&answer);
}
