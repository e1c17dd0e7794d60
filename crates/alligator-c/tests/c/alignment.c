/* Where blocks start. */
#include "check.h"

#include <malloc.h>

static void malloc_aligns_to_max_align_t(void) {
    void *blocks[3000];
    for (size_t size = 0; size < 3000; size++) {
        blocks[size] = malloc(size);
        CHECK(blocks[size] != NULL);
        CHECK(is_aligned(blocks[size], 16));
        CHECK(is_aligned(blocks[size], _Alignof(max_align_t)));
        fill(blocks[size], size, (unsigned)size);
    }
    for (size_t size = 0; size < 3000; size++) {
        CHECK(is_filled(blocks[size], size, (unsigned)size));
        free(blocks[size]);
    }
    check_heap();
}

static void calloc_and_realloc_align_too(void) {
    for (size_t size = 1; size < 5000; size += 37) {
        void *block = calloc(size, 1);
        CHECK(is_aligned(block, 16));
        block = realloc(block, size * 3);
        CHECK(is_aligned(block, 16));
        free(block);
    }
}

static void every_alignment_holds_for_every_size(void) {
    static const size_t sizes[] = {0, 1, 8, 16, 24, 100, 512, 1000, 1024, 1025, 4096, 10000, 70000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    for (size_t alignment = 1; alignment <= 1 << 18; alignment *= 2) {
        void *blocks[COUNT];
        for (int i = 0; i < COUNT; i++) {
            blocks[i] = aligned_alloc(alignment, sizes[i]);
            CHECK(blocks[i] != NULL);
            CHECK(is_aligned(blocks[i], alignment));
            CHECK(is_aligned(blocks[i], 16));
            fill(blocks[i], sizes[i], (unsigned)i);
        }
        check_heap();
        for (int i = 0; i < COUNT; i++) {
            CHECK(is_filled(blocks[i], sizes[i], (unsigned)i));
            CHECK(malloc_usable_size(blocks[i]) >= sizes[i]);
            free(blocks[i]);
        }
        check_heap();
    }
}

static void posix_memalign_stores_the_block(void) {
    for (size_t alignment = sizeof(void *); alignment <= 65536; alignment *= 2) {
        void *block = NULL;
        CHECK(posix_memalign(&block, alignment, 123) == 0);
        CHECK(is_aligned(block, alignment));
        fill(block, 123, 5);
        block = realloc(block, 5000);
        CHECK(is_filled(block, 123, 5));
        free(block);
    }
}

static void aligned_blocks_can_be_resized(void) {
    for (size_t alignment = 16; alignment <= 65536; alignment *= 2) {
        for (size_t size = 1; size < 200000; size = size * 3 + 1) {
            char *block = aligned_alloc(alignment, size);
            fill(block, size, 1);
            block = realloc(block, size * 2 + 1);
            CHECK(is_filled(block, size, 1));
            fill(block, size * 2 + 1, 2);
            block = realloc(block, size / 2 + 1);
            CHECK(is_filled(block, size / 2 + 1, 2));
            check_heap();
            free(block);
        }
    }
}

#ifndef TEST_C_LIBRARY_MALLOC
static void memalign_takes_any_alignment(void) {
    for (size_t alignment = 0; alignment < 5000; alignment += 13) {
        void *block = memalign(alignment, 50);
        CHECK(block != NULL);
        while (alignment != 0 && !is_aligned(block, alignment & -alignment)) {
            CHECK(false);
            break;
        }
        free(block);
    }
    void *block = memalign(any(3000), 10);
    CHECK(is_aligned(block, 4096));
    free(block);
    block = valloc(10);
    CHECK(is_aligned(block, 4096));
    free(block);
}
#endif

int main(void) {
    malloc_aligns_to_max_align_t();
    calloc_and_realloc_align_too();
    every_alignment_holds_for_every_size();
    posix_memalign_stores_the_block();
    aligned_blocks_can_be_resized();
#ifndef TEST_C_LIBRARY_MALLOC
    memalign_takes_any_alignment();
#endif
    return finish();
}
