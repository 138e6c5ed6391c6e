/* Terminals that the program makes itself: one whose other side a child has, which reads lines and then keys, and others that are left half read. It prints only what holds, and the same
 * whatever happens when. Arguments: rounds, microseconds between two of them, and "session" if there is to be one alone, which is the child's controlling terminal. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void check(const char *what, int holds)
{
    printf("%s: %s\n", what, holds ? "yes" : "NO");
    fflush(stdout);
}

/* Reads so many bytes, and shows them with what cannot be seen in digits. */
static void show(const char *what, int from, size_t length)
{
    unsigned char bytes[512];
    size_t got = 0;
    while (got < length) {
        ssize_t count = read(from, bytes + got, length - got);
        if (count <= 0) {
            if (count < 0 && errno == EINTR)
                continue;
            printf("[%zd] ", count);
            break;
        }
        got += count;
    }
    printf("%s: ", what);
    for (size_t i = 0; i < got; i++)
        printf(bytes[i] >= ' ' && bytes[i] < 127 ? "%c" : "<%02x>", bytes[i]);
    printf("\n");
    fflush(stdout);
}

static void type(int to, const char *keys)
{
    if (write(to, keys, strlen(keys)) != (ssize_t)strlen(keys))
        perror("write");
}

/* What is read of it without waiting is nothing. */
static int is_empty(int end)
{
    struct pollfd waiting = {.fd = end, .events = POLLIN};
    return poll(&waiting, 1, 0) == 0;
}

/* Waits until so many bytes can be read. */
static void wait_for(int end, int bytes)
{
    int waiting = 0;
    while (!ioctl(end, FIONREAD, &waiting) && waiting < bytes)
        usleep(100);
}

/* The names and numbers of both sides fit each other. */
static int is_called_the_same(int master, int slave, const char *name)
{
    char now[64], link[64], path[64];
    struct stat by_name, open;
    unsigned number;
    if (ptsname_r(master, now, sizeof now) || strcmp(now, name) || ioctl(master, TIOCGPTN, &number))
        return 0;
    if (ttyname_r(slave, now, sizeof now) || strcmp(now, name))
        return 0;
    snprintf(path, sizeof path, "/dev/pts/%u", number);
    snprintf(link, sizeof link, "/proc/self/fd/%d", slave);
    ssize_t length = readlink(link, now, sizeof now - 1);
    if (length < 0 || (now[length] = 0, strcmp(now, name)) || strcmp(path, name))
        return 0;
    return !stat(name, &by_name) && !fstat(slave, &open) && by_name.st_ino == open.st_ino && by_name.st_rdev == open.st_rdev &&
           !access(name, R_OK | W_OK);
}

/* The child: answers lines until one says that keys come, and then keys, which are written twice. */
static void answer(int slave)
{
    char line[256];
    struct termios modes;
    ssize_t count;
    while ((count = read(slave, line, sizeof line - 1)) >= 0 || errno == EINTR) {
        if (count < 0)
            continue;
        line[count] = 0;
        char reply[300];
        snprintf(reply, sizeof reply, "%zd bytes: %s%s", count, line, count && line[count - 1] == '\n' ? "" : "\n");
        if (!strcmp(line, "keys\n")) {
            tcgetattr(slave, &modes);
            cfmakeraw(&modes);
            tcsetattr(slave, TCSANOW, &modes);
        }
        type(slave, reply);
        if (!strcmp(line, "keys\n"))
            break;
    }
    char key;
    while (read(slave, &key, 1) == 1 && key != 'q') {
        char twice[2] = {key, key};
        if (write(slave, twice, 2) != 2)
            exit(3);
    }
    exit(5);
}

