/* How large blocks are: usable sizes, zero sizes, and the C23 functions that are told the size. */
#include "check.h"

#include <malloc.h>

static void all_usable_bytes_can_be_used(void) {
    enum { COUNT = 400 };
    static void *blocks[COUNT];
    static size_t usable[COUNT];
    for (int i = 0; i < COUNT; i++) {
        size_t size = (size_t)i * (size_t)i / 3;
        blocks[i] = malloc(size);
        usable[i] = malloc_usable_size(blocks[i]);
        CHECK(usable[i] >= size);
        fill(blocks[i], usable[i], (unsigned)i);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(is_filled(blocks[i], usable[i], (unsigned)i));
        CHECK(malloc_usable_size(blocks[i]) == usable[i]);
        free(blocks[i]);
    }
    check_heap();
}

static void no_block_has_no_usable_size(void) { CHECK(malloc_usable_size(NULL) == 0); }

static void a_resize_to_the_usable_size_stays(void) {
    for (size_t size = 1; size < 100000; size = size * 2 + 3) {
        void *block = malloc(size);
        void *before = opaque(block);
        block = realloc(block, malloc_usable_size(block));
        CHECK(block == before);
        free(block);
    }
}

static void blocks_of_no_bytes_are_different(void) {
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = opaque(i % 2 == 0 ? malloc(any(0)) : calloc(any(0), any(5)));
        CHECK(blocks[i] != NULL);
        for (int j = 0; j < i; j++) {
            CHECK(blocks[i] != blocks[j]);
        }
    }
    for (int i = 0; i < 100; i++) {
        free(blocks[i]);
    }
}

static void null_can_be_freed(void) {
    free(opaque(NULL));
    CHECK(true);
}

#ifndef TEST_C_LIBRARY_MALLOC
static void sized_frees_take_all_blocks(void) {
    for (size_t size = 0; size < 20000; size += 111) {
        free_sized(malloc(size), size);
        free_sized(realloc(malloc(size), size + 50), size + 50);
        free_aligned_sized(aligned_alloc(64, size), 64, size);
        free_aligned_sized(aligned_alloc(8192, size), 8192, size);
    }
    free_sized(NULL, 0);
    free_aligned_sized(NULL, 0, 0);
    check_heap();
}

static void the_c_librarys_own_names_are_here(void) {
    void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);
    void __libc_free(void *);
    void *block = __libc_malloc(10);
    CHECK(block != NULL);
    block = realloc(block, 100);
    __libc_free(block);
    block = __libc_calloc(10, 10);
    CHECK(is_zero(block, 100));
    free(block);
}
#endif

int main(void) {
    all_usable_bytes_can_be_used();
    no_block_has_no_usable_size();
#ifndef TEST_C_LIBRARY_MALLOC
    a_resize_to_the_usable_size_stays();
    sized_frees_take_all_blocks();
    the_c_librarys_own_names_are_here();
#endif
    (void)a_resize_to_the_usable_size_stays;
    blocks_of_no_bytes_are_different();
    null_can_be_freed();
    return finish();
}
