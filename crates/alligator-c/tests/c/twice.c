/* The debug library sees a block that was given back twice. Nothing may use the heap after that: in
   the debug library only. */
#include "check.h"

int main(void) {
    void *block = malloc(100);
    CHECK(alligator_check());
    free(opaque(block));
    CHECK(alligator_check());
    free(opaque(block));
    CHECK(!alligator_check());
    return failures == 0 ? 0 : 1;
}
