/* Which errors are reported, and how. */
#include "check.h"

static void impossible_sizes_are_refused(void) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 70000, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        errno = 0;
        CHECK(opaque(malloc(any(sizes[i]))) == NULL);
        CHECK(errno == ENOMEM);
        errno = 0;
        CHECK(opaque(calloc(any(sizes[i]), 1)) == NULL);
        CHECK(errno == ENOMEM);
        errno = 0;
        CHECK(opaque(aligned_alloc(64, any(sizes[i]))) == NULL);
        CHECK(errno == ENOMEM);
        void *block = &errno;
        errno = 0;
        CHECK(posix_memalign(&block, 64, any(sizes[i])) == ENOMEM);
        CHECK(block == &errno);
    }
}

static void calloc_sees_overflow(void) {
    static const size_t pairs[][2] = {
        {SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX / 2 + 1, 2}, {(size_t)1 << (sizeof(size_t) * 4), SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        errno = 0;
        CHECK(opaque(calloc(any(pairs[i][0]), any(pairs[i][1]))) == NULL);
        CHECK(errno == ENOMEM);
    }
    void *block = calloc(any(0), any(SIZE_MAX));
    CHECK(block != NULL);
    free(block);
}

static void posix_memalign_refuses_odd_alignments(void) {
    static const size_t alignments[] = {0, 1, 2, 3, 5, 12, 24, 1000};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        void *block = &errno;
        errno = 77;
        CHECK(posix_memalign(&block, any(alignments[i]), 8) == EINVAL);
        CHECK(block == &errno);
        CHECK(errno == 77);
    }
}

static void success_leaves_errno(void) {
    errno = 77;
    void *block = malloc(10);
    block = realloc(block, 10000);
    free(block);
    free(calloc(3, 5));
    free(aligned_alloc(32, 5));
    free(NULL);
    CHECK(errno == 77);
    errno = 0;
}

#ifndef TEST_C_LIBRARY_MALLOC
static void aligned_alloc_refuses_what_is_no_power_of_two(void) {
    static const size_t alignments[] = {0, 3, 5, 24, 1000};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        errno = 0;
        CHECK(aligned_alloc(any(alignments[i]), 8) == NULL);
        CHECK(errno == EINVAL);
    }
    errno = 0;
    CHECK(aligned_alloc(any((size_t)1 << (sizeof(size_t) * 8 - 1)), 8) == NULL);
    CHECK(errno == ENOMEM);
}

/* Growth is off in turn, so that the rest of the program has a heap. */
static void what_the_host_refuses_is_no_memory(void) {
    alligator_grow_on_demand(false);
    enum { BLOCK = 1000, COUNT = 20000 };
    static void *blocks[COUNT];
    int count = 0;
    errno = 0;
    while (count < COUNT && (blocks[count] = malloc(BLOCK)) != NULL) {
        fill(blocks[count], BLOCK, (unsigned)count);
        count++;
    }
    CHECK(count < COUNT);
    CHECK(errno == ENOMEM);
    errno = 0;
    CHECK(calloc(1, BLOCK) == NULL && errno == ENOMEM);
    void *block;
    CHECK(posix_memalign(&block, 64, 70000) == ENOMEM);
    if (count > 0) {
        errno = 0;
        CHECK(realloc(blocks[0], 70000) == NULL && errno == ENOMEM);
        CHECK(is_filled(blocks[0], BLOCK, 0));
        void *smaller = realloc(blocks[0], 10);
        CHECK(smaller != NULL && is_filled(smaller, 10, 0));
        blocks[0] = smaller;
    }
    for (int i = 0; i < count; i++) {
        CHECK(is_filled(blocks[i], i == 0 ? 10 : BLOCK, (unsigned)i));
        free(blocks[i]);
    }
    check_heap();
    alligator_grow_on_demand(true);
}
#endif

int main(void) {
    impossible_sizes_are_refused();
    calloc_sees_overflow();
    posix_memalign_refuses_odd_alignments();
    success_leaves_errno();
#ifndef TEST_C_LIBRARY_MALLOC
    aligned_alloc_refuses_what_is_no_power_of_two();
    what_the_host_refuses_is_no_memory();
#endif
    return finish();
}
