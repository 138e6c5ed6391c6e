// Does with its standard streams what its arguments say, one after the other: for tests of programs that go to other nodes and leave their streams where they were started.
// It keeps memory that cannot be compressed, so that its moves take a number of messages.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS = 1 << 17 };

static uint64_t memory[WORDS];
static volatile sig_atomic_t heard;

static void note(int signal) {
    (void)signal;
    heard++;
}

static void put(const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(1, bytes, length);
        if (written < 0 && errno != EINTR)
            _exit(90);
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
}

static void say(const char *text) {
    put(text, strlen(text));
}

// Copies what comes, as it comes, to the end of input.
static void copy(void) {
    static char buffer[7001];
    unsigned long sum = 0, total = 0;
    for (;;) {
        ssize_t length = read(0, buffer, sizeof buffer);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            _exit(91);
        if (length == 0)
            break;
        for (ssize_t at = 0; at < length; at++)
            sum = sum * 31 + (unsigned char)buffer[at];
        total += (unsigned long)length;
        put(buffer, (size_t)length);
    }
    fprintf(stderr, "%lu bytes, %lx\n", total, sum);
}

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int count, char **words) {
    const uint64_t seed = 88172645463325252u;
    uint64_t state = seed;
    for (int at = 0; at < WORDS; at++)
        memory[at] = next(&state);
    struct sigaction action = {.sa_handler = note};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    sigaction(SIGUSR1, &action, 0);
    int waited = 0;
    for (int word = 1; word < count; word++) {
        const char *what = words[word];
        if (!strcmp(what, "copy")) {
            copy();
        } else if (!strcmp(what, "wait")) {
            // Until it has heard one signal more.
            while (heard == waited)
                sigsuspend(&before);
            waited++;
        } else if (!strcmp(what, "flood")) {
            char line[64];
            for (int number = 0; number < 3000000; number++) {
                int length = snprintf(line, sizeof line, "line %d\n", number);
                put(line, (size_t)length);
                if (number % 100000 == 0)
                    fprintf(stderr, "wrote %d\n", number);
            }
        } else if (!strcmp(what, "impatient")) {
            fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
        } else if (!strcmp(what, "try")) {
            char byte;
            ssize_t length = read(0, &byte, 1);
            say(length == 1 ? "a byte\n" : length == 0 ? "the end\n" : errno == EAGAIN ? "nothing yet\n" : "an error\n");
        } else if (!strcmp(what, "poll")) {
            struct pollfd polled = {.fd = 0, .events = POLLIN};
            while (poll(&polled, 1, -1) < 0 && errno == EINTR)
                ;
        } else if (!strcmp(what, "close")) {
            close(0);
        } else if (!strcmp(what, "deaf")) {
            signal(SIGHUP, SIG_IGN);
        } else {
            say(what);
            say("\n");
        }
    }
    state = seed;
    for (int at = 0; at < WORDS; at++) {
        if (memory[at] != next(&state))
            return 92;
    }
    return 5;
}
