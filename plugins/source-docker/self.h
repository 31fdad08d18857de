/* The inside of self.c and owner.c: what /proc says of this process, apart for tests. */
#ifndef DOCKER_SELF_H
#define DOCKER_SELF_H

#include <jansson.h>
#include <stdbool.h>

#define DK_ID_SIZE   65
#define DK_FILE_SIZE 512

bool dk_self_from_mount(const char *line, char id[DK_ID_SIZE], char file[DK_FILE_SIZE]);
bool dk_self_from_cgroup(const char *line, char id[DK_ID_SIZE]);
/* When a process began, in ticks since the boot, out of /proc/PID/stat; 0: it is none. */
unsigned long long dk_self_begin(const char *stat);

/* What is known of a process from what it and we wrote down. */
enum dk_fate { DK_FATE_ALIVE, DK_FATE_DEAD, DK_FATE_UNKNOWN, DK_FATE_ASK /* its container */ };
/* begin_of: when the process of that number began, here; 0: there is none. */
enum dk_fate dk_owner_fate(const json_t *owner, const json_t *own,
                           unsigned long long (*begin_of)(long pid));

#endif
