/* Open files across moves: an unlinked file, offsets and flags, shared offsets, a pipe with bytes in it, streams, a
 * directory. Runs in a directory of its own. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile uint64_t state = 1;

/* Long enough for a move, however fast the machine. */
static void compute(void)
{
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < 12000000; i++)
        state = state * 6364136223846793005u + 1;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < 150);
}

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
}

int main(void)
{
    char buffer[64] = {0};
    struct stat status;

    int unlinked = open("unlinked", O_RDWR | O_CREAT | O_TRUNC, 0600);
    check("written", write(unlinked, "0123456789", 10) == 10);
    unlink("unlinked");
    lseek(unlinked, 3, SEEK_SET);

    int append = open("append", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0640);
    int copy = dup(unlinked);
    int close_on_exec = open("append", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int ends[2];
    check("pipe", pipe(ends) == 0 && write(ends[1], "in the pipe", 11) == 11);
    FILE *stream = fopen("stream", "w+");
    fprintf(stream, "buffered, not yet written\n");
    DIR *directory = opendir(".");
    struct dirent *first = readdir(directory);
    check("first entry", first != NULL);

    compute();
    check("offset kept", read(unlinked, buffer, 2) == 2 && memcmp(buffer, "34", 2) == 0);
    check("unlinked", fstat(unlinked, &status) == 0 && status.st_nlink == 0 && status.st_size == 10);
    check("appended", write(append, "one\n", 4) == 4);

    compute();
    check("offset shared", read(copy, buffer, 2) == 2 && memcmp(buffer, "56", 2) == 0);
    check("and seen by the other", lseek(unlinked, 0, SEEK_CUR) == 7);
    lseek(append, 0, SEEK_SET);
    check("append flag", write(append, "two\n", 4) == 4 && lseek(append, 0, SEEK_CUR) == 8);
    check("mode", fstat(append, &status) == 0 && (status.st_mode & 07777) == 0640);

    compute();
    check("close-on-exec", fcntl(close_on_exec, F_GETFD) == FD_CLOEXEC && fcntl(append, F_GETFD) == 0);
    check("flags", (fcntl(close_on_exec, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_RDONLY)
                       && (fcntl(append, F_GETFL) & (O_APPEND | O_ACCMODE)) == (O_APPEND | O_WRONLY));
    check("bytes in the pipe", read(ends[0], buffer, sizeof buffer) == 11 && memcmp(buffer, "in the pipe", 11) == 0);
    close(ends[1]);
    check("end of the pipe", read(ends[0], buffer, sizeof buffer) == 0);

    compute();
    int entries = 1;
    while (readdir(directory))
        entries++;
    printf("%d entries\n", entries);
    closedir(directory);
    fprintf(stream, "state %016llx\n", (unsigned long long)state);
    rewind(stream);
    check("stream", fgets(buffer, sizeof buffer, stream) && strncmp(buffer, "buffered", 8) == 0);
    check("descriptors", dup(0) == ends[1] && close(ends[1]) == 0);
    compute();
    fputs(fgets(buffer, sizeof buffer, stream), stdout);
    return fclose(stream);
}
