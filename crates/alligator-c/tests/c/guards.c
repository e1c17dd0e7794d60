/* Guards: what happens in code that must not wait. */
#include "check.h"

enum { KINDS = 6 };

static const uint32_t KIND_BITS[KINDS] = {
    ALLIGATOR_GROW, ALLIGATOR_WAIT, ALLIGATOR_MOVE, ALLIGATOR_ALLOC, ALLIGATOR_FREE, ALLIGATOR_REALLOC,
};

static void names_agree(void) {
    CHECK(ALLIGATOR_KIND_GROW == 0 && ALLIGATOR_KIND_REALLOC == KINDS - 1);
    for (int kind = 0; kind < KINDS; kind++) {
        CHECK(KIND_BITS[kind] == 1u << kind);
    }
}

static uint32_t before[KINDS];

static void note_counts(void) {
    for (uint32_t kind = 0; kind < KINDS; kind++) {
        before[kind] = alligator_guard_count(kind);
    }
}

/* How often `kind` has happened since. */
static uint32_t count(uint32_t kind) { return alligator_guard_count(kind) - before[kind]; }

static void calls_are_counted_under_a_guard_only(void) {
    note_counts();
    uint64_t outer = alligator_guard((ALLIGATOR_ALLOC | ALLIGATOR_FREE) * ALLIGATOR_COUNT);
    void *block = malloc(40);
    CHECK(alligator_guard_last(0) == ALLIGATOR_KIND_ALLOC && alligator_guard_last(1) == 40);
    uint64_t inner = alligator_guard(ALLIGATOR_REALLOC * ALLIGATOR_COUNT);
    block = realloc(block, 41);
    alligator_unguard(inner);
    block = realloc(block, 3000);
    free(block);
    CHECK(alligator_guard_last(0) == ALLIGATOR_KIND_FREE && alligator_guard_last(1) >= 3000);
    void *others[] = {calloc(3, 30), aligned_alloc(64, 100), alligator_allocate(24, 8)};
    free(others[0]);
    free(others[1]);
    alligator_deallocate(others[2], 24, 8);
    alligator_unguard(outer);
    free(malloc(10));
    CHECK(count(ALLIGATOR_KIND_ALLOC) == 4);
    CHECK(count(ALLIGATOR_KIND_FREE) == 4);
    CHECK(count(ALLIGATOR_KIND_REALLOC) == 1);
    CHECK(count(ALLIGATOR_KIND_MOVE) == 0 && count(ALLIGATOR_KIND_WAIT) == 0);
    CHECK(alligator_guard_counts()[ALLIGATOR_KIND_ALLOC] == alligator_guard_count(ALLIGATOR_KIND_ALLOC));
    CHECK(alligator_guard_count(KINDS) == 0);
    CHECK(alligator_guard_last(5) == SIZE_MAX);
}

static void growth_is_counted(void) {
    note_counts();
    uint64_t guard = alligator_guard(ALLIGATOR_GROW * ALLIGATOR_COUNT);
    size_t bytes = alligator_heap_bytes();
    void *block = malloc(5 << 20);
    CHECK(block != NULL && alligator_heap_bytes() > bytes);
    CHECK(count(ALLIGATOR_KIND_GROW) == 1);
    CHECK(alligator_guard_last(0) == ALLIGATOR_KIND_GROW && alligator_guard_last(3) >= 16);
    free(block);
    block = malloc(5 << 20);
    CHECK(count(ALLIGATOR_KIND_GROW) == 1);
    free(block);
    alligator_unguard(guard);
}

static void growth_is_refused_and_the_heap_goes_on(void) {
    note_counts();
    uint64_t guard = alligator_guard(ALLIGATOR_GROW * ALLIGATOR_REFUSE);
    size_t bytes = alligator_heap_bytes();
    errno = 0;
    CHECK(malloc(40 << 20) == NULL && errno == ENOMEM);
    CHECK(count(ALLIGATOR_KIND_GROW) >= 1);
    CHECK(!alligator_reserve(40 << 20));
    CHECK(alligator_heap_bytes() == bytes);
    void *block = malloc(100);
    CHECK(block != NULL);
    CHECK(realloc(block, 40 << 20) == NULL);
    free(block);
    check_heap();
    alligator_unguard(guard);
    block = malloc(40 << 20);
    CHECK(block != NULL);
    free(block);
}

