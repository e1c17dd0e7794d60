/* Others grow the memory, too: before the heap's first block, and between its growths. WebAssembly only. */
#include "check.h"

#include <unistd.h>

enum { PAGE = 65536 };

/* Runs before main, and before anything has asked the heap. */
__attribute__((constructor(101))) static void take_the_end_of_the_memory(void);

static unsigned char *early;

static void take_the_end_of_the_memory(void) {
    early = sbrk(2 * PAGE);
    fill(early, 2 * PAGE, 7);
}

static void growths_of_others_are_left_alone(void) {
    enum { COUNT = 40 };
    unsigned char *theirs[COUNT];
    void *ours[COUNT];
    for (int i = 0; i < COUNT; i++) {
        theirs[i] = sbrk((i % 3 + 1) * PAGE);
        fill(theirs[i], (size_t)(i % 3 + 1) * PAGE, (unsigned)i);
        ours[i] = malloc(50000 + (size_t)i * 1000);
        fill(ours[i], 50000 + (size_t)i * 1000, (unsigned)i + 100);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(is_filled(theirs[i], (size_t)(i % 3 + 1) * PAGE, (unsigned)i));
        CHECK(is_filled(ours[i], 50000 + (size_t)i * 1000, (unsigned)i + 100));
        free(ours[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(is_filled(theirs[i], (size_t)(i % 3 + 1) * PAGE, (unsigned)i));
    }
    CHECK(is_filled(early, 2 * PAGE, 7));
    check_heap();
}

int main(void) {
    growths_of_others_are_left_alone();
    return finish();
}
