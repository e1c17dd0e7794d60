/* Producers and consumers: threads of pthreads, of which some allocate what others resize and free. The exit status is 0 if
   every message came as it was sent, and `errno` was right in each thread. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alligator.h"

enum { PRODUCERS = 2, CONSUMERS = 2, MESSAGES = 50000, PLACES = 64 };

struct message {
    size_t size;
    unsigned char mark;
    unsigned char bytes[];
};

/* A queue of bounded length. */
static struct message *places[PLACES];
static unsigned first, count, producing = PRODUCERS;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;

static void put(struct message *message) {
    pthread_mutex_lock(&lock);
    while (count == PLACES) {
        pthread_cond_wait(&not_full, &lock);
    }
    places[(first + count++) % PLACES] = message;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&lock);
}

/* The next message, or NULL if no more will come. */
static struct message *take(void) {
    pthread_mutex_lock(&lock);
    while (count == 0 && producing > 0) {
        pthread_cond_wait(&not_empty, &lock);
    }
    struct message *message = NULL;
    if (count > 0) {
        message = places[first];
        first = (first + 1) % PLACES;
        count--;
        pthread_cond_signal(&not_full);
    }
    pthread_mutex_unlock(&lock);
    return message;
}

static void end_producing(void) {
    pthread_mutex_lock(&lock);
    producing--;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&lock);
}

/* errno as it is. Compilers know what malloc does, and take it not to set errno, whoever's malloc it is. */
static int error_now(void) { return *(volatile int *)&errno; }

/* Whether a request is refused with this error. Nor do they keep blocks that nobody uses. */
static int is_refused(void *volatile block, int error) {
    int is_right = block == NULL && error_now() == error;
    free(block);
    errno = 0;
    return is_right;
}

/* What errors say: this thread's errno is set, and no other's. */
static uintptr_t wrong_errors(void) {
    volatile size_t three = 3, most = SIZE_MAX;
    errno = 0;
    uintptr_t wrong = !is_refused(malloc(most - 64), ENOMEM);
    wrong += !is_refused(calloc(most / 2, 4), ENOMEM);
    wrong += !is_refused(aligned_alloc(three, 16), EINVAL);
    void *volatile block = malloc(100);
    errno = EDOM;
    free(block);
    wrong += block == NULL || error_now() != EDOM;
    return wrong;
}

static void *produce(void *argument) {
    uintptr_t wrong = 0;
    uint32_t random = (uint32_t)(uintptr_t)argument * 2654435761u | 1;
    errno = ERANGE; /* Nobody else's failures change it. */
    for (int n = 0; n < MESSAGES; n++) {
        random = random * 1664525u + 1013904223u;
        size_t size = 1 + (random >> 8) % (n % 100 == 0 ? 20000 : 300);
        struct message *message = malloc(sizeof *message + size);
        if (message == NULL) {
            wrong++;
            continue;
        }
        message->size = size;
        message->mark = (unsigned char)(random >> 24);
        memset(message->bytes, message->mark, size);
        put(message);
    }
    wrong += error_now() != ERANGE;
    wrong += wrong_errors();
    end_producing();
    return (void *)wrong;
}

static int is_filled(const struct message *message) {
    for (size_t i = 0; i < message->size; i++) {
        if (message->bytes[i] != message->mark) {
            return 0;
        }
    }
    return 1;
}

static unsigned consumed;

static void *consume(void *argument) {
    (void)argument;
    uintptr_t wrong = wrong_errors();
    unsigned mine = 0;
    for (struct message *message; (message = take()) != NULL; mine++) {
        wrong += !is_filled(message);
        if (mine % 4 == 0) {
            struct message *longer = realloc(message, sizeof *message + message->size + 500);
            if (longer != NULL) {
                message = longer;
            }
            wrong += longer == NULL || !is_filled(message);
        }
        if (mine % 256 == 0) {
            wrong += wrong_errors();
        }
        free(message);
    }
    pthread_mutex_lock(&lock);
    consumed += mine;
    pthread_mutex_unlock(&lock);
    return (void *)wrong;
}

int main(void) {
    /* Before the threads start: see docs/threads.md. */
    if (!alligator_reserve(16 << 20)) {
        return 2;
    }
    size_t before = alligator_heap_bytes();
    pthread_t threads[PRODUCERS + CONSUMERS];
    for (uintptr_t n = 0; n < PRODUCERS + CONSUMERS; n++) {
        int error = pthread_create(&threads[n], NULL, n < PRODUCERS ? produce : consume, (void *)(n + 1));
        if (error != 0) {
            fprintf(stderr, "no thread: %s\n", strerror(error));
            return 3;
        }
    }
    uintptr_t wrong = 0;
    for (int n = 0; n < PRODUCERS + CONSUMERS; n++) {
        void *of_thread;
        wrong += pthread_join(threads[n], &of_thread) != 0;
        wrong += (uintptr_t)of_thread;
    }
    printf("%u messages, %lu wrong, %lu more bytes of heap\n", consumed, (unsigned long)wrong,
           (unsigned long)(alligator_heap_bytes() - before));
    return wrong == 0 && consumed == PRODUCERS * MESSAGES ? 0 : 1;
}
