/* The functions under names of our own. */
#include "check.h"

static size_t hook_calls, hook_pages;

static void hook(size_t pages) {
    hook_calls++;
    hook_pages = pages;
}

static void the_hook_hears_of_growths(void) {
    alligator_on_growth(hook);
    void *block = malloc(1 << 20);
    CHECK(block != NULL);
    CHECK(hook_calls == 1);
    size_t pages = hook_pages;
#ifdef __wasm__
    CHECK(pages == __builtin_wasm_memory_size(0));
#endif
    alligator_on_growth(NULL);
    void *other = malloc(2 << 20);
    CHECK(other != NULL);
    CHECK(hook_calls == 1);
    alligator_on_growth(hook);
    free(other);
    free(block);
    block = malloc(1 << 20);
    CHECK(hook_calls == 1);
    free(block);
}

static void what_is_reserved_needs_no_growth(void) {
    alligator_grow_on_demand(false);
    size_t before = hook_calls;
    CHECK(malloc(32 << 20) == NULL);
    CHECK(hook_calls == before);
    CHECK(alligator_reserve(32 << 20));
    CHECK(hook_calls == before + 1);
    void *block = malloc(32 << 20);
    CHECK(block != NULL);
    CHECK(hook_calls == before + 1);
    free(block);
    CHECK(!alligator_reserve(any(SIZE_MAX)));
    alligator_grow_on_demand(true);
}

static void a_limit_holds(void) {
    alligator_limit((hook_pages + 16) * 65536);
    CHECK(malloc(any(64 << 20)) == NULL);
    CHECK(errno == ENOMEM);
    CHECK(!alligator_reserve(64 << 20));
    alligator_limit(0);
    void *block = malloc(64 << 20);
    CHECK(block != NULL);
    free(block);
}

static void what_sizes_keep_is_given_back(void) {
    enum { COUNT = 64 };
    void *blocks[COUNT];
    while (!alligator_trim(1)) {
    }
    size_t before = alligator_heap_bytes();
    size_t room = alligator_largest_free();
    CHECK(before >= room && room >= 32 << 20);
    void *block = malloc(room);
    CHECK(block != NULL);
    CHECK(alligator_heap_bytes() == before);
    free(block);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1000);
    }
    CHECK(alligator_largest_free() < room);
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
    size_t kept = alligator_largest_free();
    int calls = 1;
    while (!alligator_trim(5)) {
        calls++;
    }
    /* The turn comes back to the first of 24 sizes by fives with the 24th call. */
    CHECK(calls == 24);
    CHECK(alligator_largest_free() >= kept);
    CHECK(alligator_largest_free() == room);
    CHECK(alligator_trim(any(SIZE_MAX)));
    CHECK(alligator_heap_bytes() == before);
}

static void blocks_with_layouts_are_of_the_same_heap(void) {
    for (size_t alignment = 1; alignment <= 8192; alignment *= 2) {
        for (size_t size = 1; size < 10000; size = size * 2 + 5) {
            void *block = alligator_allocate(size, alignment);
            CHECK(is_aligned(block, alignment));
            fill(block, size, 1);
            block = alligator_reallocate(block, size, alignment, size * 2);
            CHECK(is_aligned(block, alignment));
            CHECK(is_filled(block, size, 1));
            alligator_deallocate(block, size * 2, alignment);
            block = alligator_allocate_zeroed(size, alignment);
            CHECK(is_zero(block, size));
            free(block);
            block = alligator_allocate(size, alignment);
            fill(block, size, 2);
            if (alignment >= 16) {
                block = realloc(block, size + 100);
                CHECK(is_filled(block, size, 2));
            }
            free(block);
        }
        check_heap();
    }
}

#ifdef TEST_DEBUG
static void everything_is_counted(void) {
    alligator_stats before, after;
    alligator_get_stats(&before);
    void *small = malloc(100), *large = malloc(100000), *zero = calloc(3, 50);
    alligator_get_stats(&after);
    CHECK(after.allocations == before.allocations + 3);
    CHECK(after.live_bytes >= before.live_bytes + 100250);
    CHECK(after.peak_bytes >= after.live_bytes);
    CHECK(after.heap_bytes >= after.live_bytes);
    CHECK(after.growths > 0 && after.grown_pages >= after.growths);
    small = realloc(small, 5000);
    free(small);
    free(large);
    free(zero);
    alligator_get_stats(&after);
    CHECK(after.frees >= before.frees + 3);
    CHECK(after.frees - before.frees == after.allocations - before.allocations);
    CHECK(after.live_bytes == before.live_bytes);
    CHECK(after.reallocations == before.reallocations + 1);
    CHECK(after.moves == before.moves + 1);
    CHECK(after.failures > 0);
}
#endif

int main(void) {
    void *first = malloc(1); /* So that the spare memory is taken in before growths are counted. */
    CHECK(first != NULL);
    the_hook_hears_of_growths();
    what_is_reserved_needs_no_growth();
    a_limit_holds();
    what_sizes_keep_is_given_back();
    blocks_with_layouts_are_of_the_same_heap();
#ifdef TEST_DEBUG
    everything_is_counted();
#endif
    free(first);
    return finish();
}
