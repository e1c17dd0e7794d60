/* Threads that share one heap, in a module without a C library: threads.mjs starts them. */
#include "alligator.h"

/* What a C library has. */
_Thread_local int errno;
int *__errno_location(void) { return &errno; }

enum { BLOCKS = 64, STEPS = 60000 };

static int is_filled(const unsigned char *block, unsigned size, unsigned char with) {
    for (unsigned i = 0; i < size; i++) {
        if (block[i] != with) {
            return 0;
        }
    }
    return 1;
}

/* Allocates, fills, looks and frees; every byte of every block says whose it is. Returns what went wrong. */
__attribute__((export_name("run"))) int run(unsigned thread) {
    unsigned char *blocks[BLOCKS] = {0};
    unsigned sizes[BLOCKS] = {0};
    unsigned state = thread * 2654435761u + 1;
    for (int step = 0; step < STEPS; step++) {
        state = state * 1664525u + 1013904223u;
        unsigned at = state >> 26, size = (state >> 8) % 200 + (step % 50 == 0 ? 9000 : 0);
        if (blocks[at] != 0 && !is_filled(blocks[at], sizes[at], (unsigned char)(thread + at))) {
            return 1;
        }
        if (step % 3 == 0) {
            blocks[at] = realloc(blocks[at], size);
        } else {
            free(blocks[at]);
            blocks[at] = malloc(size);
        }
        if (blocks[at] == 0) {
            return 2;
        }
        sizes[at] = size;
        for (unsigned i = 0; i < size; i++) {
            blocks[at][i] = (unsigned char)(thread + at);
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
    return malloc((size_t)-1) == 0 && errno == 48 ? 0 : 3;
}

__attribute__((export_name("check"))) int check(void) { return alligator_check() ? 0 : 4; }
