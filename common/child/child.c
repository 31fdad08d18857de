/* See child.h. */
#include "child/child.h"