/* The child begins a session, of which it is the terminal. */
static int session(int rounds, int pause)
{
    int master, status;
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    if (child == 0)
        answer(STDIN_FILENO);
    for (int round = 0; round < rounds; round++) {
        usleep(pause);
        type(master, "x\n");
        show("answered", master, strlen("x\r\n2 bytes: x\r\n"));
    }
    type(master, "keys\n");
    show("the change to keys", master, strlen("keys\r\n5 bytes: keys\n"));
    type(master, "q");
    check("the child ends", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    return 0;
}

/* Enough for a move to take more than a few messages. */
static unsigned memory[1 << 17];

int main(int argc, char **argv)
{
    for (unsigned i = 0, state = 1; i < sizeof memory / sizeof *memory; i++)
        memory[i] = state = state * 1664525u + 1013904223u;
    int rounds = argc > 1 ? atoi(argv[1]) : 50, pause = argc > 2 ? atoi(argv[2]) : 2000, wrong = 0;
    if (argc > 3)
        return session(rounds, pause);
    struct termios modes;
    struct winsize size = {.ws_row = 33, .ws_col = 99, .ws_xpixel = 7, .ws_ypixel = 8}, found;
    int master, slave, lines[2], raw[2], closed[2], packets[2];
    if (openpty(&master, &slave, NULL, NULL, &size))
        return 1;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(master);
        answer(slave);
    }
    close(slave);

    /* Typed and not read: lines, one of them taken as it is, an end of input, and one that is being edited. */
    if (openpty(&lines[0], &lines[1], NULL, NULL, NULL))
        return 1;
    char name[64];
    ptsname_r(lines[0], name, sizeof name);
    tcgetattr(lines[1], &modes);
    modes.c_cc[VINTR] = 7, modes.c_cc[VEOL] = ';', modes.c_iflag &= ~IXON;
    tcsetattr(lines[1], TCSANOW, &modes);
    type(lines[0], "first\nsec\x16\x03ond;end\x04thre");
    wait_for(lines[0], 25);
    /* Written and not read. */
    type(lines[1], "said\n");
    /* Keys, in a mode without lines, read without waiting. */
    if (openpty(&raw[0], &raw[1], NULL, NULL, &size))
        return 1;
    tcgetattr(raw[1], &modes);
    cfmakeraw(&modes);
    modes.c_cc[VMIN] = 3, modes.c_cc[VTIME] = 0;
    tcsetattr(raw[1], TCSANOW, &modes);
    fcntl(raw[0], F_SETFL, O_RDWR | O_NONBLOCK);
    type(raw[0], "\x03\x04 key\r\n");
    type(raw[1], "\x01 shown\n\r");
    /* One whose other side is closed, with something to read. */
    if (openpty(&closed[0], &closed[1], NULL, NULL, NULL))
        return 1;
    type(closed[1], "last words\n");
    close(closed[1]);
    /* One that is read in packets, and is locked again. */
    if (openpty(&packets[0], &packets[1], NULL, NULL, NULL))
        return 1;
    int one = 1, zero = 0;
    ioctl(packets[0], TIOCPKT, &one);
    ioctl(packets[0], TIOCSPTLCK, &one);
    type(packets[1], "packet\n");

    for (int round = 0; round < rounds; round++) {
        char line[64], expected[200], heard[200];
        usleep(pause);
        int length = snprintf(line, sizeof line, "line %dx", round);
        type(master, line);
        usleep(pause);
        /* Edited, perhaps elsewhere. */
        type(master, "\x7f of them\n");
        length = snprintf(expected, sizeof expected, "line %dx\b \b of them\r\n%d bytes: line %d of them\r\n", round, length + 8, round);
        int got = 0;
        while (got < length) {
            ssize_t count = read(master, heard + got, length - got);
            if (count <= 0 && errno != EINTR)
                break;
            got += count > 0 ? count : 0;
        }
        if (got != length || memcmp(heard, expected, length)) {
            printf("round %d: %.*s instead of %s\n", round, got, heard, expected);
            wrong++;
        }
        wrong += !is_called_the_same(lines[0], lines[1], name);
        if (round % 10 == 9) {
            printf("%d rounds\n", round + 1);
            fflush(stdout);
        }
    }
    check("all lines have been answered, and names stay", wrong == 0);
    check("nothing more comes", is_empty(master));
    check("its size", !ioctl(master, TIOCGWINSZ, &found) && !memcmp(&found, &size, sizeof size));
    type(master, "keys\n");
    show("the change to keys", master, strlen("keys\r\n5 bytes: keys\n"));
    for (int round = 0; round < 20; round++) {
        char key = 'A' + round, heard[2];
        usleep(pause);
        wrong += write(master, &key, 1) != 1 || read(master, heard, 1) != 1 || read(master, heard + 1, 1) != 1;
        wrong += heard[0] != key || heard[1] != key;
    }
    check("all keys have come", wrong == 0);
    type(master, "q");
    int status;
    check("the child ends", waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 5);
    char byte;
    check("and with it its side", read(master, &byte, 1) == -1 && errno == EIO);

    show("first line", lines[1], 6);
    show("second line", lines[1], strlen("sec\003ond;"));
    show("end of input", lines[1], 3);
    check("no more lines", is_empty(lines[1]));
    type(lines[0], "\x7f" "ee\n");
    show("third line", lines[1], 6);
    show("echoed and said", lines[0], 25 + 6 + 7);
    check("once", is_empty(lines[0]) && is_empty(lines[1]));
    tcgetattr(lines[1], &modes);
    for (unsigned i = 0, state = 1; i < sizeof memory / sizeof *memory; i++)
        wrong += memory[i] != (state = state * 1664525u + 1013904223u);
    check("all else is there", wrong == 0);
    check("settings", modes.c_cc[VINTR] == 7 && modes.c_cc[VEOL] == ';' && !(modes.c_iflag & IXON) && (modes.c_lflag & ECHO));

    show("keys", raw[1], 8);
    show("shown", raw[0], 9);
    check("nobody waits", read(raw[0], &byte, 1) == -1 && errno == EAGAIN);
    tcgetattr(raw[1], &modes);
    check("three at a time", modes.c_cc[VMIN] == 3 && !(modes.c_lflag & ICANON));

    show("the closed one", closed[0], 12);
    check("is closed", read(closed[0], &byte, 1) == -1 && errno == EIO);
    char again[64];
    ptsname_r(closed[0], again, sizeof again);
    int opened = open(again, O_RDWR | O_NOCTTY);
    type(closed[0], "typed\n");
    show("opened again", opened, 6);

    ptsname_r(packets[0], again, sizeof again);
    check("locked", open(again, O_RDWR | O_NOCTTY) == -1 && errno == EIO);
    ioctl(packets[0], TIOCSPTLCK, &zero);
    check("and not", open(again, O_RDWR | O_NOCTTY) >= 0);
    show("in packets", packets[0], 9);
    check("a new one has another name", !openpty(&master, &slave, again, NULL, NULL) && strcmp(again, name) &&
                                             is_called_the_same(master, slave, again) && is_called_the_same(lines[0], lines[1], name));
    return 0;
}
