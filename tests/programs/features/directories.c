/* Directories being read: a move falls between the entries, which come in no certain order and from a descriptor with a position of its own. */
#include "features.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORIES = 6, FILES = 90, ROUNDS = 12 };

static uint64_t work(const char *name)
{
    uint64_t hash = MIX_START;
    for (int round = 0; round < 40; round++)
        for (const char *c = name; *c; c++)
            hash = mix(hash, (uint64_t)*c);
    return hash;
}

/* The sum of what is in a directory and below it. */
static uint64_t sum(int parent, const char *name)
{
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (!directory) {
        printf("%s cannot be opened: %s\n", name, strerror(errno));
        return 0;
    }
    uint64_t total = 0;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(directory))) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        if (fstatat(descriptor, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            printf("%s: %s\n", entry->d_name, strerror(errno));
        total += work(entry->d_name) + (uint64_t)status.st_size * !S_ISDIR(status.st_mode);
        if (S_ISDIR(status.st_mode))
            total += sum(descriptor, entry->d_name);
    }
    if (errno)
        printf("%s cannot be read: %s\n", name, strerror(errno));
    closedir(directory);
    return total;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static uint64_t sorted(const char *name)
{
    struct dirent **entries;
    uint64_t hash = MIX_START;
    int count = scandir(name, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        hash = mix(hash, work(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return hash;
}

/* Goes back to positions in reverse order, and finds there what was there. */
static int positions(const char *name)
{
    struct {
        long position;
        char name[256];
    } seen[FILES + 2];
    DIR *directory = opendir(name);
    int count = 0, right = 0;
    struct dirent *entry;
    for (;;) {
        long position = telldir(directory);
        if (count == FILES + 2 || !(entry = readdir(directory)))
            break;
        seen[count].position = position;
        snprintf(seen[count++].name, sizeof seen[0].name, "%s", entry->d_name);
    }
    for (int i = count; i-- > 0;) {
        seekdir(directory, seen[i].position);
        entry = readdir(directory);
        right += entry && work(entry->d_name) == work(seen[i].name) && strcmp(entry->d_name, seen[i].name) == 0;
    }
    closedir(directory);
    return right;
}

void directories(void)
{
    const char *temporary = getenv("TMPDIR");
    char root[300], path[400];
    snprintf(root, sizeof root, "%s/maize-XXXXXX", temporary ? temporary : "/tmp");
    if (!mkdtemp(root))
        perror(root);
    for (int i = 0; i < DIRECTORIES * FILES; i++) {
        snprintf(path, sizeof path, "%s/directory%d", root, i % DIRECTORIES);
        mkdir(path, 0700);
        snprintf(path, sizeof path, "%s/directory%d/a-file-with-number-%d", root, i % DIRECTORIES, i);
        int file = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (write(file, path + strlen(root), (size_t)i % 15) != i % 15)
            perror(path);
        close(file);
    }
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(path, sizeof path, "%s/directory%d", root, round % DIRECTORIES);
        uint64_t total = sum(AT_FDCWD, root);
        printf("tree %016lx sorted %016lx positions %d\n", total, sorted(path), positions(path));
    }
    int left = 0;
    for (int i = 0; i < DIRECTORIES * FILES; i++) {
        snprintf(path, sizeof path, "%s/directory%d/a-file-with-number-%d", root, i % DIRECTORIES, i);
        left += unlink(path) != 0;
    }
    for (int i = 0; i < DIRECTORIES; i++) {
        snprintf(path, sizeof path, "%s/directory%d", root, i);
        left += rmdir(path) != 0;
    }
    printf("left %d, %d\n", left, rmdir(root));
}
