/* What the C library itself allocates comes from the same heap, and goes back to it. */
#define _GNU_SOURCE
#include "check.h"

#include <locale.h>
#include <search.h>
#include <stdarg.h>

static void strings_are_copied(void) {
    char *copy = strdup("a string");
    CHECK(strcmp(copy, "a string") == 0);
    copy = realloc(copy, 1000);
    CHECK(strcmp(copy, "a string") == 0);
    free(copy);
    copy = strndup("a string", 3);
    CHECK(strcmp(copy, "a s") == 0);
    free(copy);
}

static void text_is_printed_into_blocks(void) {
    char *text = NULL;
    CHECK(asprintf(&text, "%d and %s", 42, "more") == 11);
    CHECK(strcmp(text, "42 and more") == 0);
    free(text);
}

static void streams_write_to_memory(void) {
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream != NULL);
    for (int i = 0; i < 2000; i++) {
        fprintf(stream, "%d,", i);
    }
    CHECK(fclose(stream) == 0);
    CHECK(size == strlen(text) && size > 8000);
    free(text);
}

static int compare(const void *a, const void *b) { return strcmp(a, b); }

static void trees_are_kept(void) {
    void *root = NULL;
    static char names[200][8];
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "%d", i * 7919 % 1000);
        CHECK(tsearch(names[i], &root, compare) != NULL);
    }
    for (int i = 0; i < 200; i++) {
        tdelete(names[i], &root, compare);
    }
    CHECK(root == NULL);
}

/* The locale's code has calls of __libc_malloc. */
static void locales_are_made(void) {
    CHECK(setlocale(LC_ALL, "C.UTF-8") != NULL || setlocale(LC_ALL, "C") != NULL);
    locale_t locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    CHECK(locale != (locale_t)0);
    locale_t copy = duplocale(locale);
    CHECK(copy != (locale_t)0);
    freelocale(copy);
    freelocale(locale);
}

static int environment(void) {
    CHECK(setenv("ALLIGATOR_TEST", "yes", 1) == 0);
    CHECK(strcmp(getenv("ALLIGATOR_TEST"), "yes") == 0);
    CHECK(unsetenv("ALLIGATOR_TEST") == 0);
    return 0;
}

int main(void) {
    strings_are_copied();
    text_is_printed_into_blocks();
    streams_write_to_memory();
    trees_are_kept();
    locales_are_made();
    environment();
    return finish();
}