static void calls_are_refused(void) {
    void *block = malloc(10);
    fill(block, 10, 1);
    uint64_t guard = alligator_guard((ALLIGATOR_ALLOC | ALLIGATOR_REALLOC) * ALLIGATOR_REFUSE);
    errno = 0;
    CHECK(malloc(any(1)) == NULL && errno == ENOMEM);
    CHECK(calloc(any(1), 1) == NULL && alligator_allocate(8, 8) == NULL && aligned_alloc(64, any(64)) == NULL);
    CHECK(realloc(block, 4000) == NULL);
    CHECK(is_filled(block, 10, 1));
    free(block);
    alligator_unguard(guard);
}

static void moves_are_counted(void) {
    char *low = malloc(2000), *high = malloc(2000);
    note_counts();
    uint64_t guard = alligator_guard(ALLIGATOR_MOVE * ALLIGATOR_COUNT);
    char *moved = realloc(low, 9000);
    CHECK(count(ALLIGATOR_KIND_MOVE) == (moved != low));
    CHECK(moved != low);
    CHECK(alligator_guard_last(1) == 9000);
    CHECK(realloc(moved, 8990) == moved);
    CHECK(count(ALLIGATOR_KIND_MOVE) == 1);
    alligator_unguard(guard);
    free(moved);
    free(high);
}

static uint32_t told_kind, told_calls;
static size_t told_size, told_alignment, told_pages;

static void told(uint32_t kind, size_t size, size_t alignment, size_t pages) {
    told_calls++;
    told_kind = kind;
    told_size = size;
    told_alignment = alignment;
    told_pages = pages;
    free(malloc(10)); /* No event. */
}

static void a_function_is_called(void) {
    alligator_on_event(told);
    uint64_t guard = alligator_guard((ALLIGATOR_ALLOC | ALLIGATOR_FREE) * ALLIGATOR_CALL);
    void *block = malloc(50);
    CHECK(told_calls == 1 && told_kind == ALLIGATOR_KIND_ALLOC && told_size == 50 && told_alignment == 16);
    free(block);
    CHECK(told_calls == 2 && told_kind == ALLIGATOR_KIND_FREE && told_size >= 50);
    alligator_unguard(guard);
    guard = alligator_guard(ALLIGATOR_GROW * ALLIGATOR_CALL);
    CHECK(alligator_reserve(alligator_largest_free() * 2));
    CHECK(told_calls == 3 && told_kind == ALLIGATOR_KIND_GROW && told_pages > 0 && told_size == 0);
    block = malloc(alligator_heap_bytes());
    CHECK(block != NULL);
    CHECK(told_calls == 4 && told_kind == ALLIGATOR_KIND_GROW);
    alligator_on_event(NULL);
    free(block);
    alligator_unguard(guard);
    guard = alligator_guard(ALLIGATOR_ALLOC * ALLIGATOR_CALL);
    free(malloc(10));
    alligator_unguard(guard);
    CHECK(told_calls == 4);
}

static void a_scope_is_under_guards(void) {
    alligator_scope *scope = alligator_scope_new(0);
    CHECK(alligator_scope_reserve(scope, 1000));
    note_counts();
    uint64_t guard = alligator_guard((ALLIGATOR_ALLOC | ALLIGATOR_FREE) * ALLIGATOR_COUNT);
    CHECK(alligator_scope_alloc(scope, 1000) != NULL);
    CHECK(count(ALLIGATOR_KIND_ALLOC) == 0); /* The heap is not asked. */
    CHECK(alligator_scope_alloc(scope, 5000) != NULL);
    CHECK(count(ALLIGATOR_KIND_ALLOC) == 1);
    alligator_scope_reset(scope);
    CHECK(count(ALLIGATOR_KIND_FREE) == 2);
    alligator_unguard(guard);
    alligator_scope_free(scope);
}

int main(void) {
    CHECK(alligator_guard_last(0) == SIZE_MAX);
    names_agree();
    growth_is_counted();
    growth_is_refused_and_the_heap_goes_on();
    calls_are_counted_under_a_guard_only();
    calls_are_refused();
    moves_are_counted();
    a_function_is_called();
    a_scope_is_under_guards();
    return finish();
}
