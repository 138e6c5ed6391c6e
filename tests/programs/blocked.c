/* Blocks: in read on standard input until a line or the end comes (`read`), in poll (`poll`), asleep (`sleep`), or until somebody
 * opens the other end of the pipe of this name (`open`). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int read_until_end(void)
{
    char buffer[256];
    ssize_t length;
    unsigned lines = 0;
    while ((length = read(0, buffer, sizeof buffer)) > 0) {
        printf("%u: %.*s", ++lines, (int)length, buffer);
        fflush(stdout);
    }
    printf("end: %s\n", length == 0 ? "0" : strerror(errno));
    return length != 0;
}

static int wait_for_input(void)
{
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char buffer[256];
    int ready = poll(&input, 1, -1);
    ssize_t length = ready == 1 ? read(0, buffer, sizeof buffer) : -1;
    printf("%d %d: %.*s", ready, (input.revents & POLLIN) != 0, length > 0 ? (int)length : 0, buffer);
    return ready != 1;
}

static int sleep_in_full(void)
{
    struct timespec begin, end, time = {2, 0};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int result = nanosleep(&time, NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    long milliseconds = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    printf("slept: %d, long enough: %d, not much longer: %d\n", result, milliseconds >= 2000, milliseconds < 30000);
    return 0;
}

static int open_pipe(const char *name)
{
    /* On AArch64 O_DIRECT has the number that O_DIRECTORY has here. Not every kernel allows it, but none says that this should be a directory. */
    int pipe = open(name, O_RDONLY | O_DIRECT);
    printf("opened: %s\n", pipe < 0 ? strerror(errno) : "yes");
    return pipe < 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "read";
    puts("ready");
    fflush(stdout);
    if (strcmp(how, "poll") == 0)
        return wait_for_input();
    if (strcmp(how, "sleep") == 0)
        return sleep_in_full();
    if (strcmp(how, "open") == 0)
        return open_pipe(argv[2]);
    return read_until_end();
}
