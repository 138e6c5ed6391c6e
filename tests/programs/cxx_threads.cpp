// The thread library of C++: what it computes is the same however the threads take turns.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<int> constructed, destroyed;

struct Local {
    Local() { constructed++; }
    ~Local() { destroyed++; }
    long uses = 0;
};
thread_local Local local;

class Queue {
public:
    void push(long value)
    {
        std::unique_lock lock(mutex);
        room.wait(lock, [this] { return values.size() < 8; });
        values.push_back(value);
        filled.notify_one();
    }
    long pop()
    {
        std::unique_lock lock(mutex);
        filled.wait(lock, [this] { return !values.empty(); });
        long value = values.front();
        values.pop_front();
        room.notify_one();
        return value;
    }

private:
    std::mutex mutex;
    std::condition_variable room, filled;
    std::deque<long> values;
};

long producers_and_consumers()
{
    Queue queue;
    std::atomic<long> total = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++) {
        threads.emplace_back([&queue, i] {
            for (long n = 0; n < 500; n++)
                queue.push(n * 3 + i);
        });
        threads.emplace_back([&queue, &total] {
            for (int n = 0; n < 500; n++) {
                total += queue.pop();
                local.uses++;
            }
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    return total;
}

long futures()
{
    std::vector<std::future<long>> results;
    for (long i = 0; i < 8; i++)
        results.push_back(std::async(std::launch::async, [i] {
            if (i == 5)
                throw std::runtime_error("five");
            long sum = 0;
            for (long n = 0; n < 100000; n++)
                sum += n % (i + 1);
            return sum;
        }));
    long total = 0;
    for (auto &result : results) {
        try {
            total += result.get();
        } catch (const std::runtime_error &error) {
            std::printf("thrown in a thread: %s\n", error.what());
        }
    }
    std::promise<std::string> promise;
    std::thread thread([&promise] { promise.set_value("promised"); });
    std::printf("%s\n", promise.get_future().get().c_str());
    thread.join();
    std::packaged_task<int(int)> task([](int n) { return n + 1; });
    auto future = task.get_future();
    std::thread(std::move(task), 41).join();
    return total + future.get();
}

long synchronisation()
{
    constexpr int count = 4;
    std::latch ready(count);
    std::barrier phases(count);
    std::counting_semaphore<2> tickets(2);
    std::once_flag once;
    std::shared_mutex shared;
    std::atomic<int> inside = 0, most = 0, calls = 0, turn = 0;
    long written = 0, order = 0;
    std::vector<std::jthread> threads;
    for (int number = 0; number < count; number++)
        threads.emplace_back([&, number] {
            ready.arrive_and_wait();
            std::call_once(once, [&] { calls++; });
            for (int phase = 0; phase < 20; phase++) {
                tickets.acquire();
                int now = ++inside;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                inside--;
                tickets.release();
                {
                    std::unique_lock lock(shared);
                    written += number;
                }
                std::shared_lock lock(shared);
                long read = written;
                lock.unlock();
                phases.arrive_and_wait();
                calls += read < 0;
            }
            // They leave in the order of their numbers.
            for (int now = turn; now != number; now = turn)
                turn.wait(now);
            order = order * 10 + number;
            turn = number + 1;
            turn.notify_all();
        });
    threads.clear();
    std::printf("calls %d, at most two %d, order %ld\n", calls.load(), most <= 2, order);
    return written;
}

long stopping()
{
    std::atomic<long> rounds = 0;
    {
        std::jthread worker([&rounds](std::stop_token token) {
            while (!token.stop_requested()) {
                rounds++;
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
        while (rounds < 3)
            std::this_thread::yield();
    }
    std::timed_mutex mutex;
    std::lock_guard guard(mutex);
    bool locked = true;
    std::thread([&] { locked = mutex.try_lock_for(std::chrono::milliseconds(5)); }).join();
    return rounds >= 3 && !locked;
}

} // namespace

static void all()
{
    std::printf("queue %ld\n", producers_and_consumers());
    std::printf("futures %ld\n", futures());
    std::printf("synchronisation %ld\n", synchronisation());
    std::printf("stopping %ld\n", stopping());
    std::printf("locals %d %d\n", constructed.load(), destroyed.load());
    auto shared = std::make_shared<std::atomic<long>>(0);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([shared] {
            for (int n = 0; n < 10000; n++)
                *shared += n;
        });
    for (std::thread &thread : threads)
        thread.join();
    std::printf("shared %ld %ld\n", shared->load(), shared.use_count());
}

// cxx_threads [TIMES]
int main(int count, char **words)
{
    int times = count > 1 ? std::stoi(words[1]) : 1;
    for (int i = 0; i < times; i++)
        all();
    return 0;
}
