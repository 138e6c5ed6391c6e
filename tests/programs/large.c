/* A program with much memory, which it changes in every way there is, at random: pages are written, given up, protected, moved, passed through a pipe and
 * looked at by children. Every page holds what its number and its generation say; a page that does not is an error. The arguments are a seed, megabytes for each thread, operations
 * and threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, BLOCKS = 24, THREADS = 4, FIXED = 2000 };

/* Memory from `mmap` or, if `is_heap`, from `malloc`, whose first page begins at the next whole page; or, if `is_fixed`, a variable. */
struct block {
    char *start, *allocated;
    size_t pages;
    uint32_t *generations;
    uint64_t id;
    int is_heap, is_fixed;
};

struct worker {
    pthread_t thread;
    uint64_t random, digest, next_id, pages, most;
    long operations;
    int may_fork;
    struct block blocks[BLOCKS];
};

static struct worker workers[THREADS];
static char fixed[FIXED * PAGE] __attribute__((aligned(PAGE)));

static void fail(const char *what, const struct block *block, size_t page)
{
    printf("%s: block %llu, page %zu of %zu\n", what, (unsigned long long)block->id, page, block->pages);
    fflush(stdout);
    _exit(3);
}

static uint64_t draw(struct worker *worker, uint64_t below)
{
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (worker->random * 0x2545f4914f6cdd1dull >> 20) % below;
}

static uint64_t word(const struct block *block, size_t page, size_t index)
{
    uint64_t generation = block->generations[page];
    return generation ? (block->id * 1000003 + page) * 0x9e3779b97f4a7c15ull + generation * 0xc2b2ae3d27d4eb4full + index : 0;
}

static void fill(struct block *block, size_t page)
{
    uint64_t *words = (uint64_t *)(block->start + page * PAGE);
    uint64_t first = word(block, page, 0);
    for (size_t index = 0; index < WORDS; index++)
        words[index] = first ? first + index : 0;
}

static void check(const struct block *block, size_t page, const char *what)
{
    const uint64_t *words = (const uint64_t *)(block->start + page * PAGE);
    uint64_t first = word(block, page, 0);
    for (size_t index = 0; index < WORDS; index++)
        if (words[index] != (first ? first + index : 0))
            fail(what, block, page);
}

static void grow_table(struct block *block, size_t pages)
{
    block->generations = realloc(block->generations, (pages + 1) * sizeof *block->generations);
    for (size_t page = block->pages; page < pages; page++)
        block->generations[page] = 0;
    block->pages = pages;
}

static void release(struct worker *worker, struct block *block)
{
    if (!block->start || block->is_fixed)
        return;
    worker->pages -= block->pages;
    if (block->is_heap)
        free(block->allocated);
    else if (munmap(block->start, block->pages * PAGE))
        fail("munmap", block, 0);
    free(block->generations);
    memset(block, 0, sizeof *block);
}

