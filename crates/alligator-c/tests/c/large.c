/* A heap of more than 2 GiB: sbrk's argument is signed, our growth is counted in pages. WebAssembly only. */
#include "check.h"

enum { BLOCKS = 3 };
static const size_t SIZE = (size_t)1000 << 20;

int main(void) {
    char *blocks[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(SIZE);
        CHECK(blocks[i] != NULL);
        if (blocks[i] != NULL) {
            blocks[i][0] = (char)i;
            blocks[i][SIZE - 1] = (char)(i + 1);
        }
    }
    CHECK(malloc(any(PTRDIFF_MAX)) == NULL);
    CHECK(__builtin_wasm_memory_size(0) > 45000);
    for (int i = 0; i < BLOCKS; i++) {
        CHECK(blocks[i][0] == (char)i && blocks[i][SIZE - 1] == (char)(i + 1));
        free(blocks[i]);
    }
    char *block = malloc(2000u << 20);
    CHECK(block != NULL);
    free(block);
    return finish();
}
