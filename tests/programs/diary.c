// Writes a line a step to standard output, and the same line to the end of a file: two copies of it that run would both write there, and one that is lost leaves the
// file short. It keeps memory that cannot be compressed, counts the signals that it gets, and holds what cannot go to another node if it is told to:
// for as long as it runs, or (`locks`) for all but a moment of each step, which with `locks N` takes N milliseconds. With `signals N` it says when it has got another signal, and ends after N of them.
// With `memory N` it has N MB, otherwise one, and changes all pages in each step.
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 17 };

static volatile sig_atomic_t counted;

static void count(int signal) {
    (void)signal;
    counted++;
}

static int set_lock(int file, short kind) {
    struct flock whole = {.l_type = kind, .l_whence = SEEK_SET};
    return fcntl(file, F_SETLKW, &whole);
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int words, char **word) {
    if (words < 3)
        return 2;
    int file = open(word[1], O_WRONLY | O_APPEND | O_CREAT, 0644), steps = atoi(word[2]);
    if (file < 0)
        return 3;
    const char *holds = words > 3 ? word[3] : "";
    int locks_each = !strcmp(holds, "locks"), takes = locks_each && words > 4 ? atoi(word[4]) : 20, told = 0, awaited = !strcmp(holds, "signals") && words > 4 ? atoi(word[4]) : 0;
    if (!strcmp(holds, "lock") && set_lock(file, F_WRLCK))
        return 4;
    if (!strcmp(holds, "connection")) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t size = sizeof address;
        if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
            getsockname(listener, (struct sockaddr *)&address, &size) ||
            connect(client, (struct sockaddr *)&address, size) || accept(listener, 0, 0) < 0)
            return 5;
    }
    if (!strcmp(holds, "file") && (words < 5 || open(word[4], O_RDONLY) < 0))
        return 6;
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    int size = MEGABYTE * (!strcmp(holds, "memory") && words > 4 ? atoi(word[4]) : 1);
    uint64_t state = 88172645463325252u, *memory = malloc(size * sizeof *memory);
    for (int at = 0; at < size; at++)
        memory[at] = next(&state);
    for (int step = 0; step < steps; step++) {
        if (locks_each && set_lock(file, F_WRLCK))
            return 4;
        uint64_t sum = 0;
        for (int at = 0; at < size; at += 64) {
            memory[at] += next(&state);
            sum = sum * 31 + memory[at];
        }
        char line[64];
        int length = snprintf(line, sizeof line, "step %d %016llx\n", step, (unsigned long long)sum);
        if (write(file, line, (size_t)length) != length || write(1, line, (size_t)length) != length)
            return 7;
        struct timespec rest = {0, takes * 1000000l};
        while (nanosleep(&rest, &rest))
            continue;
        if (awaited && told != counted)
            dprintf(1, "signal %d\n", told = counted);
        if (awaited && told >= awaited)
            break;
        // For all but a moment of each step it has been locked.
        if (locks_each && set_lock(file, F_UNLCK))
            return 4;
    }
    printf("signals %d\n", (int)counted);
    return 8;
}
