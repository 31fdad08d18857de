/* Must not compile with -Werror, nor as C++: the member is an int, the option stores an int64_t. */
#include <bakengine/plugin.h>

struct config {
    int number;
};

extern const struct bake_option wrong;
const struct bake_option wrong = {
    "number", BAKE_T_INT, 0,          BAKE_MEMBER(struct config, number, int64_t), "1", 0,
    0,        0,          "A number."};
