/* Signal handlers and masks: they stay installed over moves, and a handler may run long and move itself. */
#include "features.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t seen, nested;
static volatile uint64_t handled;

static void work(int signal)
{
    uint64_t hash = handled;
    for (int i = 0; i < 20000; i++)
        hash = mix(hash, (uint64_t)signal);
    handled = hash;
    seen++;
    errno = EINVAL; /* the interrupted code must not see this */
}

static void details(int signal, siginfo_t *info, void *context)
{
    (void)context;
    nested += info->si_signo == signal;
    raise(SIGUSR1); /* a handler inside a handler */
}

void signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = work;
    sigaction(SIGUSR1, &action, NULL);
    action.sa_sigaction = details;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR2, &action, NULL);

    for (int round = 0; round < 500; round++)
        raise(round % 3 ? SIGUSR1 : SIGUSR2);
    printf("%d handled, %d nested, %016llx\n", (int)seen, (int)nested, (unsigned long long)handled);

    /* Blocked, signals wait; a mask holds over moves. */
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    int before = seen;
    raise(SIGUSR1);
    volatile uint64_t hash = MIX_START;
    for (int i = 0; i < 10000000; i++)
        hash = mix(hash, (uint64_t)i);
    sigpending(&pending);
    printf("blocked: %d, pending: %d\n", seen == before, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("delivered: %d\n", seen == before + 1);

    struct sigaction now;
    sigaction(SIGUSR2, NULL, &now);
    printf("still installed: %d\n", now.sa_sigaction == details && (now.sa_flags & SA_SIGINFO));
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}
