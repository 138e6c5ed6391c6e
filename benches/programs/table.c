/* A hash table of strings: allocation, strcmp, pointers, formatting. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 15 };
struct entry { struct entry *next; unsigned count; char word[]; };
static struct entry *table[BUCKETS];

static struct entry *find(const char *word)
{
    uint32_t hash = 2166136261u;
    for (const char *at = word; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    struct entry **place = &table[hash % BUCKETS];
    for (; *place; place = &(*place)->next)
        if (strcmp((*place)->word, word) == 0)
            return *place;
    struct entry *entry = calloc(1, sizeof *entry + strlen(word) + 1);
    strcpy(entry->word, word);
    return *place = entry;
}

int main(int argc, char **argv)
{
    int words = argc > 1 ? atoi(argv[1]) : 5000000;
    uint32_t state = 1;
    unsigned distinct = 0, most = 0;
    char word[32];
    for (int i = 0; i < words; i++) {
        state = state * 1664525u + 1013904223u;
        snprintf(word, sizeof word, "w%x", (state >> 8) % 60000);
        struct entry *entry = find(word);
        distinct += entry->count++ == 0;
        most = entry->count > most ? entry->count : most;
    }
    printf("%u %u\n", distinct, most);
    for (int i = 0; i < BUCKETS; i++)
        for (struct entry *next, *entry = table[i]; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    return 0;
}
