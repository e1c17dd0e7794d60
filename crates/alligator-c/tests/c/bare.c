/* A module without a C library: nothing but the compiler, the linker and liballigator.a. Exports one function,
   which returns 0 if all is well. */
#include "alligator.h"

__attribute__((export_name("run"))) int run(void) {
    for (unsigned size = 0; size < 5000; size += 7) {
        unsigned char *block = malloc(size + 1);
        if (block == NULL) {
            return 1;
        }
        block[size] = (unsigned char)size;
        block = realloc(block, 2 * size + 1);
        if (block == NULL || block[size] != (unsigned char)size) {
            return 2;
        }
        free(block);
        block = calloc(size + 1, 1);
        if (block == NULL || block[size] != 0) {
            return 3;
        }
        free(block);
    }
    return malloc((size_t)-1) == NULL ? 0 : 4;
}
