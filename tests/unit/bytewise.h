/* For the tests' own loops over bytes: ThreadSanitizer need not look at each. */
#ifndef BYTEWISE_H
#define BYTEWISE_H

#define BYTEWISE __attribute__((no_sanitize("thread")))

#endif
