/* Works with files below a directory by their names in every usual way, prints what it finds, and leaves files to be compared. It prints a number every 20 rounds, and sees
 * that a file that stays has the number that it had. Arguments: the directory, rounds, and microseconds between two of them. When a file cannot be used, it says so and ends with status 5. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPPED (1 << 18)
#define FILES 20
#define DEPTH 32

static void check(const char *what, int holds)
{
    if (holds)
        return;
    printf("%s: %s\n", what, strerror(errno));
    exit(5);
}

static ino_t number(const char *name)
{
    struct stat status;
    check(name, lstat(name, &status) == 0);
    return status.st_ino;
}

/* The numbers of this directory and of those above; how many. None of them is above itself. */
static int above(ino_t *numbers)
{
    char name[4 * DEPTH] = ".";
    dev_t devices[DEPTH];
    struct stat root, status;
    int count = 0, loops = 0;
    check("/", lstat("/", &root) == 0);
    do {
        check(name, count < DEPTH && lstat(name, &status) == 0);
        numbers[count] = status.st_ino;
        devices[count] = status.st_dev;
        for (int i = 0; i < count; i++)
            loops += numbers[i] == numbers[count] && devices[i] == devices[count];
        count++;
        strcat(name, "/..");
    } while (status.st_ino != root.st_ino || status.st_dev != root.st_dev);
    return loops ? -1 : count;
}

static int compare(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The names in a directory, in order. */
static void list(const char *directory)
{
    char *names[FILES + 8];
    int count = 0;
    DIR *listed = opendir(directory);
    check("opendir", listed != NULL);
    for (struct dirent *entry; (entry = readdir(listed));) {
        char name[300];
        snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        check("the number in a directory", number(name) == entry->d_ino);
        names[count++] = strdup(entry->d_name);
    }
    closedir(listed);
    qsort(names, count, sizeof *names, compare);
    for (int i = 0; i < count; i++) {
        printf("%s ", names[i]);
        free(names[i]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    char name[64], other[64], line[64];
    int rounds = argc > 2 ? atoi(argv[2]) : 100, pause = argc > 3 ? atoi(argv[3]) : 0;
    struct stat status;
    ino_t directories[DEPTH], found[DEPTH];
    check("chdir", argc > 1 && chdir(argv[1]) == 0);
    check("mkdir", mkdir("made", 0750) == 0);
    FILE *diary = fopen("diary", "w+");
    check("a diary", diary != NULL);
    int appended = open("appended", O_WRONLY | O_CREAT | O_APPEND, 0600), file = open("mapped", O_RDWR | O_CREAT | O_TRUNC, 0644);
    check("ftruncate", appended >= 0 && file >= 0 && ftruncate(file, MAPPED) == 0);
    unsigned char *mapped = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    check("mmap", mapped != MAP_FAILED);
    const char *names[] = {"made", "diary", "appended", "mapped"};
    ino_t numbers[4];
    for (int i = 0; i < 4; i++)
        numbers[i] = number(names[i]);
    int depth = above(directories);
    check("directories are not above themselves", depth > 0);
    for (int round = 0; round < rounds; round++) {
        usleep(pause);
        fprintf(diary, "round %d\n", round);
        check("write", write(appended, &(char){'a' + round % 26}, 1) == 1);
        for (unsigned i = 0; i < 50; i++)
            mapped[(round * 4099u + i * 8191u) % MAPPED] += round + i;
        snprintf(name, sizeof name, "made/%d", round % FILES);
        snprintf(other, sizeof other, "made/new");
        FILE *one = fopen(other, "w");
        check("fopen", one && fprintf(one, "%d\n", round * round) > 0 && fclose(one) == 0);
        check("rename", rename(other, name) == 0);
        if (round % 7 == 3)
            check("unlink", unlink(name) == 0);
        if (round % 20 != 19)
            continue;
        check("fflush", fflush(diary) == 0 && fsync(fileno(diary)) == 0);
        rewind(diary);
        int lines = 0;
        while (fgets(line, sizeof line, diary))
            lines++;
        check("fseek", fseek(diary, 0, SEEK_END) == 0 && fstat(appended, &status) == 0);
        for (int i = 0; i < 4; i++)
            check("numbers stay", number(names[i]) == numbers[i]);
        check("fstat", fstat(file, &status) == 0 && status.st_ino == numbers[3] && fstat(appended, &status) == 0 && status.st_ino == numbers[2]);
        /* If the program goes elsewhere meanwhile, the devices of some are those of there: once, but not twice. */
        check("directories stay", above(found) == depth || above(found) == depth);
        check("numbers of directories stay", memcmp(directories, found, depth * sizeof *found) == 0);
        printf("%d rounds, %d lines, %d appended, mode %o\n", round + 1, lines, (int)status.st_size, status.st_mode & 07777);
        list("made");
        fflush(stdout);
    }
    check("symlink", symlink("made/5", "link") == 0 && link("diary", "again") == 0 && lstat("link", &status) == 0);
    printf("link %d %d\n", S_ISLNK(status.st_mode), (int)status.st_size);
    check("stat", stat("again", &status) == 0 && status.st_ino == numbers[1]);
    printf("names %d, size %d\n", (int)status.st_nlink, (int)status.st_size);
    printf("missing: %s\n", open("missing", O_RDONLY) < 0 ? strerror(errno) : "there");
    return 4;
}
