/* A C program with a part in Rust: what one allocates, the other may give back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alligator.h"

char *sorted_words(const char *text);
size_t push_numbers(size_t count);

int main(void) {
    alligator_stats before, after;
    alligator_get_stats(&before);
    char *sorted = sorted_words("two languages and one heap");
    puts(sorted);
    free(sorted);
    printf("%zu numbers\n", push_numbers(100000));
    alligator_get_stats(&after);
    unsigned long long allocations = after.allocations - before.allocations;
    unsigned long long frees = after.frees - before.frees;
    printf("%s\n", allocations >= 3 && allocations == frees ? "one heap" : "not one heap");
    return strcmp(alligator_check() ? "well" : "broken", "well");
}