/* Sizes from a page to 32 MiB, each power of two from 64 KiB on as likely as the others. */
static void obtain(struct worker *worker, struct block *block)
{
    size_t pages = 1 + draw(worker, 16ull << draw(worker, 10));
    if (worker->pages + pages > worker->most)
        return;
    block->id = ++worker->next_id;
    block->is_heap = draw(worker, 3) == 0;
    grow_table(block, pages);
    if (block->is_heap) {
        block->allocated = malloc((pages + 1) * PAGE);
        block->start = (char *)(((uintptr_t)block->allocated + PAGE - 1) / PAGE * PAGE);
        memset(block->start, 0, pages * PAGE);
    } else {
        block->start = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    worker->pages += pages;
    size_t touched = draw(worker, 4) ? pages : pages / 3;
    for (size_t page = 0; page < touched; page++) {
        block->generations[page] = 1;
        fill(block, page);
    }
}

static void resize(struct worker *worker, struct block *block)
{
    size_t before = block->pages, after = 1 + draw(worker, before * 2);
    if (block->is_heap || block->is_fixed || worker->pages + after > worker->most + before)
        return;
    size_t kept = after < before ? after : before;
    char *moved = mremap(block->start, before * PAGE, after * PAGE, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        fail("mremap", block, 0);
    block->start = moved;
    worker->pages += after - before;
    grow_table(block, after);
    check(block, kept - 1, "after mremap");
    check(block, after - 1, "at the new end");
}

/* A quarter of the pages, of all threads: they do not change meanwhile here. */
static int look(const struct worker *worker, uint64_t from)
{
    for (int index = 0; index < BLOCKS; index++)
        for (size_t page = from; page < worker->blocks[index].pages; page += 4)
            check(&worker->blocks[index], page, "in a child");
    return 0;
}

static void beget(struct worker *worker, struct block *block)
{
    uint64_t from = draw(worker, 4);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        look(worker, from);
        block->generations[0]++;
        fill(block, 0);
        check(block, 0, "written in a child");
        _exit(7);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7) {
        printf("child differs: %d %x\n", (int)child, status);
        fflush(stdout);
        _exit(4);
    }
    check(block, 0, "after a child has written");
}

/* The kernel reads one page and writes another. */
static void pass(struct block *from, size_t page, struct block *to, size_t other)
{
    int ends[2];
    if (pipe(ends) || write(ends[1], from->start + page * PAGE, PAGE) != PAGE)
        fail("write", from, page);
    for (size_t done = 0; done < PAGE;) {
        ssize_t count = read(ends[0], to->start + other * PAGE + done, PAGE - done);
        if (count <= 0)
            fail("read", to, other);
        done += count;
    }
    close(ends[0]);
    close(ends[1]);
    if (memcmp(from->start + page * PAGE, to->start + other * PAGE, PAGE))
        fail("passed through a pipe", to, other);
    to->generations[other]++;
    fill(to, other);
}

static void change(struct worker *worker)
{
    struct block *block = &worker->blocks[draw(worker, BLOCKS)];
    if (!block->start) {
        obtain(worker, block);
        return;
    }
    size_t page = draw(worker, block->pages), count = 1 + draw(worker, block->pages - page);
    uint64_t what = draw(worker, 1000);
    if (what < 8) {
        release(worker, block);
    } else if (what < 16) {
        resize(worker, block);
    } else if (what < 20 && worker->may_fork) {
        beget(worker, block);
    } else if (what < 30) {
        if (madvise(block->start + page * PAGE, count * PAGE, MADV_DONTNEED))
            fail("madvise", block, page);
        memset(block->generations + page, 0, count * sizeof *block->generations);
        check(block, page, "given up");
    } else if (what < 40) {
        mprotect(block->start + page * PAGE, count * PAGE, PROT_READ);
        check(block, page, "protected");
        /* Long enough to move like this, now and then: the parts arrive apart from each other. */
        for (long step = 0; step < 1000000; step++)
            worker->digest = worker->digest * 31 + step;
        mprotect(block->start + page * PAGE, count * PAGE, PROT_NONE);
        mprotect(block->start + page * PAGE, count * PAGE, PROT_READ | PROT_WRITE);
        check(block, page + count - 1, "no longer protected");
    } else if (what < 90) {
        pass(block, page, block, draw(worker, block->pages));
    } else if (what < 500) {
        block->generations[page]++;
        fill(block, page);
    } else {
        check(block, page, "changed");
        worker->digest = worker->digest * 31 + word(block, page, 0);
    }
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    for (long done = 0; done < worker->operations; done++)
        change(worker);
    for (int index = 0; index < BLOCKS; index++)
        for (size_t page = 0; page < worker->blocks[index].pages; page++)
            check(&worker->blocks[index], page, "in the end");
    return 0;
}

int main(int count, char **arguments)
{
    uint64_t seed = count > 1 ? strtoull(arguments[1], 0, 10) : 1;
    uint64_t megabytes = count > 2 ? strtoull(arguments[2], 0, 10) : 100;
    long operations = count > 3 ? atol(arguments[3]) : 200000;
    int threads = count > 4 ? atoi(arguments[4]) : 1;
    for (int index = 0; index < threads && index < THREADS; index++) {
        struct worker *worker = &workers[index];
        worker->random = seed * 2654435761u + index + 1;
        worker->most = megabytes * 256;
        worker->operations = operations;
        worker->may_fork = index == 0;
        if (index > 0)
            pthread_create(&worker->thread, 0, work, worker);
    }
    struct block *block = &workers[0].blocks[0];
    *block = (struct block){.start = fixed, .is_fixed = 1};
    grow_table(block, FIXED);
    work(&workers[0]);
    for (int index = 1; index < threads && index < THREADS; index++)
        pthread_join(workers[index].thread, 0);
    for (int index = 0; index < threads && index < THREADS; index++)
        printf("thread %d: %llu blocks, %llu pages, %016llx\n", index, (unsigned long long)workers[index].next_id,
               (unsigned long long)workers[index].pages, (unsigned long long)workers[index].digest);
    return 0;
}
