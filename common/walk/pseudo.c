/* Which file systems are windows into the kernel: there is nothing in them to back up. */
#include "walk/walker.h"

#include <sys/vfs.h>

/* The numbers are the kernel's ABI; its headers name most of them, but not all. */
static const unsigned long pseudo_types[] = {
    0x9fa0,     /* proc */
    0x62656572, /* sysfs */
    0x27e0eb,   /* cgroup */
    0x63677270, /* cgroup2 */
    0x1cd1,     /* devpts */
    0x64626720, /* debugfs */
    0x74726163, /* tracefs */
    0x73636673, /* securityfs */
    0xf97cff8c, /* selinuxfs */
    0x43415d53, /* smackfs */
    0x6165676c, /* pstore */
    0xde5e81e4, /* efivarfs */
    0xcafe4a11, /* bpf */
    0x62656570, /* configfs */
    0x65735543, /* fusectl */
    0x42494e4d, /* binfmt_misc */
    0x19800202, /* mqueue */
    0x958458f6, /* hugetlbfs */
    0x67596969, /* rpc_pipefs */
    0x6e667364, /* nfsd */
    0x6e736673, /* namespaces */
    0x6c6f6f70, /* binder */
    0x7655821,  /* resctrl */
    0x0187,     /* autofs, not mounted */
    0xabba1974, /* xenfs */
};

bool bkc_walk_pseudo(int fd)
{
    struct statfs fs;
    if (fstatfs(fd, &fs) != 0)
        return false;
    unsigned long type = (unsigned long)fs.f_type & 0xffffffff; /* signed on some machines */
    for (size_t i = 0; i < sizeof(pseudo_types) / sizeof(pseudo_types[0]); i++)
        if (pseudo_types[i] == type)
            return true;
    return false;
}
