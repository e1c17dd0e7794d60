/* Counts the words of its input, and prints the most frequent ones. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct word {
    char *text;
    unsigned count;
};

static struct word *words;
static size_t word_count, capacity;

static void *enough(void *block) {
    if (block == NULL) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    return block;
}

static void count_word(const char *text) {
    for (size_t i = 0; i < word_count; i++) {
        if (strcmp(words[i].text, text) == 0) {
            words[i].count++;
            return;
        }
    }
    if (word_count == capacity) {
        capacity = capacity * 2 + 8;
        words = enough(realloc(words, capacity * sizeof words[0]));
    }
    words[word_count++] = (struct word){enough(strdup(text)), 1};
}

static int more_frequent(const void *a, const void *b) {
    const struct word *first = a, *second = b;
    if (first->count != second->count) {
        return first->count > second->count ? -1 : 1;
    }
    return strcmp(first->text, second->text);
}

int main(void) {
    char text[64];
    size_t length = 0;
    int character;
    do {
        character = getchar();
        if (character != EOF && isalnum(character) && length < sizeof text - 1) {
            text[length++] = (char)tolower(character);
        } else if (length > 0) {
            text[length] = '\0';
            count_word(text);
            length = 0;
        }
    } while (character != EOF);
    qsort(words, word_count, sizeof words[0], more_frequent);
    for (size_t i = 0; i < word_count; i++) {
        if (i < 10) {
            printf("%8u %s\n", words[i].count, words[i].text);
        }
        free(words[i].text);
    }
    free(words);
    return 0;
}
