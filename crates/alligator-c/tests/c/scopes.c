/* Scopes: blocks that go back together. */
#include "check.h"

static void blocks_are_apart_and_keep_what_is_written(void) {
    enum { COUNT = 500 };
    alligator_scope *scope = alligator_scope_new(0);
    CHECK(scope != NULL);
    void *blocks[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        blocks[i] = alligator_scope_alloc(scope, i * 7);
        CHECK(blocks[i] != NULL && is_aligned(blocks[i], 16));
        CHECK(i == 0 || blocks[i] != blocks[i - 1]);
        fill(blocks[i], i * 7, i);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        CHECK(is_filled(blocks[i], i * 7, i));
    }
    check_heap();
    alligator_scope_free(scope);
    alligator_scope_free(NULL);
}

static void everything_goes_back_to_the_heap(void) {
    alligator_reserve(4 << 20);
    alligator_trim(any(SIZE_MAX));
    size_t room = alligator_largest_free();
    alligator_scope *scope = alligator_scope_new(0);
    for (int round = 0; round < 100; round++) {
        for (unsigned i = 0; i < 100; i++) {
            CHECK(alligator_scope_alloc(scope, random_below(10000)) != NULL);
        }
        CHECK(alligator_largest_free() < room);
        alligator_scope_reset(scope);
        check_heap();
    }
    CHECK(alligator_scope_alloc(scope, 1 << 20) != NULL);
    alligator_scope_free(scope);
    alligator_trim(any(SIZE_MAX));
    CHECK(alligator_largest_free() == room);
}

static void a_mark_keeps_what_is_older(void) {
    alligator_scope *scope = alligator_scope_new(0);
    CHECK(alligator_scope_reserve(scope, 5000));
    char *old = alligator_scope_alloc(scope, 1000);
    fill(old, 1000, 1);
    alligator_mark mark;
    alligator_scope_mark(scope, &mark);
    char *first = alligator_scope_alloc(scope, 1000);
    CHECK(first == old + 1008); /* The next multiple of 16. */
    for (int round = 0; round < 50; round++) {
        size_t before = alligator_largest_free();
        CHECK(alligator_scope_alloc(scope, 1000) != NULL);
        for (unsigned i = 0; i < 20; i++) {
            fill(alligator_scope_alloc(scope, 5000), 5000, i);
        }
        alligator_scope_rewind(scope, &mark);
        alligator_trim(any(SIZE_MAX));
        CHECK(alligator_largest_free() >= before);
        CHECK(alligator_scope_alloc(scope, 1000) == first);
        CHECK(is_filled(old, 1000, 1));
        check_heap();
    }
    alligator_scope_reset(scope);
    alligator_scope_rewind(scope, &mark); /* Stale: nothing is there. */
    CHECK(alligator_scope_alloc(scope, 10) != NULL);
    alligator_scope_free(scope);
}

static void what_is_reserved_asks_the_heap_for_nothing(void) {
    alligator_scope *scope = alligator_scope_new(0);
    CHECK(alligator_scope_reserve(scope, 64 << 10));
    alligator_trim(any(SIZE_MAX));
    size_t room = alligator_largest_free();
    for (unsigned i = 0; i < 64; i++) {
        CHECK(alligator_scope_alloc(scope, 1 << 10) != NULL);
    }
    CHECK(alligator_largest_free() == room);
    alligator_scope_free(scope);
}

static void there_is_an_end(void) {
    alligator_scope *scope = alligator_scope_new(10000);
    CHECK(alligator_scope_alloc(scope, 9000) != NULL);
    errno = 0;
    CHECK(alligator_scope_alloc(scope, 9000) == NULL && errno == ENOMEM);
    CHECK(!alligator_scope_reserve(scope, 9000));
    alligator_scope_reset(scope);
    CHECK(alligator_scope_alloc(scope, 9000) != NULL);
    alligator_scope_free(scope);
    scope = alligator_scope_new(0);
    errno = 0;
    CHECK(alligator_scope_alloc(scope, any(SIZE_MAX)) == NULL && errno == ENOMEM);
    CHECK(alligator_scope_alloc(scope, any(SIZE_MAX / 2)) == NULL);
    CHECK(alligator_scope_alloc(scope, 10) != NULL);
    alligator_scope_free(scope);
}

int main(void) {
    blocks_are_apart_and_keep_what_is_written();
    everything_goes_back_to_the_heap();
    a_mark_keeps_what_is_older();
    what_is_reserved_asks_the_heap_for_nothing();
    there_is_an_end();
    return finish();
}
