/* What somebody types who sits at a terminal: lines, keys one by one, ends of input, interrupts, sizes. It prints the same whatever happens when. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* A program of some size. */
static unsigned ballast[1 << 18];

static unsigned weigh(void)
{
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof ballast / sizeof *ballast; i++)
        sum = sum * 31 + ballast[i];
    return sum;
}

static void handle(int signal)
{
    /* At once: it may come before what it would interrupt. */
    static const char text[] = "interrupted\n";
    (void)signal;
    if (write(1, text, sizeof text - 1) < 0)
        _exit(1);
}

static struct winsize size(void)
{
    struct winsize found;
    if (ioctl(0, TIOCGWINSZ, &found))
        perror("no size"), exit(1);
    return found;
}

/* Reads nothing until the terminal gets another size. */
static void wait_for_size(void)
{
    struct winsize before = size(), now;
    puts("waiting");
    do {
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
        now = size();
    } while (now.ws_row == before.ws_row && now.ws_col == before.ws_col);
    printf("resized %d %d\n", now.ws_row, now.ws_col);
}

static void read_keys(void)
{
    struct termios before, keys;
    tcgetattr(0, &before);
    keys = before;
    keys.c_lflag &= ~(ICANON | ECHO | ISIG);
    keys.c_iflag &= ~ICRNL;
    tcsetattr(0, TCSADRAIN, &keys);
    puts("keys now");
    for (;;) {
        unsigned char key;
        if (read(0, &key, 1) != 1)
            continue;
        printf("key %02x\n", key);
        if (key == 'w')
            wait_for_size();
        if (key == 'q')
            break;
    }
    tcsetattr(0, TCSADRAIN, &before);
    puts("lines again");
}

int main(void)
{
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGINT, &action, NULL);
    unsigned value = 1;
    for (size_t i = 0; i < sizeof ballast / sizeof *ballast; i++)
        ballast[i] = value = value * 1664525 + 1013904223;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int terminal = open("/dev/tty", O_WRONLY | O_CLOEXEC);
    printf("ready %d %d %d %s\n", isatty(0), isatty(1), isatty(2), tcgetsid(0) == getsid(0) ? "own" : "other");
    for (int count = 1;;) {
        char line[8192];
        ssize_t length = read(0, line, sizeof line - 1);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return perror("read"), 1;
        if (length == 0) {
            puts("end of input");
            continue;
        }
        line[length - (line[length - 1] == '\n')] = 0;
        if (!strcmp(line, "quit")) {
            dprintf(terminal, "%x\n", weigh());
            return 7;
        }
        if (!strcmp(line, "wait"))
            wait_for_size();
        else if (!strcmp(line, "keys"))
            read_keys();
        else
            printf("%d: %s\n", count++, line);
    }
}
