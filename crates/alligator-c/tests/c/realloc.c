/* What realloc keeps, and when it moves. */
#include "check.h"

static void null_asks_for_a_new_block(void) {
    void *block = realloc(opaque(NULL), 100);
    CHECK(block != NULL);
    fill(block, 100, 1);
    free(block);
}

static void zero_bytes_leave_a_block(void) {
    void *block = malloc(100);
    block = realloc(block, any(0));
    CHECK(block != NULL);
    free(block);
}

static void bytes_are_kept(void) {
    static const size_t sizes[] = {1,    15,   16,   17,    100,   500,   1023,  1024,
                                   1025, 3000, 4096, 20000, 65536, 70000, 300000};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    for (int from = 0; from < COUNT; from++) {
        for (int to = 0; to < COUNT; to++) {
            size_t least = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
            void *block = malloc(sizes[from]);
            void *neighbour = malloc(sizes[from]);
            fill(block, sizes[from], 3);
            fill(neighbour, sizes[from], 4);
            block = realloc(block, sizes[to]);
            CHECK(is_filled(block, least, 3));
            CHECK(is_filled(neighbour, sizes[from], 4));
            fill(block, sizes[to], 5);
            CHECK(is_filled(neighbour, sizes[from], 4));
            check_heap();
            free(neighbour);
            free(block);
        }
    }
}

static void a_block_grows_byte_by_byte(void) {
    unsigned char *block = NULL;
    for (size_t size = 1; size <= 5000; size++) {
        block = realloc(block, size);
        CHECK(is_aligned(block, 16));
        block[size - 1] = (unsigned char)(size * 11);
    }
    for (size_t size = 1; size <= 5000; size++) {
        CHECK(block[size - 1] == (unsigned char)(size * 11));
    }
    for (size_t size = 5000; size >= 1; size--) {
        block = realloc(block, size);
        CHECK(block[size - 1] == (unsigned char)(size * 11));
    }
    free(block);
}

static void reallocarray_multiplies(void) {
    int *numbers = NULL;
    for (size_t count = 1; count < 1000; count++) {
        numbers = reallocarray(numbers, count, sizeof numbers[0]);
        CHECK(numbers != NULL);
        numbers[count - 1] = (int)count;
    }
    for (size_t count = 1; count < 1000; count++) {
        CHECK(numbers[count - 1] == (int)count);
    }
    errno = 0;
    CHECK(reallocarray(numbers, any(SIZE_MAX / 2), 3) == NULL);
    CHECK(errno == ENOMEM);
    CHECK(numbers[998] == 999);
    free(numbers);
}

static void too_much_leaves_the_block(void) {
    char *block = malloc(100);
    fill(block, 100, 9);
#ifndef TEST_C_LIBRARY_MALLOC
    errno = 0;
    CHECK(realloc(block, any(PTRDIFF_MAX)) == NULL);
    CHECK(errno == ENOMEM);
#endif
    errno = 0;
    CHECK(realloc(block, any(SIZE_MAX)) == NULL);
    CHECK(errno == ENOMEM);
    CHECK(is_filled(block, 100, 9));
    free(block);
}

int main(void) {
    null_asks_for_a_new_block();
    zero_bytes_leave_a_block();
    bytes_are_kept();
    a_block_grows_byte_by_byte();
    reallocarray_multiplies();
    too_much_leaves_the_block();
    return finish();
}
